using AwsVpcCni.Tests.Simulation.Scheduling;
using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

/// <summary>What leaves the scheduler is caught, with the culprit's name.</summary>
public sealed class EscapeTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void What_stays_on_its_lane_is_no_escape() => Assert.Null(FailureOf(async clock =>
    {
        await Task.Yield();
        await Task.Delay(Second, clock, CancellationToken.None);
        await Assert.ThrowsAsync<TimeoutException>(() => new TaskCompletionSource().Task.WaitAsync(Second, clock, CancellationToken.None));
        clock.GetUtcNow();
    }));

    [Fact]
    public void Work_on_the_thread_pool_that_comes_back_is_caught() =>
        Assert.Contains("from another thread", FailureOf(async _ =>
        {
            await Task.Run(() => SpinWait.SpinUntil(() => false, TimeSpan.FromMilliseconds(50)), CancellationToken.None); // Not over before it is awaited.
        }), StringComparison.Ordinal);

    [Fact]
    public void A_completion_by_way_of_the_thread_pool_is_caught() => Assert.Contains("from another thread", FailureOf(async clock =>
    {
        var completion = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var timer = clock.CreateTimer(_ => completion.TrySetResult(), null, Second / 4, Timeout.InfiniteTimeSpan);
        await completion.Task.WaitAsync(20 * Second, clock, CancellationToken.None); // Longer than the world runs.
    }), StringComparison.Ordinal);

    [Fact]
    public void An_await_that_has_lost_its_lane_is_caught() => Assert.Contains("on no lane", FailureOf(async clock =>
    {
        await Task.Delay(Second, clock, CancellationToken.None).ConfigureAwait(false);
        clock.GetUtcNow();
    }), StringComparison.Ordinal);

    [Fact]
    public void What_awaits_in_a_life_that_was_ended_never_goes_on()
    {
        var scheduler = new Scheduler(1);
        var life = new Life("victim");
        var went = "";
        new SimLane(scheduler, life, "victim").Start("waits", async () =>
        {
            try
            {
                await Task.Delay(Second, new Clock(scheduler, life, new WallClock()), CancellationToken.None);
                went = "on";
            }
            finally
            {
                went += " finally";
            }
        });
        scheduler.After(Second / 2, life.End);

        scheduler.RunUntil(2 * Second, 100);

        Assert.Equal("", went);
        Assert.Null(scheduler.Failure);
    }

    private static string? FailureOf(Func<Clock, Task> work)
    {
        var scheduler = new Scheduler(1);
        var life = new Life("culprit");
        var isOver = false;
        new SimLane(scheduler, life, "culprit").Start("its work", async () =>
        {
            await work(new Clock(scheduler, life, new WallClock()));
            isOver = true;
        });
        scheduler.RunUntil(10 * Second, 100);
        SpinWait.SpinUntil(() => isOver || scheduler.Failure is not null, TimeSpan.FromSeconds(20)); // What went to the pool fails when it comes back.
        return scheduler.Failure;
    }
}
