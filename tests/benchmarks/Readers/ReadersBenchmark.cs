using System.Globalization;
using AwsVpcCni.Benchmarks.StoreCost;
using AwsVpcCni.Tests.Cluster.Silos;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Benchmarks.Readers;

/// <summary>`make bench-readers`: how long an ADD's call of the node API takes while 200 readers look on, beside the same without them.</summary>
/// <remarks>The calls are those of `make bench-store` (node API, token, grain, row, answer; SQLite), a hundred a second whatever comes back; blocks without
/// and with readers take turns, and each ratio is of two neighbours. Afterwards the readers ask again at once, each time, and every ADD must still be
/// answered within the node API's own deadline. Readers run in this process, so what they cost on a small machine is theirs and the silo's together.</remarks>
internal static class ReadersBenchmark
{
    private const int Readers = 200;
    private const double AddsASecond = 100;
    private const double WarmUp = 3;
    private static readonly StoreSize Size = new([.. Enumerable.Range(1, 16).Select(n => $"i-{n:x17}")], 49);
    private static readonly Uri Health = new("http://127.0.0.1:20001");

    /// <param name="pairs">Of blocks.</param>
    /// <param name="seconds">Of each block, at least.</param>
    public static async Task<bool> RunAsync(int pairs, double seconds)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(5) + TimeSpan.FromSeconds(2 * (pairs + 1) * (seconds + 30)));
        var dynamo = new DynamoDbLocal(); // Its network namespace, and no table.
        var folder = Store.Empty("bench-readers");
        try
        {
            await dynamo.InitializeAsync();
            await using var unused = new DynamoDbStore(dynamo);
            await using var silos = new SiloProcesses(dynamo, unused, new Dictionary<string, string>
            {
                ["Ec2__Endpoint"] = Ec2Process.Endpoint,
                ["Pool__MinimumIps"] = $"{Size.Addresses}",
                ["Pool__WarmIps"] = "0",
                ["Pool__MaxEnis"] = "1",
                ["Pool__Cooldown"] = "00:00:00",
                ["Pool__PreferredRest"] = "00:00:00",
                ["Storage__Provider"] = "sqlite",
                ["Storage__Path"] = Path.Combine(folder.FullName, "silo.db"),
                ["Silo__Clustering"] = "single",
            }, Path.Combine(Tests.Cluster.Repository.Root, "artifacts", "silo", "silo"));
            await using var ec2 = await Ec2Process.StartAsync(dynamo, silos.Folder, Fleet.Vpc(Size.Nodes, "m5.24xlarge"), deadline.Token);
            await silos.StartAllAsync(1, deadline.Token);
            using var assigns = await SiloAssigns.JoinAsync(dynamo, silos, Size, deadline.Token);
            Progress.Say($"{Size.Nodes.Count} nodes have {Size.Addresses} addresses each; {AddsASecond} ADDs a second, {Readers} readers");
            await assigns.Rounds.PacedAsync(AddsASecond, WarmUp, deadline.Token);

            var figures = new Figures();
            var isRight = await PairsAsync(dynamo, assigns.Rounds, silos.ProcessOf(1), pairs, seconds, figures, deadline.Token) & await HurriedAsync(dynamo, assigns.Rounds, seconds, figures, deadline.Token);
            figures.Print();
            return isRight;
        }
        finally
        {
            await dynamo.DisposeAsync();
            folder.Delete(recursive: true);
        }
    }

    private static async Task<bool> PairsAsync(DynamoDbLocal dynamo, Rounds rounds, int silo, int pairs, double seconds, Figures figures, CancellationToken cancellation)
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
            await using (var readers = new ReadersLoad(dynamo, Health, Readers, hurried: false))
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
            var before = ProcessTime.Of(silo);
            var (took, _) = await rounds.PacedAsync(AddsASecond, seconds, cancellation);
            return (took, ProcessTime.Of(silo) - before);
        }
    }

    /// <summary>An ADD that is refused, or not answered, ends the benchmark with its text.</summary>
    private static async Task<bool> HurriedAsync(DynamoDbLocal dynamo, Rounds rounds, double seconds, Figures figures, CancellationToken cancellation)
    {
        await using var readers = new ReadersLoad(dynamo, Health, Readers, hurried: true);
        await Task.Delay(TimeSpan.FromSeconds(2), cancellation);
        var (took, _) = await rounds.PacedAsync(AddsASecond, seconds, cancellation);
        var counts = readers.Counts;
        (figures["hurried_adds"], figures["hurried_add_ms_p50"], figures["hurried_add_ms_p99"]) = (took.Count, Figures.Median(took), Figures.P99(took));
        (figures["hurried_readers_answered"], figures["hurried_readers_refused"], figures["hurried_readers_other"]) = (counts.Answered, counts.Refused, counts.Other);
        return counts.Refused > 0;
    }
}
