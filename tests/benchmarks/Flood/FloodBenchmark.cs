using System.Diagnostics;
using System.Globalization;
using AwsVpcCni.Benchmarks.StoreCost;

namespace AwsVpcCni.Benchmarks.Flood;

/// <summary>`make bench-flood`: how long other nodes' ADDs take while one node, with its good token, floods the node API, beside the same without; and what memory the silo takes.</summary>
/// <remarks>Blocks without and with the flood take turns, as in `make bench-readers`. The flood is a process of its own at the lowest priority: what it computes is the attacker's, and
/// on a small machine it would else be measured as the silo's.</remarks>
internal static class FloodBenchmark
{
    private const string Flooder = "i-0fffffffffffffff0";
    private static readonly TimeSpan ToItsHeight = TimeSpan.FromSeconds(3);

    /// <param name="pairs">Of blocks.</param>
    /// <param name="seconds">Of each block, at least.</param>
    public static async Task<bool> RunAsync(int pairs, double seconds)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(5) + TimeSpan.FromSeconds(2 * (pairs + 1) * (seconds + 30)));
        await using var one = await OneSilo.StartAsync("bench-flood", [Flooder], deadline.Token);
        List<double> alone = [], beside = [], medians = [], slowest = [];
        var (counts, cpu, seen, calm) = (new FloodCounts(0, 0, 0), 0.0, 0.0, MostResident(one.Process));
        for (var n = 0; n < pairs; n++)
        {
            var without = await one.AddsAsync(seconds, deadline.Token);
            await using var flood = new FloodProcess(one.Dynamo, one.Silos.TokenOf(Flooder));
            await Task.Delay(ToItsHeight, deadline.Token);
            var (before, clock) = (ProcessTime.Of(one.Process), Stopwatch.StartNew());
            var with = await one.AddsAsync(seconds, deadline.Token);
            (cpu, seen) = (cpu + ProcessTime.Of(one.Process) - before, seen + clock.Elapsed.TotalSeconds);
            counts += await flood.EndAsync(deadline.Token);

            medians.Add(Figures.Median(with) / Figures.Median(without));
            slowest.Add(Figures.P99(with) / Figures.P99(without));
            alone.AddRange(without);
            beside.AddRange(with);
            Progress.Say(string.Create(CultureInfo.InvariantCulture,
                $"  p50 {Figures.Median(without):0.00} ms alone, {Figures.Median(with):0.00} beside the flood; p99 {Figures.P99(without):0.0}, {Figures.P99(with):0.0}; the silo has had {MostResident(one.Process):0} MiB; {counts}; load {ProcessTime.Load()}"));
        }

        var figures = new Figures();
        (figures["add_ms_p50_alone"], figures["add_ms_p99_alone"]) = (Figures.Median(alone), Figures.P99(alone));
        (figures["add_ms_p50_beside_flood"], figures["add_ms_p99_beside_flood"]) = (Figures.Median(beside), Figures.P99(beside));
        (figures["flood_answered"], figures["flood_refused"], figures["flood_cut"]) = (counts.Answered, counts.Refused, counts.Cut);
        figures["flood_silo_cores"] = cpu / seen;
        (figures["calm_silo_rss_mib"], figures["flood_silo_rss_mib"]) = (calm, MostResident(one.Process));
        (figures["flood_add_p50_ratio"], figures["flood_add_p99_ratio"]) = (Figures.Median(medians), Figures.Median(slowest));
        figures.Print();
        return counts.Refused > 0;
    }

    /// <summary>MiB, the most so far.</summary>
    private static double MostResident(int process) => int.Parse(
        File.ReadLines($"/proc/{process}/status").Single(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)).Split(':')[1].Split("kB")[0], CultureInfo.InvariantCulture) / 1024.0;
}
