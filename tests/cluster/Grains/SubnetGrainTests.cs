using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Messages to a subnet's ledger that come late or twice. The simulation has found these, seed 131.</summary>
public sealed class SubnetGrainTests
{
    private static readonly ImmutableArray<Block> Address = [new Block(Ip.Parse("10.0.0.9"))];

    [Fact]
    public async Task A_settlement_that_comes_after_the_return_of_its_address_does_not_take_it_from_everybody()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, free) = await ReadAsync(world);
        await ledger.SettleAsync("i-1/4", "i-1", 5, Address, []);
        await ledger.ReturnedAsync("i-1", 8, Address, isFree: true);

        await ledger.SettleAsync("i-1/4", "i-1", 5, Address, []);
        await ShareAsync(ledger, "i-1", 7, Address[0].First);

        Assert.Equal(free, (await ledger.SummarizeAsync()).Free);
    }

    [Fact]
    public async Task Who_holds_a_block_is_told_while_the_ledger_writes()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, _) = await ReadAsync(world);
        await ledger.SettleAsync("i-1/4", "i-1", 5, Address, []);
        var (writes, written) = (new TaskCompletionSource(), new TaskCompletionSource());
        world.Documents.BeforeWrite = name =>
        {
            writes.TrySetResult();
            return name == "subnet" ? written.Task : Task.CompletedTask;
        };
        var reserved = ledger.ReserveAsync(new ReserveRequest("i-3/1", "i-3", "eni-3", 2, [], Prefixes: false, WithPrimary: false));
        try
        {
            await writes.Task.WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System, TestContext.Current.CancellationToken);
            Assert.Equal(Address, await ledger.HeldByOursAsync(Address).WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System, TestContext.Current.CancellationToken));
            Assert.False(reserved.IsCompleted);
        }
        finally
        {
            written.SetResult();
        }

        Assert.Equal(2, (await reserved).Names.Length);
    }

    [Fact]
    public async Task What_one_node_gives_back_stays_with_the_node_that_lost_it_to_hands()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, _) = await ReadAsync(world);
        await ShareAsync(ledger, "i-1", 5, Address[0].First); // A pod of it has the address still.

        await ledger.ReturnedAsync("i-2", 8, Address, isFree: true);

        Assert.DoesNotContain(Address[0], (await ledger.ReserveAsync(new ReserveRequest("i-3/1", "i-3", "eni-3", 250, [], Prefixes: false, WithPrimary: false))).Names);
    }

    [Fact]
    public async Task A_return_that_comes_twice_leaves_the_address_to_the_node_that_has_drawn_it_since()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, free) = await ReadAsync(world);
        await ledger.SettleAsync("i-1/4", "i-1", 5, Address, []);
        await ledger.ReturnedAsync("i-1", 8, Address, isFree: true);
        await ledger.SettleAsync("i-2/1", "i-2", 2, Address, []);

        await ledger.ReturnedAsync("i-1", 8, Address, isFree: true);

        Assert.Equal(free - 1, (await ledger.SummarizeAsync()).Free);
        Assert.DoesNotContain(Address[0], (await ledger.ReserveAsync(new ReserveRequest("i-3/1", "i-3", "eni-3", 250, [], Prefixes: false, WithPrimary: false))).Names);
    }

    /// <summary>The one message in which it says that it holds nothing here any more can be lost.</summary>
    [Fact]
    public async Task What_a_node_has_given_back_is_not_held_by_it_any_more_whatever_it_said_before()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, free) = await ReadAsync(world);
        await ShareAsync(ledger, "i-1", 5, Address[0].First);
        await ledger.ReturnedAsync("i-1", 8, Address, isFree: true);
        await ledger.SettleAsync("i-2/1", "i-2", 2, Address, []);

        await ledger.ReturnedAsync("i-2", 3, Address, isFree: true);

        Assert.Equal(free, (await ledger.SummarizeAsync()).Free);
    }

    /// <summary>Else hands that take it from that one leave it free for a third. Simulation, seed 1806.</summary>
    [Fact]
    public async Task What_a_node_has_found_gone_another_one_can_say_it_has_drawn()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, _) = await ReadAsync(world);
        await ledger.SettleAsync("i-1/4", "i-1", 5, Address, []);
        await ledger.ReturnedAsync("i-1", 8, Address, isFree: false);

        await ledger.SettleAsync("i-2/1", "i-2", 2, Address, []);

        Assert.Equal(Address, await ledger.HeldByOursAsync(Address));
    }

    [Fact]
    public async Task What_no_node_says_it_holds_and_EC2_does_not_show_is_free_again_in_the_end()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, free) = await ReadAsync(world);
        world.Ec2.Fail("DescribeNetworkInterfaces", Ec2Fault.NotAuthorized, times: 1000); // It is read when the test says so, only.
        await ledger.SettleAsync("i-1/4", "i-1", 5, [new Block(Ip.Parse("10.0.0.8")), .. Address], []);
        await ShareAsync(ledger, "i-1", 6, Address[0].First);
        await ledger.SweptAsync(await SweepAsync(world, await ledger.ChangeNumberAsync()));
        Assert.Equal(free - 2, (await ledger.SummarizeAsync()).Free); // Its nodes may not have spoken yet.

        world.Time.Shift(TimeSpan.FromMinutes(11));
        await ledger.SweptAsync(await SweepAsync(world, await ledger.ChangeNumberAsync()));

        Assert.Equal(free - 1, (await ledger.SummarizeAsync()).Free);
    }

    [Fact]
    public async Task Names_set_aside_for_an_intent_that_does_not_stand_any_more_are_free_again()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, free) = await ReadAsync(world);
        await ledger.ReserveAsync(new ReserveRequest("i-1/4.0", "i-1", "eni-1", 3, [], Prefixes: false, WithPrimary: false, Change: 4));
        await ledger.ShareAsync("i-1", 3, new SubnetShare(0, 0, 0), [], []); // From before.
        await ledger.ShareAsync("i-1", 5, new SubnetShare(0, 0, 0), [], ["i-1/4.0"]);
        Assert.Equal(free - 3, (await ledger.SummarizeAsync()).Free);

        await ledger.ShareAsync("i-1", 6, new SubnetShare(0, 0, 0), [], []); // One-way: nobody says when it has come.

        for (var tries = 0; tries < 1000 && (await ledger.SummarizeAsync()).Free != free; tries++)
        {
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        Assert.Equal(free, (await ledger.SummarizeAsync()).Free);
    }

    /// <summary>EC2 frees what a terminated instance held; its node's grain learns of it much later. Seeds 158 and 213.</summary>
    [Fact]
    public async Task A_return_of_a_lost_instance_leaves_the_address_to_the_node_that_has_drawn_it_since()
    {
        await using var world = await GrainWorld.StartAsync(new());
        world.Ec2.Fail("DescribeNetworkInterfaces", Ec2Fault.NotAuthorized, times: 1000); // It is read when the test says so, only.
        var (ledger, free) = await ReadAsync(world);
        await ledger.SettleAsync("i-1/4", "i-1", 5, Address, []);
        await ledger.SettleAsync("i-2/1", "i-2", 2, Address, []);
        world.Time.Shift(TimeSpan.FromMinutes(10)); // The ledger keeps what was told it lately no longer than that.
        await ledger.SweptAsync(await SweepAsync(world, await ledger.ChangeNumberAsync(), Address[0].First));

        await ledger.ReturnedAsync("i-1", 8, Address, isFree: false);
        Assert.Equal(free - 1, (await ledger.SummarizeAsync()).Free);

        await ledger.SweptAsync(await SweepAsync(world, await ledger.ChangeNumberAsync()));
        Assert.Equal(free, (await ledger.SummarizeAsync()).Free); // It was nobody's.
    }

    [Fact]
    public async Task A_look_that_comes_after_a_later_one_does_not_bring_a_returned_address_back()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, free) = await ReadAsync(world);
        await ledger.SettleAsync("i-1/4", "i-1", 5, Address, []);
        var old = await SweepAsync(world, await ledger.ChangeNumberAsync(), Address[0].First);
        await ledger.ReturnedAsync("i-1", 8, Address, isFree: true);
        await ledger.SweptAsync(await SweepAsync(world, await ledger.ChangeNumberAsync()));

        await ledger.SweptAsync(old);

        Assert.Equal(free, (await ledger.SummarizeAsync()).Free);
    }

    /// <summary>Each half hour ten addresses more: when all are used is told, and the document has it for the next activation.</summary>
    [Fact]
    public async Task When_it_runs_dry_is_told_from_what_looks_have_shown()
    {
        await using var world = await GrainWorld.StartAsync(new());
        world.Ec2.Fail("DescribeNetworkInterfaces", Ec2Fault.NotAuthorized, times: 1000); // It is read when the test says so, only.
        var (ledger, free) = await ReadAsync(world);
        Assert.Null((await ledger.SummarizeAsync()).Dry);

        var used = 0;
        while (used < 100)
        {
            world.Time.Shift(TimeSpan.FromMinutes(30));
            used += 10;
            await ledger.SweptAsync(await SweepAsync(world, await ledger.ChangeNumberAsync(), [.. Enumerable.Range(100, used).Select(offset => Ip.Parse("10.0.0.0") + offset)]));
        }

        var summary = await ledger.SummarizeAsync();
        Assert.Equal((20, null), (summary.InAnHour, summary.InADay));
        var told = summary.Dry!;
        var expected = TimeSpan.FromMinutes(3 * (free - used));
        Assert.Equal((expected, expected, expected), (told.Early!.Value, told.Median!.Value, told.Late!.Value));
        var stored = JsonSerializer.Deserialize<SubnetUsage>(world.Documents.Read("subnet-usage", GrainId.Create("subnet", "subnet-a")).Json!, DocumentJson.Options)!;
        Assert.Equal(Enumerable.Range(0, 11).Select(slot => 10 * slot), stored.Past.Most);
    }

    [Fact]
    public async Task Of_an_address_that_nobody_holds_only_those_are_asked_that_EC2_shows_in_the_subnet_and_that_have_not_told_lately()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, used) = (world.Grains.GetGrain<ISubnetGrain>("subnet-a"), Ip.Parse("10.0.0.8"));
        Assert.Null(await ledger.HoldersOfAsync(Ip.Parse("10.0.0.200"))); // Not read yet.

        await ledger.SweptAsync(await SweepAsync(world, 0, used));
        Assert.Equal(["i-1"], await ledger.HoldersOfAsync(Ip.Parse("10.0.0.200")));
        await ShareAsync(ledger, "i-1", 5, used);
        Assert.Empty((await ledger.HoldersOfAsync(Ip.Parse("10.0.0.200")))!.Value);
        Assert.Equal(["i-1"], await ledger.HoldersOfAsync(used));
        world.Time.Shift(TimeSpan.FromMinutes(3)); // Its grain has ended with its silo.
        Assert.Equal(["i-1"], await ledger.HoldersOfAsync(Ip.Parse("10.0.0.200")));
    }

    [Fact]
    public async Task Who_has_drawn_an_address_or_is_shown_with_it_is_asked_though_it_has_told_of_others_only()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, told, shown, drawn) = (world.Grains.GetGrain<ISubnetGrain>("subnet-a"), Ip.Parse("10.0.0.8"), Ip.Parse("10.0.0.9"), Ip.Parse("10.0.0.10"));
        await ledger.SweptAsync(await SweepAsync(world, 0, told, shown));
        await ShareAsync(ledger, "i-1", 5, told);
        Assert.Equal(["i-1"], await ledger.HoldersOfAsync(shown));

        await ledger.SettleAsync("i-2/1", "i-2", 7, [new Block(drawn)], []);
        Assert.Equal(["i-2"], await ledger.HoldersOfAsync(drawn));
    }

    /// <summary>One-way: it has come when the ledger counts it.</summary>
    private static async Task ShareAsync(ISubnetGrain ledger, string node, long change, Ip address)
    {
        await ledger.ShareAsync(node, change, new SubnetShare(1, 0, 0), [address], []);
        for (var tries = 0; !(await ledger.SummarizeAsync()).Holders.ContainsKey(node); tries++)
        {
            Assert.True(tries < 1000, $"The ledger does not hear that {node} has {address}.");
        }
    }

    [Fact]
    public async Task A_look_told_against_the_one_before_is_as_good_as_the_whole_and_one_told_against_another_changes_nothing()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var (ledger, free) = await ReadAsync(world);
        UsedAddress Of(int n, string instance) => new(Ip.Parse("10.0.0.100") + n, "eni-1", instance);
        var first = await SweepAsync(world, await ledger.ChangeNumberAsync()) with { Used = [Of(0, "i-1"), Of(1, "i-1"), Of(2, "i-1")], Digest = "first" };
        Assert.Equal(LookEffect.News, await ledger.LookedAsync(first));
        Assert.Equal(LookEffect.AsKnown, await ledger.LookedAsync(first with { Used = [], Since = new EarlierLook("first", []) }));
        Assert.Equal(free - 3, (await ledger.SummarizeAsync()).Free);

        // One goes, one comes, and one changes its holder.
        var second = first with { Used = [Of(1, "i-2"), Of(3, "i-3")], Digest = "second", Since = new EarlierLook("first", [Of(0, "i-1"), Of(1, "i-1")]) };
        Assert.Equal(LookEffect.TellAll, await ledger.LookedAsync(second with { Since = new EarlierLook("another", []) }));
        Assert.Equal(free - 3, (await ledger.SummarizeAsync()).Free);
        Assert.Equal(LookEffect.News, await ledger.LookedAsync(second));
        Assert.Equal(free - 3, (await ledger.SummarizeAsync()).Free);
        Assert.Equal(LookEffect.TellAll, await ledger.LookedAsync(second)); // It has been taken in.
        var holders = (await ledger.ReserveAsync(new ReserveRequest("look", "i-9", "eni-9", 0, [], false, false))).Holders;
        Assert.Equal([("i-1", 1), ("i-2", 1), ("i-3", 1)], holders.Select(one => (one.Id, one.Addresses)));

        await ledger.SweptAsync(first with { Digest = null }); // By a silo of the build before.
        Assert.Equal(LookEffect.TellAll, await ledger.LookedAsync(first with { Used = [], Since = new EarlierLook("second", []) }));
    }

    private static async Task<(ISubnetGrain Ledger, long Free)> ReadAsync(GrainWorld world)
    {
        var ledger = world.Grains.GetGrain<ISubnetGrain>("subnet-a");
        await ledger.SweptAsync(await SweepAsync(world, 0));
        return (ledger, (await ledger.SummarizeAsync()).Free);
    }

    private static async Task<SubnetSweep> SweepAsync(GrainWorld world, long change, params Ip[] used) => new(
        (await world.Ec2.DescribeSubnetsAsync(GrainWorld.VpcId, TestContext.Current.CancellationToken)).First(subnet => subnet.SubnetId == "subnet-a"),
        [.. used.Select(address => new UsedAddress(address, "eni-1", "i-1"))], change, AreRangesAsked: true);
}
