using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Many pods at once, and nothing that they have to wait for.</summary>
public sealed class BurstTests
{
    [Fact]
    public async Task ADDs_that_come_together_are_drawn_for_together()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await JoinedAsync(world);
        var before = Draws(world);

        Wait(executor, 8); // Else the first report says that nobody waits.
        var answers = await Task.WhenAll(executor.Waiting.Select(waiter => executor.AddAsync(waiter.Sandbox.ContainerId, waiter.Stamp)));
        Assert.Equal(7, answers.OfType<AssignReply.NotYet>().Count());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 9, "9 leased addresses");

        Assert.Equal(before + 1, Draws(world));
    }

    [Fact]
    public async Task A_draw_never_waits_behind_a_detach()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await JoinedAsync(world);
        Wait(executor, 12);
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 2 && orders.Lease.Length == 13, "13 leased addresses on 2 interfaces");
        var detaches = new TaskCompletionSource();
        world.Ec2.DetachesHeld = detaches.Task;
        executor.Waiting.Clear();
        await GrainWorld.UntilAsync(executor, _ => Calls(world, "Detach") == 1, "the detach");

        Wait(executor, 5);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 6, "6 leased addresses");

        Assert.Equal((1, 0), (Calls(world, "Detach"), Calls(world, "Delete"))); // It is still under way.
        detaches.SetResult();
        await GrainWorld.UntilAsync(executor, _ => Calls(world, "Delete") > 0, "the interface to be deleted");
    }

    [Fact]
    public async Task What_EC2_refuses_one_node_for_want_of_room_no_other_node_asks_for()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var (first, second) = (await JoinedAsync(world), await JoinedAsync(world));
        var before = Draws(world);
        world.Ec2.Fail("Assign", Ec2Fault.NoRoom);
        Wait(first, 3);
        await LedgersWordAsync(first, () => world.Time.Shift(TimeSpan.FromSeconds(1))); // Once what it remembers itself is over.

        Wait(second, 5);
        await LedgersWordAsync(second, () => { });
        Assert.Equal(before + 1, Draws(world));

        world.Time.Shift(TimeSpan.FromSeconds(61));
        await GrainWorld.UntilAsync(second, orders => orders.Lease.Length == 6, "addresses again");
    }

    private static Task<NodeOrders> LedgersWordAsync(FakeExecutor executor, Action meanwhile) => GrainWorld.UntilAsync(executor, async _ =>
    {
        meanwhile();
        return (await executor.Node.SummarizeAsync()).Trouble?.Contains("EC2 has said that it has no room", StringComparison.Ordinal) == true;
    }, "the ledger's word");

    private static async Task<FakeExecutor> JoinedAsync(GrainWorld world)
    {
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address");
        await executor.SyncAsync(); // Reports the interface as set up.
        return executor;
    }

    private static void Wait(FakeExecutor executor, int pods) =>
        executor.Waiting.AddRange(Enumerable.Range(0, pods).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));

    private static int Draws(GrainWorld world) => Calls(world, "Assign");

    private static int Calls(GrainWorld world, string action) => world.Ec2.Calls.Count(call => call.StartsWith(action, StringComparison.Ordinal));
}
