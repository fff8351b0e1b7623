using System.Collections.Immutable;
using System.Text;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>A ledger's document while very many nodes start in its subnet and no look ends: DynamoDB takes 400 KB in an item, and each KB is a write unit.</summary>
public sealed class LedgerSizeTests(ITestOutputHelper output)
{
    private const int Most = 250 * 1024, MostWithTakingsOver = 390 * 1024;

    private static readonly Cidr Subnet = Cidr.Parse("10.0.0.0/16");

    [Theory]
    [InlineData(true, 1000, 1, false)] // A /28 for each of 1,000 nodes.
    [InlineData(true, 1000, 1, true)] // As many as may have set theirs aside before the first draws it.
    [InlineData(false, 207, 29, true)] // 6,000 addresses, as nodes with 30 slots on an interface draw them.
    [InlineData(false, 6000, 1, false)] // 6,000 addresses, one by one.
    public async Task A_thousand_prefixes_or_six_thousand_addresses_in_two_minutes_leave_it_far_below_what_DynamoDB_takes(bool prefixes, int draws, int count, bool together)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        var ledger = world.Grains.GetGrain<ISubnetGrain>("subnet-of-many");
        await SweptAsync(ledger, 0);
        var (largest, most) = (0, 0);
        var names = new Dictionary<int, ImmutableArray<Block>>();
        for (var open = Enumerable.Range(0, draws).ToArray(); open.Length > 0;)
        {
            List<int> aside = [];
            foreach (var node in open)
            {
                var told = await ReserveAsync(node);
                Assert.Equal((told.IsCrowded, told.IsCrowded ? 0 : count), (!told.Known, told.Names.Length));
                if (told.Known)
                {
                    names[node] = told.Names;
                    aside.Add(node);
                    await (together ? Task.CompletedTask : SettleAsync(node));
                }
            }

            foreach (var node in together ? aside : [])
            {
                await SettleAsync(node);
            }

            most = Math.Max(most, aside.Count);
            Assert.NotEmpty(aside);
            open = [.. open.Except(aside)]; // They ask again.
        }

        output.WriteLine($"{draws} draws of {count} {(prefixes ? "prefixes" : "addresses")}, {most} at once: {largest} bytes at most");
        Assert.InRange(largest, 1, Most);
        var size = prefixes ? Block.PrefixSize : 1;
        Assert.Equal(draws * count, names.Values.SelectMany(one => one).Distinct().Count());
        Assert.Equal(draws * count * size, (await ledger.SummarizeAsync()).Used);
        Assert.Equal(count, (await ReserveAsync(draws)).Names.Length); // It goes on.

        async Task<Reservation> ReserveAsync(int node)
        {
            var told = await ledger.ReserveAsync(Request(node, count, prefixes));
            Look();
            return told;
        }

        async Task SettleAsync(int node)
        {
            await ledger.SettleAsync($"{Node(node)}/12.0", Node(node), 12, names[node], []);
            Look();
        }

