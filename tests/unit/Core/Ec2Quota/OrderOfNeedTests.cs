using AwsVpcCni.Core.Ec2Quota;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Ec2Quota;

public sealed class OrderOfNeedTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TokenBucket Bucket = new(80, 4, 80, Start);

    [Theory] // What is left for others: nothing, 4, 12, 16, 24.
    [InlineData(CallPriority.PodWaiting, 80)]
    [InlineData(CallPriority.NodeStarting, 77)]
    [InlineData(CallPriority.WarmPool, 69)]
    [InlineData(CallPriority.Reconcile, 65)]
    [InlineData(CallPriority.CleanUp, 57)]
    public void A_burst_of_the_less_needed_leaves_a_part_of_the_bucket(CallPriority need, int expected) =>
        Assert.Equal(expected, Run(TimeSpan.Zero, (need, 1000))[(int)need]); // One of them by its own share, but for pods.

    [Fact]
    public void While_pods_want_all_of_it_each_other_need_gets_its_share_and_they_the_rest()
    {
        var granted = Run(TimeSpan.FromSeconds(1000), Enum.GetValues<CallPriority>().Select(need => (need, 10)).ToArray());
        Assert.InRange(granted.Sum(), 4000, 4090); // Nothing is wasted, and nothing is made.
        Assert.All(granted[1..], calls => Assert.InRange(calls, 180, 240)); // 5 % of 4 a second.
    }

    [Fact]
    public void A_share_that_nobody_wants_is_everybodys() =>
        Assert.InRange(Run(TimeSpan.FromSeconds(1000), (CallPriority.PodWaiting, 10))[0], 4070, 4080);

    [Fact]
    public void The_less_needed_waits_for_the_more_needed() =>
        Gen.Int[1, 4].Sample(lower =>
        {
            var granted = Run(TimeSpan.FromSeconds(300), (CallPriority.PodWaiting, 10), ((CallPriority)lower, 10));
            return granted[0] > 1000 && granted[lower] < 60 + 80; // Its share, and what was in the bucket at first.
        });

    [Fact]
    public void After_the_wait_that_it_is_told_a_call_alone_is_granted() =>
        Gen.Select(Gen.Int[0, 4], Gen.Double[0, 30]).Sample((need, level) =>
        {
            var bucket = Bucket with { Level = level };
            var (order, granted, wait) = new OrderOfNeed(Start).Take(Math.Floor(level), bucket, (CallPriority)need, Start);
            for (var tries = 0; !granted && tries < 3; tries++)
            {
                var now = bucket.At + wait;
                bucket = bucket.Refilled(now);
                (order, granted, wait) = order.Take(Math.Floor(bucket.Level), bucket, (CallPriority)need, now);
            }

            return granted;
        });

    [Fact]
    public void A_clock_that_goes_back_stops_nobody()
    {
        var (order, _, _) = new OrderOfNeed(Start).Take(0, Bucket with { Level = 0 }, CallPriority.PodWaiting, Start);
        var back = Start - TimeSpan.FromHours(1);
        Assert.True(order.Take(80, Bucket with { At = back }, CallPriority.WarmPool, back).Granted);
    }

    /// <summary>So many of each ask, each again after the wait that it is told, until the time is over.</summary>
    /// <returns>Granted calls by need.</returns>
    private static int[] Run(TimeSpan length, params (CallPriority Need, int Callers)[] asking)
    {
        var (bucket, order, granted) = (Bucket, new OrderOfNeed(Start), new int[5]);
        var queue = new PriorityQueue<CallPriority, (DateTimeOffset At, int Turn)>();
        var turn = 0;
        foreach (var (need, callers) in asking)
        {
            for (var caller = 0; caller < callers; caller++)
            {
                queue.Enqueue(need, (Start, turn++));
            }
        }

        while (queue.TryDequeue(out var need, out var key) && key.At <= Start + length)
        {
            bucket = bucket.Refilled(key.At);
            (order, var isGranted, var wait) = order.Take(Math.Floor(bucket.Level), bucket, need, key.At);
            if (isGranted)
            {
                granted[(int)need]++;
                bucket = bucket with { Level = bucket.Level - 1 };
                wait = length > TimeSpan.Zero ? TimeSpan.FromMilliseconds(1) : TimeSpan.FromDays(1); // It has more to do.
            }

            queue.Enqueue(need, (key.At + wait, turn++));
        }

        return granted;
    }
}
