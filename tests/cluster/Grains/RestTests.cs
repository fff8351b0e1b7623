using System.Diagnostics;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>A node that has what it wants costs little, and is awake at once.</summary>
public sealed class RestTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_node_that_has_what_it_wants_rests_and_an_ADD_wakes_it()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 }, timing: GrainWorld.Brisk with { RestPeriod = TimeSpan.FromMinutes(10) });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 addresses");
        var (before, warm) = (-1, 2);
        while (before != Draws()) // Until what its last report has kicked is through.
        {
            before = Draws();
            world.Settings.Pool = new PoolPolicy { WarmIps = ++warm };
            await PassAsync();
            Assert.True(warm < 10, "it does not rest");
        }

        Assert.IsType<AssignReply.Offered>(await executor.AddAsync("web-0", executor.NextStamp()));

        for (var began = Stopwatch.GetTimestamp(); Draws() == before; await PassAsync())
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < Patience, "nothing takes the place of what the pod got");
        }

        int Draws() => world.Ec2.Calls.Count(call => call.StartsWith("Assign", StringComparison.Ordinal));
        Task PassAsync() => Task.Delay(10 * world.Settings.Timing.WorkPeriod, TimeProvider.System, TestContext.Current.CancellationToken);
    }
}
