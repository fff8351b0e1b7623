using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Vpc;
using Xunit;
using CreateEni = AwsVpcCni.VpcEmulator.Model.CreateEni;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Reads of EC2 that fail, or take long, beside those that do not.</summary>
public sealed class VpcGrainTests
{
    private const string Listing = "DescribeNetworkInterfaces ";

    [Fact]
    public async Task An_impaired_zone_does_not_keep_the_others_from_being_swept()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 }, secondZone: "eu-west-1b");
        world.Ec2.BeforeListing = call => call == Listing + "eu-west-1a" ? throw Refusal(call) : Task.CompletedTask;

        await Vpc(world).PingAsync();

        await UntilAsync(async () => (await world.SubnetAsync("subnet-b")).ReadAt is not null, "the second zone to be swept");
        Assert.Null((await world.SubnetAsync()).ReadAt);
    }

    [Fact]
    public async Task A_subnet_that_could_not_be_read_is_read_later_and_the_others_at_once()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        await SweptAsync(world);
        var refusals = 0;
        world.Ec2.BeforeListing = call => call == Listing + "subnet-a" && Interlocked.Increment(ref refusals) == 1 ? throw Refusal(call) : Task.CompletedTask;

        await Vpc(world).ReadSubnetAsync("subnet-a");
        await Vpc(world).ReadSubnetAsync("subnet-b");

        await UntilAsync(() => Task.FromResult(Calls(world, "subnet-b") == 1), "subnet-b");
        await UntilAsync(() => Task.FromResult(Calls(world, "subnet-a") == 1), "subnet-a, the second time");
        Assert.Equal(2, refusals);
    }

    [Fact]
    public async Task Nodes_that_cannot_be_described_do_not_keep_subnets_from_being_read()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        world.Ec2.Fail("DescribeInstances", Ec2Fault.EffectUnknown, times: 1000);

        await (await world.JoinAsync(world.Launch())).SyncAsync();
        await UntilAsync(() => Task.FromResult(world.Ec2.Calls.Count(call => call.StartsWith("DescribeInstances", StringComparison.Ordinal)) > 1), "a second try");

        await Vpc(world).ReadSubnetAsync("subnet-a");
        await UntilAsync(() => Task.FromResult(Calls(world, "subnet-a") == 1), "subnet-a");
    }

    [Fact] // Simulation, seed 1555.
    public async Task Whom_another_activation_has_put_into_the_register_is_looked_at_with_the_next_sweep()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address");
        await SweptAsync(world);
        var register = GrainId.Create("vpc", world.Ec2.ByHand(vpc => vpc.Id));
        var (json, etag) = world.Documents.Read("vpc", register);
        var known = JsonSerializer.Deserialize<VpcDocument>(json!, DocumentJson.Options)!;
        world.Documents.Write("vpc", register, JsonSerializer.Serialize(known with { Nodes = known.Nodes.Add("i-0dead") }, DocumentJson.Options), etag);

        world.Time.Shift(world.Settings.Timing.SweepPeriod * 2);
        await UntilAsync(async () => (await Vpc(world).NodesAsync()).Contains("i-0dead"), "the register to be read");
        await UntilAsync(() => Task.FromResult(world.Ec2.Calls.Any(call => call.StartsWith("DescribeInstances", StringComparison.Ordinal) && call.Contains("i-0dead", StringComparison.Ordinal))), "a look at it");
        Assert.Contains(executor.Node.GetPrimaryKeyString(), await Vpc(world).NodesAsync());
    }

    [Fact]
    public async Task A_node_is_described_while_a_sweep_is_under_way()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await SweptAsync(world);
        var (begun, released) = (new TaskCompletionSource(), new TaskCompletionSource());
        world.Ec2.BeforeListing = call =>
        {
            if (call != Listing + "eu-west-1a")
            {
                return Task.CompletedTask;
            }

            begun.TrySetResult();
            return released.Task;
        };
        world.Time.Shift(world.Settings.Timing.SweepPeriod * 2);
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);

        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 addresses");

        Assert.Equal(1, Calls(world, "eu-west-1a")); // The second one still waits.
        released.SetResult();
        await UntilAsync(() => Task.FromResult(Calls(world, "eu-west-1a") == 2), "the sweep to go on");
    }

    [Fact] // bench-fleet: of 200 nodes that booted at once none ever had an address.
    public async Task More_nodes_than_a_call_can_name_join_at_once()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        string[] nodes = [.. Enumerable.Range(0, 420).Select(n => $"i-{n:x17}")];

        await Task.WhenAll(nodes.Select(id => Vpc(world).DescribeMeAsync(id, 0)));

        await UntilAsync(() => Task.FromResult(Described(world).Distinct().Count() == nodes.Length), "all nodes to be described");
        Assert.Equal(nodes.Length, Described(world).Count()); // None twice: no call was refused.
    }

    [Fact] // They have joined at different times: a look of its own for each would be some four calls a second for a thousand nodes.
    public async Task Looks_that_nobody_waits_for_gather_and_go_with_the_first_that_somebody_waits_for()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 }, timing: GrainWorld.Brisk with { RoutineWindow = TimeSpan.FromMinutes(1) });
        await SweptAsync(world);
        string[] nodes = [.. Enumerable.Range(0, 20).Select(n => $"i-{n:x17}")];
        foreach (var id in nodes)
        {
            await Vpc(world).LookAtMeAsync(id, 0);
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }

        Assert.Empty(Described(world));
        await Vpc(world).DescribeMeAsync("i-haste", 0);
        await Vpc(world).LookAtMeAsync("i-haste", 0); // Is in haste all the same.

        await UntilAsync(() => Task.FromResult(Described(world).Any()), "the batch");
        Assert.Equal([.. nodes, "i-haste"], Described(world).Order(StringComparer.Ordinal));
        Assert.Single(world.Ec2.Calls, call => call.StartsWith(Listing + "i-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Looks_that_nobody_waits_for_come_when_their_time_is_over()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 }, timing: GrainWorld.Brisk with { RoutineWindow = TimeSpan.FromMilliseconds(500) });
        await Vpc(world).LookAtMeAsync("i-one", 0);
        await Vpc(world).LookAtMeAsync("i-two", 0);

        await UntilAsync(() => Task.FromResult(Described(world).Any()), "the batch");
        Assert.Equal(["i-one", "i-two"], Described(world).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_node_asks_for_its_routine_look_with_others()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 }, timing: GrainWorld.Brisk with { RoutineWindow = TimeSpan.FromMinutes(1) });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address");
        await executor.SyncAsync();
        await Task.Delay(1000, TestContext.Current.CancellationToken); // What is asked for in haste has come.
        var before = Described(world).Count();

        world.Time.Shift(TimeSpan.FromMinutes(5.5));
        await executor.SyncAsync();
        await Task.Delay(1500, TestContext.Current.CancellationToken);
        Assert.Equal(before, Described(world).Count());
        world.Time.Shift(TimeSpan.FromMinutes(1.1));
        await UntilAsync(() => Task.FromResult(Described(world).Count() > before), "its look");
    }

    [Fact]
    public async Task A_look_that_gathers_does_not_keep_one_that_somebody_waits_for()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 }, timing: GrainWorld.Brisk with { RoutineWindow = TimeSpan.FromMinutes(1) });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address");
        await executor.SyncAsync();
        world.Time.Shift(TimeSpan.FromMinutes(5.5));
        foreach (var later in new[] { 0, 5, 9, 17 }) // Each asks again, and waits longer: now for more than the test does.
        {
            world.Time.Shift(TimeSpan.FromSeconds(later));
            await executor.SyncAsync();
            await Task.Delay(500, TestContext.Current.CancellationToken);
        }

        var before = Described(world).Count();
        world.Ec2.Fail("Assign", Ec2Fault.EffectUnknown, times: 1);
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 2 };
        await executor.SyncAsync();
        await UntilAsync(() => Task.FromResult(Described(world).Count() > before), "a look at what became of the draw");
    }

    [Fact]
    public async Task Is_swept_again_sooner_while_EC2_shows_what_no_ledger_had()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        await SweptAsync(world);
        for (int tries = 0, before = -1; before != Calls(world, "eu-west-1a"); tries++)
        {
            Assert.True(tries < 20, "There is nothing new, and each twenty seconds is a sweep.");
            before = Calls(world, "eu-west-1a");
            world.Time.Shift(TimeSpan.FromSeconds(20));
            await Task.Delay(1000, TestContext.Current.CancellationToken);
        }

        var used = (await world.SubnetAsync()).Used;
        world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" }));
        world.Time.Shift(TimeSpan.FromSeconds(65));
        await UntilAsync(async () => (await world.SubnetAsync()).Used > used, "the news");

        var known = Calls(world, "eu-west-1a");
        await Task.Delay(1000, TestContext.Current.CancellationToken); // The sweep's end.
        world.Time.Shift(TimeSpan.FromSeconds(20));
        await UntilAsync(() => Task.FromResult(Calls(world, "eu-west-1a") > known), "the next sweep");
    }

    private static IEnumerable<string> Described(GrainWorld world) => world.Ec2.Calls
        .Where(call => call.StartsWith(Listing + "i-", StringComparison.Ordinal)).SelectMany(call => call[Listing.Length..].Split(','));

    [Fact] // `ipam subnets --vpc` with a typing error made a second grain, which swept a VPC that is not ours for ever.
    public async Task Another_VPC_than_that_of_the_settings_is_refused_and_nothing_of_it_is_asked_of_EC2_or_kept()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        await SweptAsync(world);
        var asked = new List<string>();
        world.Ec2.BeforeListing = call =>
        {
            lock (asked)
            {
                asked.Add(call);
            }

            return Task.CompletedTask;
        };
        var (other, before) = (world.Grains.GetGrain<IVpcGrain>("vpc-0b"), world.Ec2.Calls.Count(call => call.StartsWith("DescribeSubnets", StringComparison.Ordinal)));

        foreach (var ask in (Func<Task>[])[other.SubnetsAsync, other.NodesAsync, other.PingAsync, () => world.Grains.GetGrain<IAddressHistoryGrain>("vpc-0b").WhoAsync(Ip.Parse("10.0.0.7"), null)])
        {
            var refused = await Assert.ThrowsAsync<WrongKeyException>(ask);
            Assert.Equal("vpc-0b is not the VPC of these silos, vpc-0a (Ec2:VpcId): nothing of it is read. Name that one, or none.", refused.Message);
        }

        await Task.Delay(500, TestContext.Current.CancellationToken); // Ten ticks of its timers, had it any.
        Assert.Equal((before, 0), (world.Ec2.Calls.Count(call => call.StartsWith("DescribeSubnets", StringComparison.Ordinal)), asked.Count));
        Assert.Null(world.Documents.Read("vpc", other.GetGrainId()).Json);
    }

    private static IVpcGrain Vpc(GrainWorld world) => world.Grains.GetGrain<IVpcGrain>(GrainWorld.VpcId);

    private static int Calls(GrainWorld world, string of) => world.Ec2.Calls.Count(call => call == Listing + of);

    private static Ec2Exception Refusal(string call) => new(Ec2Fault.EffectUnknown, "Unavailable", $"{call} refused, as the test wished");

    private static async Task SweptAsync(GrainWorld world)
    {
        await Vpc(world).PingAsync();
        await UntilAsync(async () => (await world.SubnetAsync()).ReadAt is not null, "the first sweep");
    }

    private static async Task UntilAsync(Func<Task<bool>> holds, string what)
    {
        for (var tries = 0; !await holds(); tries++)
        {
            Assert.True(tries < 100, $"waited 10 s for: {what}");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }
}
