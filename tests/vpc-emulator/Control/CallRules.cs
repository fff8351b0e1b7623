using System.Globalization;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator.Control;

/// <summary>When a node joined, by its own telling.</summary>
public sealed record Join(DateTimeOffset At, string InstanceId)
{
    /// <param name="line">`2026-11-25T01:02:03.456Z i-0abc`.</param>
    /// <exception cref="FormatException">The line is not so.</exception>
    public static Join Parse(string line) =>
        line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var at, var instanceId]
        && DateTimeOffset.TryParse(at, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? new Join(time, instanceId)
            : throw new FormatException($"`{line}` is not `ISO-time instance-id`.");
}

/// <summary>What a product that keeps its promises never does to EC2. Looks at a call log only.</summary>
/// <param name="Share">Of EC2's documented buckets, 0 to 1.</param>
/// <param name="Window">Joins no further apart than this from the first of them share their describes.</param>
/// <param name="AllowCounted">Whether drawing by count is allowed, as in the fall-back's own tests.</param>
public sealed record CallRules(double Share, TimeSpan Window, bool AllowCounted)
{
    private static readonly string[] Counts = ["SecondaryPrivateIpAddressCount", "Ipv4PrefixCount"];
    private const int LargestBatch = 199; // Instances a describe, beside the VPC's id: 200 filter values in all. A fuller one is followed by another.

    /// <param name="calls">By sequence.</param>
    /// <param name="joins">Null: not checked.</param>
    /// <returns>A sentence for each breach.</returns>
    public IEnumerable<string> Violations(IReadOnlyList<CallEntry> calls, IReadOnlyList<Join>? joins) =>
        [.. Overruns(calls), .. AllowCounted ? [] : Counted(calls), .. Resent(calls), .. joins is null ? [] : DescribedApart(calls, joins)];

    private IEnumerable<string> Overruns(IReadOnlyList<CallEntry> calls)
    {
        foreach (var group in calls.GroupBy(call => (call.Action, Filtered: IsFilteredOrPaginated(call))))
        {
            // The callers paced themselves by their own clock, and the way here takes a varying time: one call of grace.
            var whole = Throttle.DocumentedSizeOf(group.Key.Action, group.Key.Filtered);
            var size = new BucketSize((whole.Size * Share) + 1, whole.RefillPerSecond * Share);
            var bucket = new TokenBucket(size, group.First().At);
            foreach (var call in group.Where(call => !bucket.TryTake(call.At)).Take(1))
            {
                yield return $"{Name(call)}: outruns {Share:0.##} of EC2's bucket ({whole.Size * Share:0.#} calls, {size.RefillPerSecond:0.#} a second).";
            }
        }
    }

    private static IEnumerable<string> Counted(IEnumerable<CallEntry> calls) =>
        from call in calls
        where call.Action is "AssignPrivateIpAddresses" or "CreateNetworkInterface"
        from parameter in Counts
        where call.Parameters.ContainsKey(parameter)
        select $"{Name(call)}: draws by count ({parameter}={call.Parameters[parameter]}). Addresses are to be named.";

    /// <summary>The same again: by the SDK on its own, or by a caller that has not looked at what the first has done.</summary>
    private static IEnumerable<string> Resent(IEnumerable<CallEntry> calls)
    {
        var unanswered = new Dictionary<string, CallEntry>();
        var invocations = new Dictionary<string, CallEntry>();
        foreach (var call in calls)
        {
            if (call.Action is not ("AssignPrivateIpAddresses" or "CreateNetworkInterface"))
            {
                unanswered.Clear(); // It looked, or changed what a repeat means.
                continue;
            }

            var same = string.Join('&', call.Parameters.Select(parameter => $"{parameter.Key}={parameter.Value}"));
            if (call.Invocation is { } id && !invocations.TryAdd(id, call))
            {
                yield return $"{Name(call)}: the SDK has sent call {invocations[id].Sequence} again. Set MaxErrorRetry and MaxStaleConnectionRetries to 0.";
            }
            else if (unanswered.TryGetValue(same, out var first))
            {
                yield return $"{Name(call)}: sends call {first.Sequence} again, without a look at what that one has done.";
            }

            if (call.Cut || call.Status is 200 or >= 500 && call.Error is not "RequestLimitExceeded")
            {
                unanswered[same] = call;
            }
        }
    }

    private IEnumerable<string> DescribedApart(IReadOnlyList<CallEntry> calls, IReadOnlyList<Join> joins)
    {
        foreach (var batch in Batches([.. joins.OrderBy(join => join.At)]))
        {
            var described = batch.ConvertAll(join => (Join: join, Call: calls.FirstOrDefault(call => call.At >= join.At && IsJoinDescribe(call, join.InstanceId))));
            foreach (var (join, _) in described.Where(entry => entry.Call is null))
            {
                yield return $"{join.InstanceId}: joined at {join.At:O}, and no DescribeInstances or DescribeNetworkInterfaces named it after that.";
            }

            var apart = described.Where(entry => entry.Call is not null).DistinctBy(entry => entry.Call!.Sequence).ToList();
            if (apart.Count > 1 && !apart.SkipLast(1).All(entry => entry.Call!.InstanceIds.Count >= LargestBatch))
            {
                yield return $"{string.Join(", ", apart.Select(entry => $"{entry.Join.InstanceId} (call {entry.Call!.Sequence})"))}: "
                    + $"joined within {Window.TotalMilliseconds:0} ms and were described apart.";
            }
        }
    }

    /// <summary>A window opens with a join that no open window holds.</summary>
    private IEnumerable<List<Join>> Batches(IReadOnlyList<Join> joins)
    {
        for (var first = 0; first < joins.Count;)
        {
            var batch = joins.Skip(first).TakeWhile(join => join.At - joins[first].At <= Window).ToList();
            first += batch.Count;
            yield return batch;
        }
    }

    private static bool IsJoinDescribe(CallEntry call, string instanceId) =>
        call.Action is "DescribeInstances" or "DescribeNetworkInterfaces" && call.InstanceIds.Contains(instanceId);

    private static bool IsFilteredOrPaginated(CallEntry call) =>
        call.Filters.Count > 0 || call.Parameters.ContainsKey("MaxResults") || call.Parameters.ContainsKey("NextToken");

    private static string Name(CallEntry call) =>
        string.Create(CultureInfo.InvariantCulture, $"call {call.Sequence} at {call.At.UtcDateTime:HH:mm:ss.fff} {call.Action}");
}
