using System.Diagnostics;
using System.Globalization;
using AwsVpcCni.Benchmarks.StoreCost;

namespace AwsVpcCni.Benchmarks.Flood;

/// <summary>`make bench-flood`: how long other nodes' ADDs take while one node, with its good token, floods the node API, beside the same without; and what memory the silo takes.</summary>
/// <remarks>Blocks without and with the flood take turns, as in `make bench-readers`. The flood is a process of its own that runs only where a core has nothing else to do: what it computes is
/// the attacker's, and on a small machine it would else be measured as the silo's. What is left of that is measured, too: blocks beside a process that computes and calls nobody.</remarks>
internal static class FloodBenchmark
{
    private const string Flooder = "i-0fffffffffffffff0";
    private static readonly TimeSpan ToItsHeight = TimeSpan.FromSeconds(3);

    /// <param name="pairs">Of blocks, for each of the floods.</param>
    /// <param name="seconds">Of each block, at least.</param>
    public static async Task<bool> RunAsync(int pairs, double seconds)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(5) + TimeSpan.FromSeconds((4 * pairs + 1) * (seconds + 30)));
        await using var one = await OneSilo.StartAsync("bench-flood", [Flooder], deadline.Token);
        // The last one has more streams than may wait for their refusal.
        Flood[] floods = [new("busy", 0), new("flood", 12), new("wide_flood", 120)];
        List<double> alone = [];
        var calm = MostResident(one.Process);
        for (var n = 0; n < pairs; n++)
        {
            var without = await one.AddsAsync(seconds, deadline.Token);
            alone.AddRange(without);
            Progress.Say(string.Create(CultureInfo.InvariantCulture, $"  alone: p50 {Figures.Median(without):0.00} ms, p99 {Figures.P99(without):0.0}; load {ProcessTime.Load()}"));
            foreach (var flood in floods)
            {
                await flood.BlockAsync(one, without, seconds, deadline.Token);
            }
        }

        var figures = new Figures();
        (figures["add_ms_p50_alone"], figures["add_ms_p99_alone"]) = (Figures.Median(alone), Figures.P99(alone));
        figures["calm_silo_rss_mib"] = calm;
        Array.ForEach(floods, flood => flood.Tell(figures));
        foreach (var flood in floods.Skip(1))
        {
            figures[$"{flood.Name}_over_busy_add_p99_ratio"] = figures[$"{flood.Name}_add_p99_ratio"] / figures["busy_add_p99_ratio"];
        }

        figures.Print();
        return floods.All(flood => flood.Connections == 0 || flood.Counts.Refused > 0);
    }

    /// <summary>MiB, the most so far.</summary>
    private static double MostResident(int process) => int.Parse(
        File.ReadLines($"/proc/{process}/status").Single(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)).Split(':')[1].Split("kB")[0], CultureInfo.InvariantCulture) / 1024.0;

    /// <summary>One kind of flood, and what it did to others.</summary>
    /// <param name="Connections">Of it, of 100 streams each; none: it computes and calls nobody.</param>
    private sealed record Flood(string Name, int Connections)
    {
        private readonly List<double> _adds = [], _medians = [], _slowest = [];
        private double _cpu, _seen, _resident;

        public FloodCounts Counts { get; private set; } = new(0, 0, 0);

        public async Task BlockAsync(OneSilo one, List<double> without, double seconds, CancellationToken cancellation)
        {
            await using var flood = new FloodProcess(one.Dynamo, one.Silos.TokenOf(Flooder), Connections);
            await Task.Delay(ToItsHeight, cancellation);
            var (before, clock) = (ProcessTime.Of(one.Process), Stopwatch.StartNew());
            var with = await one.AddsAsync(seconds, cancellation);
            (_cpu, _seen) = (_cpu + ProcessTime.Of(one.Process) - before, _seen + clock.Elapsed.TotalSeconds);
            Counts += await flood.EndAsync(cancellation);
            _adds.AddRange(with);
            _medians.Add(Figures.Median(with) / Figures.Median(without));
            _slowest.Add(Figures.P99(with) / Figures.P99(without));
            _resident = _resident > 0 ? _resident : MostResident(one.Process); // Before a wider one has had its turn: it is the most so far.
            Progress.Say(string.Create(CultureInfo.InvariantCulture,
                $"  beside {Name}: p50 {Figures.Median(with):0.00} ms, p99 {Figures.P99(with):0.0}; the silo has had {_resident:0} MiB; {Counts}; load {ProcessTime.Load()}"));
        }

        public void Tell(Figures figures)
        {
            (figures[$"add_ms_p50_beside_{Name}"], figures[$"add_ms_p99_beside_{Name}"]) = (Figures.Median(_adds), Figures.P99(_adds));
            if (Connections > 0)
            {
                (figures[$"{Name}_answered"], figures[$"{Name}_refused"], figures[$"{Name}_cut"]) = (Counts.Answered, Counts.Refused, Counts.Cut);
                figures[$"{Name}_silo_rss_mib"] = _resident;
            }

            figures[$"{Name}_silo_cores"] = _cpu / _seen;
            (figures[$"{Name}_add_p50_ratio"], figures[$"{Name}_add_p99_ratio"]) = (Figures.Median(_medians), Figures.Median(_slowest));
        }
    }
}
