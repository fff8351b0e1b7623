namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Time since the machine's start, the same for every process of one boot: CLOCK_MONOTONIC, whose zero is the boot.</summary>
/// <remarks>It stands still while a machine sleeps, and the wall clock may jump: both can only make an address rest longer.</remarks>
public static class BootClock
{
    /// <summary>Now.</summary>
    public static TimeSpan Now(TimeProvider time) => time.GetElapsedTime(0, time.GetTimestamp());
}
