using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
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

    [Fact] // `ipam quota --quota` with a typing error showed a full budget that nobody uses.
    public async Task Another_budget_than_that_of_the_settings_is_refused()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var other = world.Grains.GetGrain<IEc2QuotaGrain>("1/eu-west-2");

        var refused = await Assert.ThrowsAsync<WrongKeyException>(other.SummarizeAsync);
        Assert.Equal("1/eu-west-2 is not the budget of these silos, 1/eu-west-1 (Ec2:AccountId, Ec2:Region). Name that one, or none.", refused.Message);
        await Assert.ThrowsAsync<WrongKeyException>(() => other.TakeAsync(Ec2Action.AttachNetworkInterface, CallPriority.PodWaiting));
        Assert.Null(world.Documents.Read("quota", other.GetGrainId()).Json);
    }

    [Fact]
    public async Task What_was_granted_before_a_failover_is_not_granted_a_second_time()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        Assert.InRange(await SpendAsync(quota, Ec2Action.AssignPrivateIpAddresses), 70, 90); // A whole bucket.

        await world.Grains.GetGrain<IManagementGrain>(0).ForceActivationCollection(TimeSpan.Zero, TestContext.Current.CancellationToken);

        Assert.InRange(await SpendAsync(quota, Ec2Action.AssignPrivateIpAddresses), 0, 20); // 4 come back each second.
    }

    [Fact]
    public async Task Operators_see_how_many_wait_and_how_far_away_a_turn_is()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        await SpendAsync(quota, Ec2Action.AttachNetworkInterface);
        for (var node = 0; node < 8; node++)
        {
            await quota.TakeInTurnAsync(Ec2Action.AttachNetworkInterface, node < 6 ? CallPriority.PodWaiting : CallPriority.WarmPool, $"i-{node}");
        }

        var seen = (await quota.SummarizeAsync()).ToDictionary(one => one.Action);
        var attach = seen[nameof(Ec2Action.AttachNetworkInterface)];
        Assert.InRange(attach.Queued, 7, 8); // One may have been granted what has just come back.
        Assert.InRange(attach.Turn.TotalSeconds, 4 / attach.RatePerSecond, 7 / attach.RatePerSecond);
        Assert.Equal((0, TimeSpan.Zero), (seen[nameof(Ec2Action.DescribeSubnets)].Queued, seen[nameof(Ec2Action.DescribeSubnets)].Turn));
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
    public async Task Who_comes_when_all_places_are_taken_is_told_to_come_later_and_is_served_when_they_have_gone()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        await SpendAsync(quota, Ec2Action.AssignPrivateIpAddresses);
        for (var tries = 0; await QueuedAsync() < CallQueue.Most; tries++) // On a slow machine the first have lost their places when the last ask.
        {
            Assert.True(tries < 5, $"{await QueuedAsync()} wait");
            foreach (var some in Enumerable.Range(0, CallQueue.Most + 100).Chunk(500))
            {
                await Task.WhenAll(some.Select(n => quota.TakeInTurnAsync(Ec2Action.AssignPrivateIpAddresses, CallPriority.CleanUp, $"i-{n}"))); // What they have to leave to pods is not theirs.
            }
        }

        Assert.True(await quota.TakeInTurnAsync(Ec2Action.AssignPrivateIpAddresses, CallPriority.CleanUp, "i-late") > TimeSpan.Zero);
        Assert.InRange(await QueuedAsync(), 1, CallQueue.Most);
        world.Time.Shift(TimeSpan.FromMinutes(2));
        Assert.Equal(TimeSpan.Zero, await quota.TakeInTurnAsync(Ec2Action.AssignPrivateIpAddresses, CallPriority.CleanUp, "i-late"));

        async Task<int> QueuedAsync() => (await quota.SummarizeAsync()).Single(one => one.Action == nameof(Ec2Action.AssignPrivateIpAddresses)).Queued;
    }

    [Fact]
    public async Task What_EC2_has_slowed_stays_slow_in_the_next_activation()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        await quota.ThrottledAsync(Ec2Action.AssignPrivateIpAddresses);
        world.Time.Shift(TimeSpan.FromSeconds(6));
        await quota.ThrottledAsync(Ec2Action.AssignPrivateIpAddresses); // A quarter of 4 a second.
        world.Time.Shift(TimeSpan.FromSeconds(9));

        await world.Grains.GetGrain<IManagementGrain>(0).ForceActivationCollection(TimeSpan.Zero, TestContext.Current.CancellationToken);

        Assert.InRange(await SpendAsync(quota, Ec2Action.AssignPrivateIpAddresses), 8, 13);
        var seen = Assert.Single(await quota.SummarizeAsync(), one => one.Action == nameof(Ec2Action.AssignPrivateIpAddresses));
        Assert.InRange(seen.Factor, 0.25, 0.31);
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
    public async Task Operators_see_how_long_calls_have_waited_for_their_permit()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        await SpendAsync(quota, Ec2Action.CreateNetworkInterface);
        while (await quota.TakeInTurnAsync(Ec2Action.CreateNetworkInterface, CallPriority.PodWaiting, "i-1") == TimeSpan.Zero)
        {
            // One has come back meanwhile.
        }

        world.Time.Shift(TimeSpan.FromSeconds(3));

        Assert.Equal(TimeSpan.Zero, await quota.TakeInTurnAsync(Ec2Action.CreateNetworkInterface, CallPriority.PodWaiting, "i-1"));

        var seen = Assert.Single(await quota.SummarizeAsync(), one => one.Action == nameof(Ec2Action.CreateNetworkInterface));
        Assert.InRange(seen.WaitedSeconds!["PodWaiting"], 3, 30);
    }

    [Fact]
    public async Task An_account_that_is_ours_alone_may_spend_more_of_its_buckets()
    {
        await using var world = await GrainWorld.StartAsync(new(), budgetShare: 0.97);
        var seen = Assert.Single(await world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey).SummarizeAsync(), one => one.Action == nameof(Ec2Action.CreateNetworkInterface));
        Assert.Equal((97, 4.85), (seen.Size, Math.Round(seen.RatePerSecond, 6)));
    }

    [Fact]
    public async Task Who_waits_is_told_when_its_turn_is_and_who_comes_later_does_not_overtake()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        await SpendAsync(quota);
        var waits = new List<double>();
        for (var node = 0; node < 40; node++)
        {
            waits.Add((await quota.TakeInTurnAsync(Ec2Action.AttachNetworkInterface, CallPriority.PodWaiting, $"i-{node}")).TotalSeconds);
        }

        Assert.All(waits.Zip(waits.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, -0.2, 0.3)); // 4 a second, and time goes on.
        Assert.InRange(waits[^1], 8.5, 10.1); // 40 of them at 4 a second.
        world.Time.Shift(TimeSpan.FromSeconds(1));
        Assert.NotEqual(TimeSpan.Zero, await quota.TakeInTurnAsync(Ec2Action.AttachNetworkInterface, CallPriority.PodWaiting, "i-later"));
        Assert.NotEqual(TimeSpan.Zero, await quota.TakeAsync(Ec2Action.AttachNetworkInterface, CallPriority.PodWaiting)); // Without a place it comes last.
        Assert.Equal(TimeSpan.Zero, await quota.TakeInTurnAsync(Ec2Action.AttachNetworkInterface, CallPriority.PodWaiting, "i-0"));
    }

    [Fact]
    public async Task Pods_that_come_together_are_spread_over_both_ways_until_these_take_equally_long()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        var waits = new List<ExpectedWaits>();
        for (var node = 0; node < 400; node++)
        {
            waits.Add(await quota.ExpectAsync($"i-{node}", TimeSpan.FromSeconds(10)));
        }

        // A fresh grain has 70 and 30, then 4 a second by each; the attach's 10 s are 40 draws. And time goes on.
        const double Turn = (400 - 70 - 30 + 40) / 8.0;
        var last = waits[^1];
        Assert.InRange(last.Draw.TotalSeconds, Turn - 4, Turn + 1);
        Assert.InRange(waits.Count(wait => wait.Draw <= wait.NewInterface), 70 + (4 * (Turn - 4)), 70 + (4 * (Turn + 4)));
        Assert.InRange(Math.Abs((last.Draw - last.NewInterface).TotalSeconds), 0, 1);
        Assert.Equal(waits[0], new ExpectedWaits(TimeSpan.Zero, TimeSpan.FromSeconds(10)));
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
