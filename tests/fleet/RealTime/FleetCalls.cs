using AwsVpcCni.VpcEmulator.Control;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>What a run has asked of EC2, by the emulator's log. Pure.</summary>
internal static class FleetCalls
{
    public static bool IsThrottled(CallEntry call) => call.Error == "RequestLimitExceeded";

    /// <summary>All, and how many of them were throttled, by action.</summary>
    public static SortedDictionary<string, (int All, int Throttled)> ByAction(IEnumerable<CallEntry> calls) =>
        new(calls.GroupBy(call => call.Action).ToDictionary(group => group.Key, group => (group.Count(), group.Count(IsThrottled))), StringComparer.Ordinal);

    /// <summary>When the last call that changed something was answered; null: none has.</summary>
    public static DateTimeOffset? LastChange(IEnumerable<CallEntry> calls) => calls
        .Where(call => !call.IsRead).Max(call => (DateTimeOffset?)(call.At + TimeSpan.FromMilliseconds(call.DurationMs)));
}
