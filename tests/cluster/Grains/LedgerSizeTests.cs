using System.Collections.Immutable;
using System.Text;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Subnet;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>A ledger's document while very many nodes start in its subnet and no look ends: DynamoDB takes 400 KB in an item, and each KB is a write unit.</summary>
public sealed class LedgerSizeTests(ITestOutputHelper output)
{
    private const int Most = 250 * 1024;

    private static readonly Cidr Subnet = Cidr.Parse("10.0.0.0/16");

    [Theory]
    [InlineData(true, 1000, 1, false)] // A /28 for each of 1,000 nodes.
    [InlineData(true, 1000, 1, true)] // All have set theirs aside before the first draws it.
    [InlineData(false, 207, 29, true)] // 6,000 addresses, as nodes with 30 slots on an interface draw them.
    [InlineData(false, 6000, 1, false)] // 6,000 addresses, one by one.
    public async Task A_thousand_prefixes_or_six_thousand_addresses_in_two_minutes_leave_it_far_below_what_DynamoDB_takes(bool prefixes, int draws, int count, bool together)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        var ledger = world.Grains.GetGrain<ISubnetGrain>("subnet-of-many");
        await SweptAsync(ledger, 0);
        var largest = 0;
        var names = new List<Reservation>();
        foreach (var node in Enumerable.Range(0, draws))
        {
            names.Add(await ReserveAsync(node));
            await (together ? Task.CompletedTask : SettleAsync(node));
        }

        foreach (var node in Enumerable.Range(0, together ? draws : 0))
        {
            await SettleAsync(node);
        }

        output.WriteLine($"{draws} draws of {count} {(prefixes ? "prefixes" : "addresses")}: {largest} bytes at most");
        Assert.InRange(largest, 1, Most);
        var size = prefixes ? Block.PrefixSize : 1;
        Assert.Equal(draws * count, names.SelectMany(one => one.Names).Distinct().Count());
        Assert.Equal(draws * count * size, (await ledger.SummarizeAsync()).Used);
        Assert.Equal(count, (await ReserveAsync(draws)).Names.Length); // It goes on.

        async Task<Reservation> ReserveAsync(int node)
        {
            var told = await ledger.ReserveAsync(new ReserveRequest($"{Node(node)}/12.0", Node(node), "eni-0123456789abcdef0", count, [], prefixes, WithPrimary: false, Change: 12));
            Look();
            return told;
        }

        async Task SettleAsync(int node)
        {
            await ledger.SettleAsync($"{Node(node)}/12.0", Node(node), 12, names[node].Names, []);
            Look();
        }

        void Look() => largest = Math.Max(largest, Encoding.UTF8.GetByteCount(world.Documents.Read("subnet", GrainId.Create("subnet", "subnet-of-many")).Json ?? ""));
    }

    [Fact]
    public async Task A_look_that_may_not_have_seen_what_is_too_old_to_be_on_record_changes_nothing_and_the_next_one_does()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        var ledger = world.Grains.GetGrain<ISubnetGrain>("subnet-of-many");
        await SweptAsync(ledger, 0);
        ImmutableArray<Block> first = [new Block(Subnet.Base + 4096)];
        await ledger.SettleAsync("i-1/1", "i-1", 1, first, []);
        await ledger.ReturnedAsync("i-1", 2, first, isFree: true);
        var started = await ledger.ChangeNumberAsync() - 2;
        var last = await DrawAsync(0, 3000);

        await SweptAsync(ledger, started, first[0].First); // It began before the draw and the return, both too long ago to stand there.

        var summary = await ledger.SummarizeAsync();
        Assert.Equal((3000, 3000), (summary.Used, last - started - 2));

        await SweptAsync(ledger, last, [first[0].First, .. Enumerable.Range(0, 3000).Select(Drawn)]);
        Assert.Equal(3001, (await ledger.SummarizeAsync()).Used); // Somebody else has it.

        async Task<long> DrawAsync(int from, int count)
        {
            foreach (var number in Enumerable.Range(from, count))
            {
                await ledger.SettleAsync($"{Node(number)}/1", Node(number), 1, [new Block(Drawn(number))], []);
            }

            return await ledger.ChangeNumberAsync();
        }
    }

    private static Ip Drawn(int number) => Subnet.Base + 8192 + (2 * number); // No block of 16 is whole.

    private static string Node(int number) => $"i-{number:x17}";

    private static Task SweptAsync(ISubnetGrain ledger, long started, params Ip[] used) => ledger.SweptAsync(new SubnetSweep(
        new Ec2Subnet("subnet-of-many", GrainWorld.VpcId, "eu-west-1a", Subnet, 65531, ImmutableSortedDictionary<string, string>.Empty),
        [.. used.Select(address => new UsedAddress(address, "eni-1", "i-1"))], started, AreRangesAsked: true));
}