        void Look() => largest = Math.Max(largest, Size(world));
    }

    [Fact]
    public async Task Of_what_is_set_aside_at_once_the_second_half_is_for_pods_that_wait_and_the_last_quarter_not_for_new_interfaces()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        var ledger = world.Grains.GetGrain<ISubnetGrain>("subnet-of-many");
        await SweptAsync(ledger, 0);
        var node = 0;
        async Task<int> AsideAsync(int waiting, bool isNew)
        {
            var first = node;
            for (; !(await ledger.ReserveAsync(Request(node, 10, false) with { Waiting = waiting, WithPrimary = isNew })).IsCrowded; node++)
            {
                Assert.InRange(node, 0, 1000);
            }

            return node - first;
        }

        int[] aside = [await AsideAsync(0, false), await AsideAsync(1, true), await AsideAsync(1, false)];
        output.WriteLine($"{aside[0]} for none, then {aside[1]} interfaces for pods, then {aside[2]} draws for pods");
        Assert.InRange(aside[1], aside[0] / 3, aside[0]);
        Assert.InRange(aside[2], aside[0] / 3, aside[0]);
        Assert.Equal(0, await AsideAsync(0, true));
        Assert.Equal(10, (await ledger.ReserveAsync(Request(0, 10, false))).Names.Length); // Who has some is told them again,
        Assert.True((await ledger.ReserveAsync(Request(9999, 0, false))).Known); // and who only asks what there is, too.
    }

    [Theory]
    [InlineData(true, 3000)] // A /28 each.
    [InlineData(false, 700)] // 29 addresses each, no two side by side.
    public async Task Very_many_nodes_that_come_with_addresses_at_once_are_taken_over_some_after_others(bool prefixes, int nodes)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        var ledger = world.Grains.GetGrain<ISubnetGrain>("subnet-of-many");
        await SweptAsync(ledger, 0);
        var (largest, most) = (0, 0);
        for (var open = Enumerable.Range(0, nodes).ToArray(); open.Length > 0;)
        {
            List<int> over = [];
            foreach (var node in open)
            {
                try
                {
                    Assert.Empty(await ledger.TakeOverAsync(Node(node), 1, Has(node)));
                    over.Add(node);
                    largest = Math.Max(largest, Size(world));
                }
                catch (InvalidOperationException e)
                {
                    Assert.Contains("asks again", e.Message, StringComparison.Ordinal);
                }
            }

            Assert.Empty(await ledger.TakeOverAsync(Node(over[0]), 1, Has(over[0]))); // Who has asked may ask again.
            foreach (var node in over)
            {
                await ledger.ShareAsync(Node(node), 2, new SubnetShare(0, 0, 16), [.. Has(node).SelectMany(block => block.Addresses)], []); // Its document is written.
            }

            most = Math.Max(most, over.Count);
            open = [.. open.Except(over)];
        }

        output.WriteLine($"{most} at once: {largest} bytes at most");
        Assert.InRange(largest, 1, MostWithTakingsOver);
        for (var tries = 0; Json(world).Contains("\"takingOver\":[{", StringComparison.Ordinal); tries++)
        {
            Assert.True(tries < 3000, "60 s after the last share, a taking over is still noted"); // A share has no answer.
            await Task.Delay(TimeSpan.FromMilliseconds(20), TestContext.Current.CancellationToken);
        }

        Assert.Equal(Enumerable.Range(0, nodes).Sum(node => Has(node).Sum(block => block.Size)), (await ledger.SummarizeAsync()).Leased);

        ImmutableArray<Block> Has(int node) => prefixes ? [new(Subnet.Base + 4096 + (16 * node), IsPrefix: true)] : [.. Enumerable.Range(29 * node, 29).Select(number => new Block(Drawn(number)))];
    }

    [Fact]
    public void What_a_silo_of_before_has_noted_of_takings_over_is_understood()
    {
        var doc = new SubnetDocument { TakenOver = [new(Subnet.Base + 9, "i-1", 3), new(Subnet.Base + 10, "i-1", 3), new(Subnet.Base + 11, "i-2", 1)] };
        Assert.Equal(["i-1 3 10.0.0.9 10.0.0.10", "i-2 1 10.0.0.11"], doc.AllTakingOver().Select(one => $"{one.NodeId} {one.NodeChange} {string.Join(' ', one.Blocks)}"));
        Assert.Empty(doc.WithTakingOver([]).AllTakingOver());
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

    private static int Size(GrainWorld world) => Encoding.UTF8.GetByteCount(Json(world));

    private static string Json(GrainWorld world) => world.Documents.Read("subnet", GrainId.Create("subnet", "subnet-of-many")).Json ?? "";

    private static ReserveRequest Request(int node, int count, bool prefixes) =>
        new($"{Node(node)}/12.0", Node(node), "eni-0123456789abcdef0", count, [], prefixes, WithPrimary: false, Change: 12);

    private static string Node(int number) => $"i-{number:x17}";

    private static Task SweptAsync(ISubnetGrain ledger, long started, params Ip[] used) => ledger.SweptAsync(new SubnetSweep(
        new Ec2Subnet("subnet-of-many", GrainWorld.VpcId, "eu-west-1a", Subnet, 65531, ImmutableSortedDictionary<string, string>.Empty),
        [.. used.Select(address => new UsedAddress(address, "eni-1", "i-1"))], started, AreRangesAsked: true));
}
