using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Rows 22 to 24 of the reference's acceptance list (vpc-cni.md section 10) as far as grains go: pods' interfaces are in the subnet and with the groups that custom networking names. The
/// node's own subnet is subnet-a, its group sg-1.</summary>
public sealed class CustomNetworkingTests
{
    private static readonly PoolPolicy InB = new() { WarmIps = 2, CustomNetworking = true, NetworkFrom = "ENIConfig b", Subnets = ["subnet-b"], SecurityGroups = ["sg-2"] };

    [Fact] // Row 22; and max-pods, (ENIs - 1) x (IPs - 1) + 2.
    public async Task Pods_get_addresses_of_its_subnet_alone_and_the_primary_interface_gives_none()
    {
        await using var world = await GrainWorld.StartAsync(InB);
        var executor = await JoinedAsync(world);

        executor.Waiting.AddRange(Enumerable.Range(0, 18).Select(pod => new Waiter(new SandboxKey($"p{pod}", "eth0"), new PodName("default", $"p{pod}", ""), executor.NextStamp(), 0)));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 18, "18 addresses");
        await executor.SyncAsync(); // It says that its interfaces are set up.
        foreach (var (sandbox, pod, stamp, _) in executor.Waiting)
        {
            var offered = Assert.IsType<AssignReply.Offered>(await executor.AddAsync(sandbox.ContainerId, stamp));
            executor.Claims.Add(offered.Address, new Claim(sandbox, pod, offered.Address, offered.EniId, stamp, 0));
        }

        executor.Waiting.Clear();

        await executor.SyncAsync();

