using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>In which subnets a node's further interfaces may be. Its own, subnet-a, has eleven addresses, and more are wanted.</summary>
public sealed class SubnetsOfPodsTests
{
    [Fact]
    public async Task The_subnet_of_an_interface_that_is_not_ours_is_no_place_for_pods()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 20, Thrift = false }, "10.0.0.0/28");
        var id = world.Launch();
        world.Ec2.ByHand(vpc => vpc.AttachNetworkInterface(vpc.CreateNetworkInterface(new CreateEni
        {
            SubnetId = "subnet-b", Tags = new Dictionary<string, string> { ["node.k8s.amazonaws.com/no_manage"] = "true" },
        }).Id, id, 1));
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, async _ => (await executor.Node.SummarizeAsync()).Trouble?.Contains("subnet-a", StringComparison.Ordinal) == true, "subnet-a to have no more");
        var syncs = 0;
        await GrainWorld.UntilAsync(executor, _ => ++syncs == 20, "two seconds");

        Assert.Equal(1, Made(world)); // The one that was there.
    }

    [Fact]
    public async Task A_node_may_have_subnets_of_its_own()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy(), "10.0.0.0/28");
        var id = world.Launch();
        world.Settings.NodePools = world.Settings.NodePools.Add(id, new PoolPolicy { WarmIps = 15, Subnets = ["subnet-b"] });
        var executor = await world.JoinAsync(id);

        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length >= 15, "15 addresses");

        Assert.Equal(["10.0.0.0/28", "10.0.16.0/24"], orders.Interfaces.Select(eni => eni.SubnetCidr.ToString()).Distinct()); // What is left of its own is for the first or the second of a plan: both ask at once.
    }

    [Fact]
    public async Task An_interface_on_its_way_into_a_subnet_that_the_policy_has_dropped_keeps_its_gateway()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 15, Subnets = ["subnet-b"] }, "10.0.0.0/28");
        world.Ec2.Fail("Attach", Ec2Fault.EffectUnknown, times: 4); // Each a look, and none shows it attached.
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.Calls.Any(call => call.StartsWith("Attach", StringComparison.Ordinal)), "the first attach");

        world.Settings.Pool = world.Settings.Pool with { Subnets = [] };
        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 2, "the interface that was made before");

        Assert.Equal(["10.0.0.0/28", "10.0.16.0/24"], orders.Interfaces.Select(eni => eni.SubnetCidr.ToString()));
    }

    private static int Made(GrainWorld world) => world.Ec2.ByHand(vpc => vpc.Enis.Count(eni => eni.Subnet.Id == "subnet-b"));
}
