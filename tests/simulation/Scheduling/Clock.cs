namespace AwsVpcCni.Tests.Simulation.Scheduling;

/// <summary>A machine's wall clock, which may be wrong and may jump; its boot clock never does.</summary>
internal sealed class WallClock
{
    public static readonly DateTimeOffset Begin = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>From the true time.</summary>
    public TimeSpan Offset { get; set; }
}

/// <summary>The clock of one life: virtual time on its machine's wall clock. Its timers die with it.</summary>
/// <param name="boot">When its machine has started.</param>
internal sealed class Clock(Scheduler scheduler, Life life, WallClock wall, TimeSpan boot = default) : TimeProvider
{
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow()
    {
        scheduler.RequireLane("the clock");
        return WallClock.Begin + scheduler.Now + wall.Offset;
    }

    public override long GetTimestamp()
    {
        scheduler.RequireLane("the boot clock");
        return (scheduler.Now - boot).Ticks;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        scheduler.RequireLane("a timer");
        var timer = new Timer(scheduler, life, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class Timer(Scheduler scheduler, Life life, TimerCallback callback, object? state) : ITimer
    {
        private int _version;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var version = ++_version;
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                scheduler.After(dueTime, () => Fire(version, period));
            }

            return true;
        }

        public void Dispose() => _version++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Fire(int version, TimeSpan period)
        {
            if (version != _version || life.IsOver)
            {
                return;
            }

            if (period > TimeSpan.Zero)
            {
                scheduler.After(period, () => Fire(version, period));
            }

            callback(state);
        }
    }
}
