using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Pods that are bound to a node, and whose ADDs are still to come.</summary>
public sealed class BoundTests
{
    [Fact]
    public async Task Addresses_for_pods_that_are_bound_are_there_before_their_ADDs()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await JoinedAsync(world);

        await executor.Node.BoundAsync(Pods(12));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 13, "12 addresses and the warm one");
        await executor.SyncAsync(); // It says that its interfaces are set up.

        for (var pod = 0; pod < 12; pod++)
        {
            await executor.AddedAsync($"p{pod}");
        }

        Assert.Empty(await executor.Node.WaitingAsync());
    }

    [Fact]
    public async Task A_pod_that_has_an_address_or_whose_ADD_waits_counts_once()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await JoinedAsync(world);
        await executor.AddedAsync("p0");
        executor.Waiting.Add(new Waiter(new SandboxKey("p1", "eth0"), new PodName("default", "p1", "uid"), executor.NextStamp(), 0));
        await executor.Node.BoundAsync(Pods(3)); // p2's is still to come.

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "p0's, p1's, p2's, and the warm one");
        for (var syncs = 0; syncs < 10; syncs++)
        {
            await Task.Delay(world.Settings.Timing.WorkPeriod, TimeProvider.System, TestContext.Current.CancellationToken);
            Assert.Equal(4, (await executor.SyncAsync()).Lease.Length);
        }
    }

    [Fact]
    public async Task What_nobody_tells_again_counts_for_a_minute()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await JoinedAsync(world);
        await executor.Node.BoundAsync(Pods(5));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 6, "5 addresses and the warm one");

        world.Time.Shift(TimeSpan.FromSeconds(61));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "the warm one alone");
    }

    [Fact]
    public async Task What_is_told_replaces_what_was_told()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await JoinedAsync(world);
        await executor.Node.BoundAsync(Pods(5));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 6, "5 addresses and the warm one");

        await executor.Node.BoundAsync([]);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "the warm one alone");
    }

    private static async Task<FakeExecutor> JoinedAsync(GrainWorld world)
    {
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "the first address");
        return executor;
    }

    private static ImmutableArray<PodName> Pods(int count) => [.. Enumerable.Range(0, count).Select(n => new PodName("default", $"p{n}", $"uid-{n}"))];
}
