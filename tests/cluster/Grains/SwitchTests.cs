using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>What grains do and leave undone while operators have switched something off.</summary>
public sealed class SwitchTests
{
    private const int Quiet = 12; // Syncs, each with ticks between.
    private static readonly string[] Changes = ["Assign", "Unassign", "Create", "Attach", "Modify", "SetDeleteOnTermination", "Detach", "Delete"];

    [Theory]
    [InlineData("all", "the cluster is frozen")]
    [InlineData("node", "i-")]
    [InlineData("subnet-a", "subnet-a is frozen")]
    public async Task What_is_frozen_is_left_as_it_is_and_a_pod_that_waits_is_told_by_whom_and_why(string target, string said)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 addresses");
        await executor.SyncAsync();
        Switch(world, target == "node" ? id : target, SwitchMode.Frozen);
        var before = ChangesOf(world);

        await executor.AddedAsync("first");
        await executor.AddedAsync("second");
        var waits = Assert.IsType<AssignReply.NotYet>(await executor.AddAsync("third"));
        await PassAsync(executor);

        Assert.Equal(ReasonCode.Frozen, waits.Why.Code);
        Assert.Contains(said, waits.Why.Text, StringComparison.Ordinal);
        Assert.Contains(", by ada", waits.Why.Text, StringComparison.Ordinal);
        Assert.Contains("a fire", waits.Why.Text, StringComparison.Ordinal);
        Assert.Equal(before, ChangesOf(world));

