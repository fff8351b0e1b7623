using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>What becomes of a subnet of 59 addresses when its nodes keep ready what pods of another one need.</summary>
public sealed class ThriftTests
{
    private static readonly PoolPolicy Nine = new() { WarmIps = 9, MaxEnis = 1 };

    [Fact]
    public async Task On_a_low_subnet_nodes_give_back_what_they_keep_ready_but_for_one_and_draw_it_again_when_there_is_plenty()
    {
        await using var world = await GrainWorld.StartAsync(Nine, "10.0.0.0/26");
        var executors = await HoardAsync(world, nodes: 6);
        await UntilAsync(world, executors, () => executors.All(one => one.Leased.Count == 1), "one address on each");
        Assert.Equal((SubnetLevel.Low, 6 * 8), await world.SubnetAsync() is var low ? (low.Level, low.Withheld) : default);

        world.Settings.Pool = Nine with { WarmIps = 2 }; // Then twelve would be wanted of 53.
        await UntilAsync(world, executors, () => executors.All(one => one.Leased.Count == 2), "two addresses on each");
        Assert.Equal(SubnetLevel.Plenty, (await world.SubnetAsync()).Level);
    }

    [Fact]
    public async Task What_is_kept_ready_goes_to_pods_of_a_node_that_finds_the_subnet_dry_and_a_pod_keeps_what_it_has()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1, MaxEnis = 1 }, "10.0.0.0/27"); // 27 addresses.
        var givers = await HoardAsync(world, nodes: 8); // Each has its own, and one ready.
        foreach (var giver in givers)
        {
            await giver.SyncAsync(); // Its interface is set up.
            await giver.AddedAsync("pod");
        }

        await UntilAsync(world, givers, () => givers.All(one => one.Leased.Count == 2), "another one to be ready on each");
        var taker = await world.JoinAsync(world.Launch());
        var all = givers.Append(taker).ToArray();
        await UntilAsync(world, all, () => taker.Leased.Count > 0, "the last addresses to be drawn");
        taker.Waiting.AddRange(Enumerable.Range(0, 9).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", $"pod-{pod}", ""), taker.NextStamp(), 1)));

        await UntilAsync(world, all, () => taker.Leased.Count >= 9, "what the givers kept ready");

        Assert.All(givers, giver => Assert.All(giver.Claims.Keys, address => Assert.Contains(address, giver.Leased)));
        Assert.Contains(world.Metrics.Nodes, node => node.LastRecall is { SubnetId: "subnet-a", Addresses: > 0 }); // Of which an event is made (ClusterReporterTests).
        Assert.InRange(givers.Sum(giver => giver.Leased.Count), givers.Count, givers.Count + 1); // All have a pod, nine nodes an address of their own, and that makes 26 of 27.
    }

    [Fact] // It would be asked again and again: it has most.
    public async Task A_node_whose_executor_is_away_is_not_asked_for_what_it_cannot_give()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1, MaxEnis = 1 }, "10.0.0.0/27");
        var silent = world.Launch();
        world.Settings.NodePools = world.Settings.NodePools.Add(silent, world.Settings.Pool with { WarmIps = 5 });
        await GrainWorld.UntilAsync(await world.JoinAsync(silent), orders => orders.Lease.Length == 5, "5 addresses of the one that is away from now on");
        var givers = await HoardAsync(world, nodes: 4);
        foreach (var giver in givers)
        {
            await giver.SyncAsync(); // Its interface is set up.
            await giver.AddedAsync("pod");
        }

        await UntilAsync(world, givers, () => givers.All(one => one.Leased.Count == 2), "another one to be ready on each");
        var taker = await world.JoinAsync(world.Launch());
        var all = givers.Append(taker).ToArray();
        await UntilAsync(world, all, () => taker.Leased.Count == 1, "its own");
        world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = vpc.FindSubnet("subnet-a")!.AvailableIpAddressCount - 1 }));
        taker.Waiting.AddRange(Enumerable.Range(0, 4).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", $"pod-{pod}", ""), taker.NextStamp(), 1)));

        await UntilAsync(world, all, () => taker.Leased.Count >= 4, "what the others kept ready");
    }

    [Fact]
    public async Task Where_the_policy_knows_no_thrift_everybody_keeps_what_it_has()
    {
        await using var world = await GrainWorld.StartAsync(Nine with { Thrift = false }, "10.0.0.0/26");
        var executors = await HoardAsync(world, nodes: 6);
        await PassAsync(world, executors, 100);

        Assert.Equal(6 * 9 - 1, executors.Sum(one => one.Leased.Count));
        Assert.Equal(SubnetLevel.Plenty, (await world.SubnetAsync()).Level);
    }

    /// <summary>One after the other, each with what it wants, or what there is.</summary>
    private static async Task<List<FakeExecutor>> HoardAsync(GrainWorld world, int nodes)
    {
        var executors = new List<FakeExecutor>();
        for (var number = 0; number < nodes; number++)
        {
            var executor = await world.JoinAsync(world.Launch());
            await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length > 0, "a lease");
            executors.Add(executor);
        }

        return executors;
    }

    private static async Task UntilAsync(GrainWorld world, IReadOnlyCollection<FakeExecutor> executors, Func<bool> holds, string what)
    {
        for (var tries = 0; !holds(); tries++)
        {
            Assert.True(tries < 600, $"waited for: {what}; leased are {string.Join(", ", executors.Select(one => one.Leased.Count))}; {await world.SubnetAsync()}");
            await PassAsync(world, executors, 1);
        }
    }

    /// <summary>Each time ten seconds of the silo's clock, in which each executor reports.</summary>
    private static async Task PassAsync(GrainWorld world, IReadOnlyCollection<FakeExecutor> executors, int times)
    {
        for (; times > 0; times--)
        {
            world.Time.Shift(TimeSpan.FromSeconds(10));
            foreach (var executor in executors)
            {
                await executor.SyncAsync();
            }

            await Task.Delay(60, TestContext.Current.CancellationToken);
        }
    }
}