        Assert.IsType<AssignReply.Never>(await executor.AddAsync("one-too-many"));
        Assert.All(executor.Leased, address => Assert.Equal("subnet-b", Of(address)));
        Assert.Equal((18, 20), await executor.Node.SummarizeAsync() is var summary ? (summary.Capacity, summary.MaxPods) : default);
        Assert.All(Secondary(world), eni => Assert.Equal(("subnet-b", "sg-2"), (eni.Subnet.Id, Assert.Single(eni.Groups))));
        Assert.Equal(1, world.Ec2.ByHand(vpc => vpc.Enis.Single(eni => eni.Attachment?.DeviceIndex == 0).Slots));
    }

    [Fact] // Row 24.
    public async Task Without_groups_they_are_those_of_the_primary_interface()
    {
        await using var world = await GrainWorld.StartAsync(InB with { SecurityGroups = [] });
        await JoinedAsync(world);
        Assert.Equal("sg-1", Assert.Single(Assert.Single(Secondary(world)).Groups));
    }

    [Theory] // Row 23.
    [InlineData("", "ENIConfig b names none.")]
    [InlineData("subnet-elsewhere", "ENIConfig b names subnet-elsewhere; it is not of this zone, or not of vpc-0a.")]
    public async Task Without_a_subnet_pods_wait_and_are_told_why_until_there_is_one(string subnet, string why)
    {
        await using var world = await GrainWorld.StartAsync(InB with { Subnets = subnet.Length == 0 ? [] : [subnet] });
        var executor = await world.JoinAsync(world.Launch());
        AssignReply? said = null;
        var stamp = new Stamp(1, 1);
        await GrainWorld.UntilAsync(executor, async orders => orders.Interfaces.Length == 1 && (said = await executor.AddAsync("waits", stamp = executor.NextStamp())) is AssignReply.NotYet { Why.Code: ReasonCode.SubnetExcluded }, "the reason");
        Assert.Contains(why, Assert.IsType<AssignReply.NotYet>(said).Why.Text, StringComparison.Ordinal);

        world.Settings.Pool = InB;
        executor.Waiting.Add(new Waiter(new SandboxKey("waits", "eth0"), new PodName("default", "waits", ""), stamp, 1));
        await GrainWorld.UntilAsync(executor, async _ => await executor.AddAsync("waits", stamp) is AssignReply.Offered, "an address");
    }

    [Theory]
    [InlineData("")]
    [InlineData("subnet-elsewhere")] // Of another zone.
    public async Task What_there_is_serves_on_while_no_subnet_is_known(string subnet)
    {
        await using var world = await GrainWorld.StartAsync(InB);
        var executor = await JoinedAsync(world);
        world.Settings.Pool = InB with { Subnets = subnet.Length == 0 ? [] : [subnet], SecurityGroups = subnet.Length == 0 ? [] : ["sg-1"] };
        await executor.SyncAsync();

        Assert.Equal("subnet-b", Of(await executor.AddedAsync("pod")));
        await Task.Delay(5 * world.Settings.Timing.WorkPeriod, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("SetGroups", StringComparison.Ordinal));
    }

    [Theory] // Of a node that had none: pods would wait for the addresses that it gives back.
    [InlineData("")]
    [InlineData("subnet-elsewhere")]
    public async Task What_the_primary_interface_holds_from_before_serves_on_while_no_subnet_is_known(string subnet)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "addresses of its own subnet");
        await executor.SyncAsync();
        var before = executor.Leased.Order().ToArray();

        var unknown = new PoolPolicy { WarmIps = 1, CustomNetworking = true, Subnets = subnet.Length == 0 ? [] : [subnet] }; // Three are beyond its target, and could not be had again.
        world.Settings.Pool = unknown;
        for (var second = 0; second < 60; second++)
        {
            world.Time.Shift(TimeSpan.FromSeconds(10)); // All have rested.
            await executor.SyncAsync();
        }

        Assert.Equal(before, executor.Leased.Order());
        foreach (var pod in new[] { "p0", "p1", "p2", "p3" })
        {
            Assert.Contains(await executor.AddedAsync(pod), before);
        }

        AssignReply? said = null;
        await GrainWorld.UntilAsync(executor, async _ => (said = await executor.AddAsync("one-too-many")) is AssignReply.NotYet { Why.Code: ReasonCode.SubnetExcluded }, "the reason");
        Assert.Equal(20, (await executor.Node.SummarizeAsync()).MaxPods);
        Assert.Equal(before, executor.Leased.Order());

        world.Settings.Pool = InB;
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 2, "an interface in its subnet");
        Assert.All(before, address => Assert.Contains(address, executor.Leased)); // On pods.
    }

    [Fact]
    public async Task In_another_subnet_its_pods_stay_and_new_ones_are_there()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "addresses of its own subnet");
        await executor.SyncAsync();
        var before = await executor.AddedAsync("before");

        world.Settings.Pool = InB; // While the node runs, which amazon-vpc-cni-k8s does not follow.
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 2 && executor.Leased.Count(address => Of(address) == "subnet-a") == 1, "an interface in subnet-b, and all that is free of subnet-a given back");
        await executor.SyncAsync();

        Assert.Equal("subnet-b", Of(await executor.AddedAsync("after")));
        Assert.Contains(before, executor.Leased);
    }

    [Fact]
    public async Task Other_groups_are_put_on_what_is_there_and_tried_again_when_they_are_refused()
    {
        await using var world = await GrainWorld.StartAsync(InB with { SecurityGroups = ["sg-1"] });
        var executor = await JoinedAsync(world);
        const int Refusals = 7; // 10, 20, 40, 80, and then each 120 s.
        world.Ec2.Fail("SetGroups", Ec2Fault.NotFound, times: Refusals);
        var began = world.Time.GetUtcNow();
        world.Settings.Pool = InB;

        await GrainWorld.UntilAsync(executor, _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            return Secondary(world).All(eni => eni.Groups.SequenceEqual(["sg-2"]));
        }, "the other group");
        Assert.Equal("sg-1", world.Ec2.ByHand(vpc => vpc.Enis.Single(eni => eni.Attachment?.DeviceIndex == 0).Groups.Single())); // Not ours to change.
        var calls = world.Ec2.Calls.Count(call => call.StartsWith("SetGroups", StringComparison.Ordinal));
        Assert.Equal(Refusals + 1, calls);
        Assert.True(world.Time.GetUtcNow() - began > TimeSpan.FromSeconds(10 + 20 + 40 + 80 + 120 + 120 + 120));
        await executor.SyncAsync();
        await Task.Delay(5 * world.Settings.Timing.WorkPeriod, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.Equal(calls, world.Ec2.Calls.Count(call => call.StartsWith("SetGroups", StringComparison.Ordinal)));
    }

    [Fact] // As amazon-vpc-cni-k8s does without custom networking.
    public async Task The_primary_interfaces_groups_are_followed_by_those_that_the_node_has_made()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 2, "an interface more");
        world.Ec2.ByHand(vpc =>
        {
            vpc.ModifyGroups(vpc.Enis.Single(eni => eni.Attachment?.DeviceIndex == 0).Id, ["sg-2", "sg-1"]);
            return 0;
        });

        await GrainWorld.UntilAsync(executor, _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(10));
            return Secondary(world).All(eni => eni.Groups.Order().SequenceEqual(["sg-1", "sg-2"]));
        }, "both groups");
    }

    private static async Task<FakeExecutor> JoinedAsync(GrainWorld world)
    {
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 addresses");
        await executor.SyncAsync();
        return executor;
    }

    private static Eni[] Secondary(GrainWorld world) => world.Ec2.ByHand(vpc => vpc.Enis.Where(eni => eni.Attachment?.DeviceIndex > 0).ToArray());

    private static string Of(Ip address) => Cidr.Parse("10.0.16.0/24").Contains(address) ? "subnet-b" : "subnet-a";
}