        world.Settings.Switches = [];
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length >= 4, "4 addresses once it is normal again");
    }

    [Fact]
    public async Task Where_one_subnet_is_frozen_pods_are_served_from_another_one()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1, Subnets = ["subnet-b"] });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address");
        await executor.SyncAsync();
        Switch(world, "subnet-a", SwitchMode.Frozen);
        await executor.AddedAsync("first");

        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length > 1, "an address of the other subnet");

        Assert.Contains(orders.Lease, leased => leased.Address.ToString().StartsWith("10.0.16.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task On_hold_addresses_are_drawn_and_none_is_returned_until_it_ends()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 5 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 5, "5 addresses");
        await executor.SyncAsync();
        Switch(world, "all", SwitchMode.Hold);
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 2 };
        world.Time.Shift(TimeSpan.FromMinutes(3));
        await PassAsync(executor);
        Assert.Equal(5, (await executor.SyncAsync()).Lease.Length);
        for (var pod = 0; pod < 5; pod++)
        {
            await executor.AddedAsync($"pod-{pod}");
        }

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 7, "what is drawn all the same");
        for (var pod = 0; pod < 5; pod++)
        {
            await executor.DeletedAsync($"pod-{pod}");
        }

        world.Time.Shift(TimeSpan.FromMinutes(3));
        await PassAsync(executor);
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Unassign", StringComparison.Ordinal));

        world.Settings.Switches = [];
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "the policy's 2");
    }

    [Fact]
    public async Task A_return_that_is_stored_waits_on_hold_and_goes_on_after_it()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 5 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 5, "5 addresses");
        world.Ec2.Fail("Unassign", Ec2Fault.NotAuthorized, times: 1000);
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 2 };
        world.Time.Shift(TimeSpan.FromMinutes(3));
        await GrainWorld.UntilAsync(executor, _ => Returns() > 0, "a first try");
        Switch(world, "subnet-a", SwitchMode.Hold);
        await executor.SyncAsync();
        var tries = Returns();
        world.Time.Shift(TimeSpan.FromMinutes(3));
        await PassAsync(executor);
        Assert.Equal(tries, Returns());
        Assert.Equal(2, (await executor.SyncAsync()).Lease.Length); // In nobody's lease from the moment when it was stored.

        world.Settings.Switches = [];
        await GrainWorld.UntilAsync(executor, _ => Returns() > tries, "another try");
        int Returns() => world.Ec2.Calls.Count(call => call.StartsWith("Unassign", StringComparison.Ordinal));
    }

    [Fact] // The node's own silo may not have heard of it yet.
    public async Task The_budget_gives_no_permit_for_what_is_switched_off_and_goes_on_giving_those_for_reading()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        Switch(world, "i-1", SwitchMode.Frozen);
        world.Settings.Switches = world.Settings.Switches.Add(new OperatorSwitch("subnet-b", SwitchMode.Hold, "ada", "a review", world.Time.GetUtcNow()));

        Task<TimeSpan?> TakeAsync(Ec2Action action, string node, string subnet) => quota.TakeForAsync(action, CallPriority.PodWaiting, node, node, subnet);
        Assert.Null(await TakeAsync(Ec2Action.AssignPrivateIpAddresses, "i-1", "subnet-a"));
        Assert.Null(await TakeAsync(Ec2Action.UnassignPrivateIpAddresses, "i-2", "subnet-b"));
        Assert.Equal(TimeSpan.Zero, await TakeAsync(Ec2Action.AssignPrivateIpAddresses, "i-2", "subnet-b"));
        Assert.Equal(TimeSpan.Zero, await TakeAsync(Ec2Action.DescribeInstances, "i-1", "subnet-b"));
        Assert.NotEqual(TimeSpan.Zero, await quota.TakeInTurnAsync(Ec2Action.CreateNetworkInterface, CallPriority.PodWaiting, "i-1")); // By a node of an older build.
    }

    [Theory]
    [InlineData(SwitchMode.Hold)]
    [InlineData(SwitchMode.Frozen)]
    public async Task What_nobody_has_is_cleaned_up_only_when_it_is_normal_again(SwitchMode mode)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 addresses");
        Switch(world, "subnet-a", mode);
        var leaked = new[] { "i-0123456789abcdef0", executor.Node.GetPrimaryKeyString() }.Select(node => world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni
        {
            SubnetId = "subnet-a", SecondaryCount = 1,
            Tags = new Dictionary<string, string> { ["cluster.k8s.amazonaws.com/name"] = "test", ["node.k8s.amazonaws.com/instance_id"] = node, ["aws-vpc-cni/intent"] = $"{node}/1.0.0" },
        }).Id)).ToArray();
        await SweepsAsync(world, executor, 12);
        Assert.All(leaked, eni => Assert.NotNull(world.Ec2.ByHand(vpc => vpc.FindEni(eni))));

        world.Settings.Switches = [];
        await SweepsAsync(world, executor, 12);
        Assert.All(leaked, eni => Assert.Null(world.Ec2.ByHand(vpc => vpc.FindEni(eni))));
    }

    private static void Switch(GrainWorld world, string target, SwitchMode mode) => world.Settings.Switches = [new OperatorSwitch(target, mode, "ada", "a fire", world.Time.GetUtcNow())];

    private static string[] ChangesOf(GrainWorld world) => [.. world.Ec2.Calls.Where(call => Changes.Any(change => call.StartsWith(change, StringComparison.Ordinal)))];

    private static async Task PassAsync(FakeExecutor executor)
    {
        var syncs = 0;
        await GrainWorld.UntilAsync(executor, _ => ++syncs == Quiet, "a second");
    }

    /// <summary>Each a minute of the silo's clock, and the sweep that is due then.</summary>
    private static async Task SweepsAsync(GrainWorld world, FakeExecutor executor, int times)
    {
        for (; times > 0; times--)
        {
            var swept = Swept();
            world.Time.Shift(TimeSpan.FromSeconds(61));
            await world.Grains.GetGrain<IVpcGrain>(GrainWorld.VpcId).PingAsync();
            await GrainWorld.UntilAsync(executor, _ => Swept() > swept, "a sweep");
        }

        int Swept() => world.Ec2.Calls.Count(call => call == "DescribeNetworkInterfaces eu-west-1a");
    }
}
