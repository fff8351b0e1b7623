using AwsVpcCni.VpcEmulator.Control;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>How long sweeps of the whole VPC have taken: from the first question, by EC2's log, until the last subnet's ledger has read it. Pure.</summary>
internal static class SweepTimes
{
    private const string ZoneFilter = "availability-zone"; // No other look has it.

    /// <param name="readAt">When ledgers were read, as they say.</param>
    /// <returns>In order; a sweep that no ledger tells of, or that is the log's last, is left out.</returns>
    public static IReadOnlyList<double> Of(IReadOnlyList<CallEntry> calls, IReadOnlyCollection<DateTimeOffset> readAt)
    {
        var questions = calls.Where(call => call.Filters.ContainsKey(ZoneFilter)).OrderBy(call => call.At).ToList();
        var zones = questions.Select(call => call.Filters[ZoneFilter][0]).Distinct().Order(StringComparer.Ordinal).ToArray();
        if (zones.Length == 0)
        {
            return [];
        }

        // A sweep begins with its first zone's first page.
        DateTimeOffset[] begins = [.. questions.Where(call => call.Filters[ZoneFilter][0] == zones[0] && !call.Parameters.ContainsKey("NextToken")).Select(call => call.At)];
        return [.. begins.Zip(begins.Skip(1)).Select(sweep => readAt.Where(at => at >= sweep.First && at < sweep.Second).Select(at => (at - sweep.First).TotalSeconds).DefaultIfEmpty().Max()).Where(took => took > 0)];
    }
}
