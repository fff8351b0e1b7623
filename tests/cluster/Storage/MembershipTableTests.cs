using System.Net;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage.DynamoDb;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>What Orleans asks of a membership table, on DynamoDB.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class MembershipTableTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private static readonly DateTime Noon = new(2026, 11, 25, 12, 0, 0, 123, DateTimeKind.Utc);

    private readonly DynamoDbStore _store = new(dynamo);

    /// <summary>The way with the faults; the store's own has none.</summary>
    private DynamoDbProxy Way => field ??= _store.OpenWay();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private MembershipTable Table => _store.Membership();

    public async ValueTask InitializeAsync() => await Table.InitializeMembershipTable(true);

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task A_silo_is_read_back_as_it_joined_and_changed()
    {
        var entry = Entry(1);
        Assert.True(await Table.InsertRow(entry, (await Table.ReadAll()).Version.Next()));
        var (joined, tag) = Assert.Single((await Table.ReadAll()).Members);
        Assert.Equal(entry.ToFullString(), joined.ToFullString());
        Assert.Equal((1, "1"), ((await Table.ReadAll()).Version.Version, (await Table.ReadAll()).Version.VersionEtag));

        entry.Status = SiloStatus.Dead;
        entry.SuspectTimes = [Tuple.Create(Entry(2).SiloAddress, Noon), Tuple.Create(Entry(3).SiloAddress, Noon.AddSeconds(5))];
        Assert.True(await Table.UpdateRow(entry, tag, (await Table.ReadAll()).Version.Next()));

        var read = await Table.ReadRow(entry.SiloAddress);
        Assert.Equal(entry.ToFullString(), Assert.Single(read.Members).Item1.ToFullString());
        Assert.Equal(2, read.Version.Version);
        Assert.Empty((await Table.ReadRow(Entry(9).SiloAddress)).Members);
    }

    [Fact]
    public async Task A_change_over_an_older_version_of_silo_or_whole_is_refused_and_changes_nothing()
    {
        var old = (await Table.ReadAll()).Version;
        Assert.True(await Table.InsertRow(Entry(1), old.Next()));
        var standing = await Table.ReadAll();

        Assert.False(await Table.InsertRow(Entry(2), old.Next()));
        Assert.False(await Table.InsertRow(Entry(1), standing.Version.Next()));
        Assert.False(await Table.UpdateRow(Entry(1, SiloStatus.Dead), standing.Members[0].Item2, old.Next()));
        Assert.False(await Table.UpdateRow(Entry(1, SiloStatus.Dead), "7", standing.Version.Next()));
        Assert.False(await Table.UpdateRow(Entry(2), "0", standing.Version.Next()));

        Assert.Equal(standing.ToString(), (await Table.ReadAll()).ToString());
    }

    [Fact]
    public async Task Of_many_that_join_at_once_all_get_in_one_after_the_other()
    {
        const int Silos = 12;
        var refused = 0;
        await Task.WhenAll(Enumerable.Range(1, Silos).Select(number => Task.Run(async () =>
        {
            while (!await Table.InsertRow(Entry(number), (await Table.ReadAll()).Version.Next()))
            {
                Interlocked.Increment(ref refused);
            }
        })));

        var all = await Table.ReadAll();
        Assert.Equal((Silos, Silos), (all.Members.Count, all.Version.Version));
        Assert.True(refused > 0, "nobody lost: no contention");
    }

    [Fact]
    public async Task A_change_whose_answer_is_lost_is_sent_again_and_known()
    {
        Way.Next(StoreFault.CutAfter);
        Assert.True(await _store.Membership(Way).InsertRow(Entry(1), (await Table.ReadAll()).Version.Next()));
        var standing = await Table.ReadAll();
        Way.Next(StoreFault.CutAfter);
        Assert.True(await _store.Membership(Way).UpdateRow(Entry(1, SiloStatus.Dead), standing.Members[0].Item2, standing.Version.Next()));

        Assert.Equal((4, 2, SiloStatus.Dead), (Way.Sends, (await Table.ReadAll()).Version.Version, (await Table.ReadAll()).Members[0].Item1.Status));
    }

    [Fact]
    public async Task Rows_that_change_while_they_are_read_are_read_again()
    {
        await Table.InsertRow(Entry(1), (await Table.ReadAll()).Version.Next());
        var reads = 0;
        Way.BeforeSend = async () =>
        {
            if (++reads == 2) // The version is read, the rows are not.
            {
                Assert.True(await Table.InsertRow(Entry(2), (await Table.ReadAll()).Version.Next()));
            }
        };

        var read = await _store.Membership(Way).ReadAll();

        Assert.Equal((2, 2, 4), (read.Members.Count, read.Version.Version, reads));
    }

    [Fact]
    public async Task A_sign_of_life_changes_neither_tag_nor_version_and_revives_nobody()
    {
        await Table.InsertRow(Entry(1), (await Table.ReadAll()).Version.Next());
        var before = await Table.ReadAll();
        var alive = Entry(1, SiloStatus.Dead);
        alive.IAmAliveTime = Noon.AddMinutes(1);

        await Table.UpdateIAmAlive(alive);
        var error = await Assert.ThrowsAsync<StoreException>(() => Table.UpdateIAmAlive(Entry(2)));

        var (entry, tag) = Assert.Single((await Table.ReadAll()).Members);
        Assert.Equal((Noon.AddMinutes(1), SiloStatus.Active, before.Members[0].Item2), (entry.IAmAliveTime, entry.Status, tag));
        Assert.Equal(before.Version, (await Table.ReadAll()).Version);
        Assert.Contains("has no such silo", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Silos_that_ended_long_ago_are_taken_out_and_the_membership_goes_as_a_whole()
    {
        foreach (var entry in new[] { Entry(1), Entry(2, SiloStatus.Dead), Entry(3, SiloStatus.Dead) })
        {
            entry.IAmAliveTime = Noon.AddDays(entry.SiloAddress.Generation == 3 ? 1 : 0);
            await Table.InsertRow(entry, (await Table.ReadAll()).Version.Next());
        }

        await Table.CleanupDefunctSiloEntries(new DateTimeOffset(Noon.AddHours(1)));
        Assert.Equal([1, 3], (await Table.ReadAll()).Members.Select(member => member.Item1.SiloAddress.Generation).Order());

        await Table.DeleteMembershipTableEntries("other");
        Assert.Equal(2, (await Table.ReadAll()).Members.Count);
        await Table.DeleteMembershipTableEntries("test");
        Assert.Contains("has no VersionRow", (await Assert.ThrowsAsync<StoreException>(Table.ReadAll)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gateways_are_those_of_active_silos_that_take_clients()
    {
        var without = Entry(3);
        without.ProxyPort = 0;
        foreach (var entry in new[] { Entry(1), Entry(2, SiloStatus.Joining), without })
        {
            await Table.InsertRow(entry, (await Table.ReadAll()).Version.Next());
        }

        Assert.Equal("gwy.tcp://10.1.0.1:30000/1", Assert.Single(await new GatewayList(_store.Silos()).GetGateways()).ToString());
    }

    [Fact]
    public async Task A_membership_that_was_begun_is_not_begun_again()
    {
        await Table.InsertRow(Entry(1), (await Table.ReadAll()).Version.Next());

        await Table.InitializeMembershipTable(true);

        Assert.Equal(1, (await Table.ReadAll()).Version.Version);
    }

    [Fact]
    public async Task Silos_stand_in_the_layout_of_Orleans_own_provider()
    {
        await Table.InsertRow(Entry(1), (await Table.ReadAll()).Version.Next());

        var item = (await _store.Sdk.GetItemAsync(
            _store.Settings.MembershipTable, new() { ["DeploymentId"] = new("test"), ["SiloIdentity"] = new("10.1.0.1-11111-1") }, Cancellation)).Item;
        Assert.Equal(
            "Address=10.1.0.1 DeploymentId=test ETag=0 Generation=1 HostName=host IAmAliveTime=2026-11-25 12:00:00.123 GMT MembershipVersion=1 Port=11111 ProxyPort=30000 "
            + "SiloIdentity=10.1.0.1-11111-1 SiloName=silo SiloStatus=3 StartTime=2026-11-25 12:00:00.123 GMT",
            string.Join(' ', item.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value.S ?? pair.Value.N}")));
        Assert.Equal("1", (await _store.Sdk.GetItemAsync(
            new GetItemRequest(_store.Settings.MembershipTable, new() { ["DeploymentId"] = new("test"), ["SiloIdentity"] = new("VersionRow") }), Cancellation)).Item["MembershipVersion"].N);
    }

    internal static MembershipEntry Entry(int number, SiloStatus status = SiloStatus.Active) => new()
    {
        SiloAddress = SiloAddress.New(IPAddress.Parse($"10.1.0.{number}"), 11111, number),
        Status = status,
        ProxyPort = 30000,
        HostName = "host",
        SiloName = "silo",
        StartTime = Noon,
        IAmAliveTime = Noon,
        SuspectTimes = [],
    };
}
