using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.VpcEmulator.Control;

namespace AwsVpcCni.Benchmarks;

/// <summary>No EC2 call is to be in what is timed.</summary>
internal static class QuietPairs
{
    /// <summary>The silo reads EC2 each minute, whatever pods do. Pairs that it met do not count; a call that changes EC2 ends the benchmark.</summary>
    /// <param name="calls">What was timed of a pair.</param>
    /// <param name="least">With fewer than so many pairs the benchmark has failed, which the line says; the caller has to act on it.</param>
    public static async Task<List<T>> OfAsync<T>(TestCluster cluster, IReadOnlyList<T> pairs, Func<T, IEnumerable<Timed>> calls, int least)
    {
        var began = pairs.SelectMany(calls).Min(timed => timed.From);
        CallEntry[] entries = [.. (await cluster.Emulator.CallsAsync()).Where(entry => entry.At >= began)];
        if (entries.FirstOrDefault(entry => !entry.IsRead) is { } change)
        {
            throw new InvalidOperationException($"{change.Action} at {change.At:O}: EC2 was changed during the timed part, so the pools were not filled before.");
        }

        var quiet = pairs.Where(pair => !calls(pair).Any(timed => entries.Any(entry => entry.At <= timed.Until && entry.At.AddMilliseconds(entry.DurationMs) >= timed.From))).ToList();
        Progress.Say($"No EC2 call fell into the timed calls of {quiet.Count} pairs; {pairs.Count - quiet.Count} pairs that the silo's periodic reading of EC2 met do not count"
            + (quiet.Count < least ? $": FAILED, {least} are needed" : ""));
        return quiet;
    }
}
