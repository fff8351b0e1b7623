using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Grains.Ec2Quota;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>The account's budget for EC2 calls.</summary>
public sealed class QuotaTests
{
    [Fact] // Simulation, seed 37: no node was looked at for twenty minutes.
    public async Task A_clock_that_goes_back_stops_no_calls()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        await SpendAsync(quota);

        world.Time.Shift(TimeSpan.FromMinutes(-10));
        await SpendAsync(quota);
        world.Time.Shift(TimeSpan.FromSeconds(5));

        Assert.Equal(TimeSpan.Zero, await quota.TakeAsync(Ec2Action.AttachNetworkInterface, CallPriority.PodWaiting));
    }

    private static async Task SpendAsync(IEc2QuotaGrain quota)
    {
        for (var calls = 0; await quota.TakeAsync(Ec2Action.AttachNetworkInterface, CallPriority.PodWaiting) == TimeSpan.Zero; calls++)
        {
            Assert.True(calls < 200, "the budget has no end");
        }
    }
}
