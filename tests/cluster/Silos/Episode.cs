using System.Globalization;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>What has been seen while something happened to a silo.</summary>
/// <param name="Silence">The longest time that a node's grain did not answer on the doors of the other silos, past any lease.</param>
/// <param name="Silent">How many of the nodes' grains did not answer for more than a second.</param>
/// <param name="NodeSilence">The longest time that a node's executor had no answer, from a call of its own on.</param>
internal sealed record Episode(string What, TimeSpan Took, Adds Adds, TimeSpan Silence, int Silent, TimeSpan NodeSilence, string Load)
{
    private static readonly TimeSpan Watched = TimeSpan.FromSeconds(12); // Longer than it takes until a silo is declared dead.
    private static readonly TimeSpan Stopped = TimeSpan.FromSeconds(20);

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{What}: {Adds.Count} ADDs ({Adds.Count / Took.TotalSeconds:0.0} a second), {Adds.Failed} failed, the longest took {Adds.Longest.TotalSeconds:0.00} s; grains did not answer for {Silence.TotalSeconds:0.0} s at most ({Silent} for more than 1 s), an executor had no answer for {NodeSilence.TotalSeconds:0.0} s at most; load {Load}");

    /// <summary>SIGKILL; then another silo in its place.</summary>
    public static Task<Episode> KillAsync(Fleet fleet, Churn churn, int silo, CancellationToken cancellation) => WatchAsync($"SIGKILL of silo {silo}", fleet, churn, silo, async () =>
    {
        await fleet.Silos.SignalAsync(silo, "KILL", cancellation);
        await Task.Delay(Watched, cancellation);
        await fleet.Silos.EndAsync(silo, cancellation);
        await fleet.Silos.RestartAsync(silo, cancellation);
    }, cancellation);

    /// <summary>SIGSTOP, SIGCONT after 20 s. The silo finds itself dead and ends; then another one in its place.</summary>
    public static Task<Episode> StopAsync(Fleet fleet, Churn churn, int silo, CancellationToken cancellation) => WatchAsync($"SIGSTOP of silo {silo}", fleet, churn, silo, async () =>
    {
        await fleet.Silos.SignalAsync(silo, "STOP", cancellation);
        await Task.Delay(Stopped, cancellation);
        await fleet.Silos.SignalAsync(silo, "CONT", cancellation);
        await fleet.Silos.EndAsync(silo, cancellation);
        await fleet.Silos.RestartAsync(silo, cancellation);
    }, cancellation);

    /// <summary>Watches while <paramref name="happens"/> happens to a silo, and until each grain has answered after it.</summary>
    public static async Task<Episode> WatchAsync(string what, Fleet fleet, Churn churn, int silo, Func<Task> happens, CancellationToken cancellation)
    {
        await using var probes = new Probes(
            fleet.Calls, fleet.Nodes.Select(node => node.Id), [.. Enumerable.Range(1, Fleet.SiloCount).Where(number => number != silo).Select(SiloProcesses.DoorOf)]);
        await fleet.Silos.UntilAsync("each grain to answer", () => Task.FromResult(probes.HaveAllAnswered), cancellation);
        churn.Take();
        foreach (var node in fleet.Nodes)
        {
            node.Answers.TakeLongest();
        }

        var began = TimeProvider.System.GetTimestamp();
        await happens();
        var ended = TimeProvider.System.GetTimestamp();
        await fleet.Silos.UntilAsync("each grain to answer again", () => Task.FromResult(probes.HaveAllAnsweredSince(ended)), cancellation);
        var (silence, silent) = probes.Silence;
        return new Episode(
            what, TimeProvider.System.GetElapsedTime(began), churn.Take(), silence, silent, fleet.Nodes.Max(node => node.Answers.TakeLongest()),
            (await File.ReadAllTextAsync("/proc/loadavg", cancellation)).Split(' ')[0]);
    }
}
