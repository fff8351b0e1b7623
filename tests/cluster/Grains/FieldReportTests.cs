using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>What people have reported of pod networking on AWS, and rows of the reference's acceptance list, where no other test shows it. docs/proofs.md has them all.</summary>
public sealed class FieldReportTests
{
    [Fact] // F5: the reference counted what cools, so it asked for nothing.
    public async Task While_addresses_cool_a_pod_gets_a_new_one_at_once_when_there_is_room()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0, MinimumIps = 6 });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 6, "the minimum");
        await executor.SyncAsync();
        var used = new List<Core.Addressing.Ip>();
        for (var pod = 0; pod < 6; pod++)
        {
            used.Add(await executor.AddedAsync($"pod-{pod}"));
        }

        await executor.DeletedAsync("pod-0");
        await executor.DeletedAsync("pod-1");
        var waiter = new Waiter(new SandboxKey("pod-6", "eth0"), new PodName("default", "pod-6", ""), executor.NextStamp(), 0);
        executor.Waiting.Add(waiter);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 7, "one address more");

        Assert.DoesNotContain(Assert.IsType<AssignReply.Offered>(await executor.AddAsync("pod-6", waiter.Stamp)).Address, used);
        Assert.Equal((5, 2, 0), await executor.Node.SummarizeAsync() is { } node ? (node.OnPods, node.Cooling, node.Warm) : default);
    }

    [Fact] // F6
    public async Task An_interface_whose_node_ends_while_it_is_given_back_is_deleted_all_the_same()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 leased addresses");
        executor.Waiting.AddRange(Enumerable.Range(0, 10).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 12, Interfaces.Length: 2 }, "two interfaces");
        var detached = new TaskCompletionSource();
        world.Ec2.DetachesHeld = detached.Task;
        world.Ec2.Fail("Delete", Ec2Fault.EffectUnknown);
        executor.Waiting.Clear();
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.Calls.Any(call => call.StartsWith("Detach", StringComparison.Ordinal)), "the detach");

        world.Ec2.ByHand(vpc =>
        {
            vpc.Terminate(id);
            return 0;
        });
        detached.SetResult();

        await GrainWorld.UntilAsync(executor, _ => world.Ec2.ByHand(vpc =>
        {
            vpc.Advance();
            return vpc.Enis.Count();
        }) == 0, "no interface to be left");
    }

    [Fact] // vpc-cni.md section 10, row 17: WARM_IP_TARGET=3, half of the pods that the node can run, and none.
    public async Task After_a_wave_of_pods_the_node_holds_what_it_held_before()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 3, WarmEnis = 0 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 3, Interfaces.Length: 1 }, "3 addresses on one interface");
        await executor.SyncAsync();
        executor.Waiting.AddRange(Enumerable.Range(0, 14).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 17, Interfaces.Length: 2 }, "14 for the pods and 3 warm ones");
        await executor.SyncAsync();
        foreach (var waiter in executor.Waiting.ToArray())
        {
            var offered = Assert.IsType<AssignReply.Offered>(await executor.AddAsync(waiter.Sandbox.ContainerId, waiter.Stamp));
            executor.Claims.Add(offered.Address, new Claim(waiter.Sandbox, waiter.Pod, offered.Address, offered.EniId, waiter.Stamp, 0));
            executor.Waiting.Remove(waiter);
        }

        for (var pod = 0; pod < 14; pod++)
        {
            await executor.DeletedAsync($"pod-{pod}");
        }

        world.Time.Shift(TimeSpan.FromMinutes(5)); // The reference has 6 minutes.
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 3, Interfaces.Length: 1 } && world.Ec2.ByHand(vpc =>
        {
            vpc.Advance();
            return vpc.Enis.Count() == 1 && vpc.Enis.Single().Addresses.Count == 4;
        }), "3 addresses on one interface, in EC2, too");
    }
}
