using System.Globalization;
using AwsVpcCni.Benchmarks.StoreCost;

namespace AwsVpcCni.Benchmarks.Readers;

/// <summary>`make bench-readers`: how long an ADD's call of the node API takes while 200 readers look on, beside the same without them.</summary>
/// <remarks>The calls are those of `make bench-store` (node API, token, grain, row, answer; SQLite), a hundred a second whatever comes back; blocks without
/// and with readers take turns, and each ratio is of two neighbours. Afterwards the readers ask again at once, each time, and every ADD must still be
/// answered within the node API's own deadline. Readers run in this process, so what they cost on a small machine is theirs and the silo's together.</remarks>
internal static class ReadersBenchmark
{
    private const int Readers = 200;
    private static readonly Uri Health = new("http://127.0.0.1:20001");

    /// <param name="pairs">Of blocks.</param>
    /// <param name="seconds">Of each block, at least.</param>
    public static async Task<bool> RunAsync(int pairs, double seconds)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(5) + TimeSpan.FromSeconds(2 * (pairs + 1) * (seconds + 30)));
        await using var one = await OneSilo.StartAsync("bench-readers", [], deadline.Token);
        Progress.Say($"{Readers} readers");
        var figures = new Figures();
        var isRight = await PairsAsync(one, pairs, seconds, figures, deadline.Token) & await HurriedAsync(one, seconds, figures, deadline.Token);
        figures.Print();
        return isRight;
    }

    private static async Task<bool> PairsAsync(OneSilo one, int pairs, double seconds, Figures figures, CancellationToken cancellation)
    {
        List<double> alone = [], beside = [], medians = [], slowest = [];
        var (answered, refused, other) = (0L, 0L, 0L);
        var (cpuAlone, cpuBeside) = (0.0, 0.0);
        var during = 0L; // Of those that were answered, while ADDs were timed.
        for (var n = 0; n < pairs; n++)
        {
            var (without, cpu) = await TookAsync();
            cpuAlone += cpu;
            List<double> with;
            await using (var readers = new ReadersLoad(one.Dynamo, Health, Readers, hurried: false))
            {
                await Task.Delay(TimeSpan.FromSeconds(2), cancellation); // All are connected.
                var before = readers.Counts.Answered;
                (with, cpu) = await TookAsync();
                cpuBeside += cpu;
                during += readers.Counts.Answered - before;
                var counts = readers.Counts;
                (answered, refused, other) = (answered + counts.Answered, refused + counts.Refused, other + counts.Other);
            }

            medians.Add(Figures.Median(with) / Figures.Median(without));
            slowest.Add(Figures.P99(with) / Figures.P99(without));
            alone.AddRange(without);
            beside.AddRange(with);
            Progress.Say(string.Create(CultureInfo.InvariantCulture,
                $"  p50 {Figures.Median(without):0.00} ms alone, {Figures.Median(with):0.00} beside readers; p99 {Figures.P99(without):0.0}, {Figures.P99(with):0.0}; load {ProcessTime.Load()}"));
        }

        (figures["add_ms_p50_alone"], figures["add_ms_p99_alone"]) = (Figures.Median(alone), Figures.P99(alone));
        (figures["add_ms_p50_beside_readers"], figures["add_ms_p99_beside_readers"]) = (Figures.Median(beside), Figures.P99(beside));
        (figures["readers_add_p50_ratio"], figures["readers_add_p99_ratio"]) = (Figures.Median(medians), Figures.Median(slowest));
        (figures["readers_answered"], figures["readers_refused"], figures["readers_other"]) = (answered, refused, other);
        figures["reader_silo_cpu_us"] = (cpuBeside - cpuAlone) / during * 1e6;
        return other == 0;

        async Task<(List<double> Took, double Cpu)> TookAsync()
        {
            var before = ProcessTime.Of(one.Process);
            var took = await one.AddsAsync(seconds, cancellation);
            return (took, ProcessTime.Of(one.Process) - before);
        }
    }

    /// <summary>An ADD that is refused, or not answered, ends the benchmark with its text.</summary>
    private static async Task<bool> HurriedAsync(OneSilo one, double seconds, Figures figures, CancellationToken cancellation)
    {
        await using var readers = new ReadersLoad(one.Dynamo, Health, Readers, hurried: true);
        await Task.Delay(TimeSpan.FromSeconds(2), cancellation);
        var took = await one.AddsAsync(seconds, cancellation);
        var counts = readers.Counts;
        (figures["hurried_adds"], figures["hurried_add_ms_p50"], figures["hurried_add_ms_p99"]) = (took.Count, Figures.Median(took), Figures.P99(took));
        (figures["hurried_readers_answered"], figures["hurried_readers_refused"], figures["hurried_readers_other"]) = (counts.Answered, counts.Refused, counts.Other);
        return counts.Refused > 0;
    }
}
