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

    [Fact]
    public async Task A_burst_of_refusals_is_one_and_a_later_refusal_is_another()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);

        for (var underWay = 0; underWay < 20; underWay++)
        {
            await quota.ThrottledAsync(Ec2Action.AssignPrivateIpAddresses);
        }

        world.Time.Shift(TimeSpan.FromSeconds(9)); // 4 a second are ours.
        Assert.InRange(await SpendAsync(quota, Ec2Action.AssignPrivateIpAddresses), 17, 22);
        await quota.ThrottledAsync(Ec2Action.AssignPrivateIpAddresses);
        world.Time.Shift(TimeSpan.FromSeconds(9));
        Assert.InRange(await SpendAsync(quota, Ec2Action.AssignPrivateIpAddresses), 8, 13);
    }

    [Fact]
    public async Task Returns_leave_a_part_of_the_bucket_to_pods_and_operators_see_who_has_used_it()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);

        var returns = await SpendAsync(quota, Ec2Action.UnassignPrivateIpAddresses, CallPriority.CleanUp);
        var forPods = await SpendAsync(quota, Ec2Action.UnassignPrivateIpAddresses);

        Assert.InRange(returns, 46, 52); // A fresh grain has 70 of 80, and these leave 24; what comes back meanwhile, and one of their own share, on top.
        Assert.InRange(forPods, 22, 28);
        var seen = Assert.Single(await quota.SummarizeAsync(), one => one.Action == nameof(Ec2Action.UnassignPrivateIpAddresses));
        Assert.Equal((80, 4, 1, returns, forPods, 1), (seen.Size, seen.RatePerSecond, seen.Factor, seen.Granted["CleanUp"], seen.Granted["PodWaiting"], seen.ToldToWait["CleanUp"]));
    }

    [Fact]
    public async Task An_account_that_is_ours_alone_may_spend_more_of_its_buckets()
    {
        await using var world = await GrainWorld.StartAsync(new(), budgetShare: 0.97);
        var seen = Assert.Single(await world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey).SummarizeAsync(), one => one.Action == nameof(Ec2Action.CreateNetworkInterface));
        Assert.Equal((97, 4.85), (seen.Size, Math.Round(seen.RatePerSecond, 6)));
    }

    private static async Task<int> SpendAsync(IEc2QuotaGrain quota, Ec2Action action = Ec2Action.AttachNetworkInterface, CallPriority need = CallPriority.PodWaiting)
    {
        var calls = 0;
        for (; await quota.TakeAsync(action, need) == TimeSpan.Zero; calls++)
        {
            Assert.True(calls < 200, "the budget has no end");
        }

        return calls;
    }
}
