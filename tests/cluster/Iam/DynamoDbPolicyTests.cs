using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage;
using AwsVpcCni.Silo.Storage.DynamoDb;
using AwsVpcCni.Tests.Cluster.Storage;
using Orleans.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Iam;

/// <summary>docs/iam/dynamodb.json grants what the silo does in DynamoDB, and nothing else.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class DynamoDbPolicyTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private static readonly DateTimeOffset Yesterday = TimeProvider.System.GetUtcNow().AddDays(-1); // The history goes back from now.

    private static readonly AddressRow Row = new()
    {
        NodeId = "i-1", Address = Ip.Parse("10.0.0.9"), Sandbox = new SandboxKey("a", "eth0"), Pod = new PodName("default", "a", "uid"), Stamp = new Stamp(1, 1), Since = Yesterday,
    };

    private static readonly AddressRow Ended = Row with { Released = Yesterday.AddMinutes(1) };

    private readonly DynamoDbStore _store = new(dynamo);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task Every_call_that_the_store_makes_is_granted_and_every_grant_is_used()
    {
        var tables = Watched.Of<IStore>(_store.Tables());
        await tables.OpenAsync(Cancellation);
        await tables.ProbeAsync(Cancellation);

        var book = Watched.Of<IAddressBook>(_store.Book());
        Assert.Null(await book.TryAssignAsync(Row, Cancellation));
        Assert.True(await book.TryReleaseAsync(Ended, Cancellation));
        Assert.True(await book.TryWithdrawAsync(Ended, Cancellation));
        Assert.True(await book.TryRemoveAsync(Row.NodeId, Row.Address, Cancellation));
        Assert.Empty(await book.ReadNodeAsync(Row.NodeId, Cancellation));
        Assert.Equal([Ended], await book.ReadHistoryAsync(Row.Address, Yesterday, Yesterday, Cancellation));

        var documents = Watched.Of<IGrainStorage>(_store.Documents());
        var state = new GrainState<List<int>>([1]);
        await documents.WriteStateAsync("document", GrainId.Create("node", "i-1"), state);
        await documents.ReadStateAsync("document", GrainId.Create("node", "i-1"), state);
        await documents.ClearStateAsync("document", GrainId.Create("node", "i-1"), state);

        var membership = Watched.Of<IMembershipTable>(_store.Membership());
        await membership.InitializeMembershipTableAsync(true, Cancellation);
        var entry = MembershipTableTests.Entry(1, SiloStatus.Dead);
        Assert.True(await membership.InsertRowAsync(entry, (await membership.ReadAllAsync(Cancellation)).Version.Next(), Cancellation));
        var (_, tag) = Assert.Single((await membership.ReadRowAsync(entry.SiloAddress, Cancellation)).Members);
        Assert.True(await membership.UpdateRowAsync(entry, tag, (await membership.ReadAllAsync(Cancellation)).Version.Next(), Cancellation));
        await membership.UpdateIAmAliveAsync(entry, Cancellation);
        Assert.Empty(await new GatewayList(_store.Silos()).GetGateways());
        await membership.CleanupDefunctSiloEntriesAsync(Yesterday.AddYears(1), Cancellation);
        await membership.DeleteMembershipTableEntriesAsync("test", Cancellation);

        Watched.AssertAllCalled(tables);
        Watched.AssertAllCalled(book);
        Watched.AssertAllCalled(documents);
        Watched.AssertAllCalled(membership);
        Assert.Equal(_store.Way.Policy!.Grants.Order(), _store.Way.Policy.Used.Order());
    }

    [Fact]
    public async Task Every_call_of_export_and_import_is_granted_and_every_grant_is_used()
    {
        await _store.Membership().InitializeMembershipTable(true);
        var contents = Watched.Of<IStoreContents>(_store.Contents());
        StoreRecord[] records = [new StoreRecord.Document("node/i-1", "document", "{}"), new StoreRecord.Address(Row), new StoreRecord.History(Ended)];
        contents.Check(records[0]);
        await contents.FillAsync("import", records.ToAsyncEnumerable(), Cancellation);
        Assert.Equal(records, await contents.ReadAsync(Cancellation).ToArrayAsync(Cancellation));

        Watched.AssertAllCalled(contents);
        Assert.Equal(_store.MovingWay.Policy!.Grants.Order(), _store.MovingWay.Policy.Used.Order());
    }

    [Fact]
    public async Task What_is_not_granted_is_told_with_action_and_table_and_has_no_effect()
    {
        await _store.OpenAsync();
        await _store.Membership().InitializeMembershipTable(true);
        var version = (await _store.Membership().ReadAll()).Version;
        var (grains, silos) = (_store.Settings.GrainTable, _store.Settings.MembershipTable);
        _store.Settings.GrainTable = _store.Settings.AddressTable; // GetItem is granted on documents and silos only.

        var error = await Assert.ThrowsAsync<StoreException>(
            () => _store.Documents().ReadStateAsync("document", GrainId.Create("node", "i-1"), new GrainState<List<int>>()));

        Assert.Equal(
            $"read document of node/i-1: the silo's role may not dynamodb:GetItem on table {_store.Settings.AddressTable} (AccessDeniedException: User: arn:aws:iam::123456789012:user/test is not authorized to perform: "
            + $"dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:123456789012:table/{_store.Settings.AddressTable} because no identity-based policy allows the dynamodb:GetItem action). Grant it; docs/iam has all that is needed.",
            error.Message);

        // A transaction is asked for each of its parts.
        (_store.Settings.GrainTable, _store.Settings.MembershipTable) = (grains, grains);
        Assert.Contains(
            $"the silo's role may not dynamodb:PutItem on table {grains}",
            (await Assert.ThrowsAsync<StoreException>(() => _store.Membership().InsertRow(MembershipTableTests.Entry(1), version.Next()))).Message, StringComparison.Ordinal);
        _store.Settings.MembershipTable = silos;
        Assert.Empty((await _store.Membership().ReadAll()).Members);
    }

    [Fact]
    public async Task Without_the_grant_to_make_tables_the_silo_starts_on_those_that_are_there()
    {
        var way = OpenWayWithout("MakeTables");

        var error = await Assert.ThrowsAsync<StoreException>(() => _store.Tables(way).OpenAsync(Cancellation));
        Assert.StartsWith(
            $"make table {_store.Settings.AddressTable}, which is not there (Storage:CreateTables): the silo's role may not dynamodb:CreateTable on table {_store.Settings.AddressTable} (AccessDeniedException: ",
            error.Message, StringComparison.Ordinal);

        await _store.OpenAsync();
        await _store.Tables(way).OpenAsync(Cancellation);
        Assert.Empty(await _store.Book(way).ReadNodeAsync("i-1", Cancellation));
    }

    [Fact]
    public async Task Without_the_grant_to_let_the_history_expire_the_silo_starts()
    {
        var way = OpenWayWithout("LetHistoryExpire");

        await _store.Tables(way).OpenAsync(Cancellation);

        Assert.Equal(["AccessDeniedException"], way.Refusals);
        Assert.Null((await _store.Sdk.DescribeTimeToLiveAsync(_store.Settings.HistoryTable, Cancellation)).TimeToLiveDescription?.AttributeName);
        Assert.Contains("the silo's role may not dynamodb:", (await Assert.ThrowsAsync<StoreException>(() => _store.Tables(way).CreateAsync(_store.Tables().OfStore[1], Cancellation))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Rows", "DeleteItem", 0)]
    [InlineData("History", "PutItem", 1)]
    [InlineData("Documents", "GetItem", 2)]
    public async Task Without_the_grant_to_use_one_table_the_silo_does_not_start_and_one_that_runs_is_not_ready(string statement, string action, int table)
    {
        await _store.OpenAsync();
        var tables = _store.Tables(OpenWayWithout(statement));
        var said = $"the silo's role may not dynamodb:{action} on table {_store.Tables().OfStore[table].Table} (AccessDeniedException: ";

        var atStart = await Assert.ThrowsAsync<StoreException>(() => tables.OpenAsync(Cancellation));
        var later = await Assert.ThrowsAsync<StoreException>(() => tables.ProbeAsync(Cancellation));

        Assert.All([atStart, later], error => Assert.Contains(said, error.Message, StringComparison.Ordinal));
        Assert.DoesNotContain(" Also: ", later.Message, StringComparison.Ordinal);
    }

    private DynamoDbProxy OpenWayWithout(string statement)
    {
        var copy = Repository.PolicyWithout(Repository.DynamoDbPolicy, statement);
        var way = _store.OpenWay(copy);
        File.Delete(copy);
        return way;
    }
}
