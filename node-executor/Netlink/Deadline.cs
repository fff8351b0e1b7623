using System.Diagnostics;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>A moment on the machine's own steady clock until which the kernel's answer is awaited.</summary>
internal readonly record struct Deadline
{
    private readonly long _end;

    private Deadline(long end) => _end = end;

    /// <summary>Negative once it has passed.</summary>
    internal TimeSpan Remaining => Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), _end);

    internal static Deadline In(TimeSpan time) =>
        new(Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency));
}
