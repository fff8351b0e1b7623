using System.Globalization;
using AwsVpcCni.Tests.Fleet.PerNode;
using AwsVpcCni.Tests.Fleet.RealTime;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Fleet;

/// <summary>`make bench-fleet`: the fleet in real time, the per-node design in virtual time, and one figure a line at the end. `make bench-fleet-memory`: what a
/// fleet costs that only runs, and what a connection does.</summary>
internal static class Program
{
    private static readonly Dictionary<string, string> NothingSet = []; // The node's own demand decides.
    private static readonly Dictionary<string, string> WarmEni = new() { ["Pool__WarmEnis"] = "1" };
    private const int PodsOfHeld = 30;
    private static readonly long Began = TimeProvider.System.GetTimestamp();

    private static async Task<int> Main(string[] words)
    {
        if (words is ["executor", var id, var folder, .. var doors] && doors.Length > 0)
        {
            return await LoneExecutor.RunAsync(id, folder, [.. doors.Select(door => new Uri(door))]);
        }

        if (words is not [var what, var some, .. var rest] || !int.TryParse(some, NumberStyles.None, CultureInfo.InvariantCulture, out var nodes) || nodes < 1 || nodes > (what is "held" ? 5000 : 1500)
            || (what, rest) is not (("demand" or "warm-eni" or "pernode" or "lone" or "held", []) or ("all" or "demand", [_])))
        {
            await Console.Error.WriteLineAsync("Which run? There are: all NODES STEADY-SECONDS; its parts demand NODES [STEADY-SECONDS], warm-eni NODES, pernode NODES; held NODES; lone NODES. 1 to 1,500 nodes, held up to 5,000.");
            return 2;
        }

        try
        {
            var figures = new List<(string Name, double? Value)>();
            FleetResult? fleet = null;
            if (what is "held")
            {
                var held = await HeldRun.RunAsync(nodes, PodsOfHeld, Say);
                Say(string.Create(CultureInfo.InvariantCulture, $"  the largest that the silo was: {held.PeakRssMib:0} MiB; it took {held.CpuShare:0.00} of a core; {held.FailedSyncs} syncs failed; half of the queries took {held.QueryMs[held.QueryMs.Count / 2]:0} ms"));
                figures.AddRange(("held_silo_rss_mib", held.RssMib), ("held_sweep_seconds", held.SweepSeconds), ("held_subnets_p99_ms", held.QueryMs[held.QueryMs.Count * 99 / 100]), ("held_syncs_per_second", held.SyncsPerSecond));
            }

            foreach (var edges in what is "lone" ? new[] { 0, 2 } : [])
            {
                Say($"{nodes} executors, a process each, on {(edges == 0 ? "one silo" : $"{edges} edges before it")}");
                var lone = await LoneRun.RunAsync(nodes, edges, Say);
                var at = edges == 0 ? "silo" : "edges";
                Say(string.Create(CultureInfo.InvariantCulture, $"  an executor: {lone.ExecutorRssKib / 1024:0.0} MiB resident, of them {lone.ExecutorPssKib / 1024:0.0} its share, {lone.ExecutorCpuUs:0} us a second; at its door {lone.DoorRssKib:0} KiB, {lone.DoorCpuUs:0} us a second"));
                figures.AddRange(($"connection_{at}_kib", lone.DoorRssKib), ($"connection_{at}_cpu_us_per_second", lone.DoorCpuUs), ($"connection_silo_behind_{at}_cpu_us_per_second", lone.SiloCpuUs),
                    ($"connection_executor_on_{at}_kib", lone.ExecutorPssKib), ($"connection_executor_on_{at}_cpu_us_per_second", lone.ExecutorCpuUs));
            }

            if (what is "all" or "demand")
            {
                fleet = await RunAsync(nodes, NothingSet, TimeSpan.FromSeconds(rest is [var seconds] ? double.Parse(seconds, CultureInfo.InvariantCulture) : 0));
                var bound = FleetBound.Of(nodes, new Throttle(TimeProvider.System), FleetBound.Ways()).TotalSeconds;
                figures.AddRange(("fleet_seconds", fleet.Seconds), ("fleet_bound_seconds", bound), ("fleet_bound_ratio", bound > 0 ? fleet.Seconds / bound : null),
                    ("fleet_real_over_virtual", double.TryParse(Environment.GetEnvironmentVariable("FLEET_VIRTUAL_SECONDS"), CultureInfo.InvariantCulture, out var inVirtualTime) ? fleet.Seconds / inVirtualTime : null),
                    ("fleet_calls", fleet.Calls.Count), ("fleet_throttled", fleet.Calls.Count(FleetCalls.IsThrottled)), ("fleet_converged_seconds", fleet.Converged));
            }

            if (what is "all" or "pernode")
            {
                Say($"The per-node design, {nodes} nodes, in virtual time");
                var theirs = PerNodeFleet.Run(FleetVpc.Of(nodes));
                SayCalls(theirs.Calls.ByAction);
                Say(string.Create(CultureInfo.InvariantCulture, $"  {theirs.Starts} starts of containers; nothing under way after {theirs.Converged:0.0} s"));
                figures.AddRange(("pernode_seconds", theirs.Seconds), ("pernode_unfinished", theirs.Unfinished), ("pernode_ratio", theirs.Seconds / fleet?.Seconds));
            }

            figures.Add(("steady_calls_per_second", fleet?.SteadyCallsPerSecond));
            if (what is "all" or "warm-eni")
            {
                figures.Add(("fleet_warm_eni_seconds", (await RunAsync(nodes, WarmEni, TimeSpan.Zero)).Seconds));
            }

            foreach (var (name, value) in figures.Where(figure => figure.Value is not null))
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {value:0.###}"));
            }

            return 0;
        }
        catch (Exception e)
        {
            // The one place where everything ends: a benchmark that cannot be run says why, and fails.
            await Console.Error.WriteLineAsync($"FAILED: {e}");
            return 1;
        }
    }

    private static async Task<FleetResult> RunAsync(int nodes, Dictionary<string, string> settings, TimeSpan steady)
    {
        Say($"{nodes} nodes in real time, {(settings.Count == 0 ? "no target set" : string.Join(' ', settings.Select(setting => $"{setting.Key}={setting.Value}")))}");
        var result = await FleetRun.RunAsync(nodes, settings, steady, Say);
        var (served, ways) = (result.Served, FleetCalls.ByAction(result.Calls));
        Say(string.Create(CultureInfo.InvariantCulture, $"  pods had their address after {served[served.Count / 2]:0.0} s (half), {served[served.Count * 9 / 10]:0.0} s (nine of ten), {result.Seconds:0.0} s (all)"));
        SayCalls(ways);
        return result;
    }

    private static void SayCalls(IReadOnlyDictionary<string, (int All, int Throttled)> byAction)
    {
        foreach (var (action, (all, throttled)) in byAction)
        {
            Say($"  {action}: {all} calls, {throttled} throttled");
        }
    }

    private static void Say(string text) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[{TimeProvider.System.GetElapsedTime(Began).TotalSeconds,6:0.0} s] {text}"));
}
