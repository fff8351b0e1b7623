namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Time since the machine's start, the same for every process of one boot: CLOCK_MONOTONIC, whose zero is the boot.</summary>
/// <remarks>It stands still while a machine sleeps, and the wall clock may jump: both can only make an address rest longer.</remarks>
public static class BootClock
{
    /// <summary>Now.</summary>
    public static TimeSpan Now(TimeProvider time) => time.GetElapsedTime(0, time.GetTimestamp());

    /// <summary>For log lines, to a hundredth.</summary>
    /// <param name="from">A timestamp.</param>
    /// <param name="to">A later one; null: now.</param>
    internal static double MillisecondsSince(this TimeProvider time, long from, long? to = null) =>
        Math.Round(time.GetElapsedTime(from, to ?? time.GetTimestamp()).TotalMilliseconds, 2);
}
