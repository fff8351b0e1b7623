using System.Globalization;
using System.Runtime.InteropServices;
using AwsVpcCni.Tests.Cluster.Silos;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Benchmarks.StoreCost;

/// <summary>Which rows there are.</summary>
/// <param name="Addresses">Of each node.</param>
internal sealed record StoreSize(IReadOnlyList<string> Nodes, int Addresses)
{
    /// <summary>What the primary interface of an m5.24xlarge has for pods, on 64 nodes: 3,136.</summary>
    public static StoreSize Usual { get; } = new([.. Enumerable.Range(1, 64).Select(n => $"i-{n:x17}")], 49);
}

/// <summary>`make bench-store`: how many assignments a second one silo makes durable beside the bare conditional writes, and what CPU each takes.</summary>
/// <remarks>
/// <para>Our side is the way of an ADD from the node API on: HTTP/2, the node's token, the node's grain, the row, the answer. The calls come from this
/// process, with the JSON of the executor but without its lease, and it shows what it takes itself: where driver, silo and DynamoDB Local share two cores, each
/// assignment pays for all three, and the bare side for two. So <c>store_ratio</c> is of the whole, and the CPU of the silo and of the putter are the comparison
/// that does not depend on how many cores there are.</para>
/// <para>The bare side is a process too, so that its CPU is its own: the SDK's client as the silo sets it up, or the silo's SQLite connection. Both sides write
/// rows of the same size over the same number of keys, in blocks that take turns; see <see cref="Rounds"/> for what is counted.</para>
/// <para>Not as in production: the store's deadline is 5 s and a call's 10 s (others may use this machine), and a freed address need not rest.</para>
/// </remarks>
internal static class StoreBenchmark
{
    public const int InFlight = 32;
    public const string Region = SiloProcesses.Region;
    public static readonly Uri Door = SiloProcesses.DoorOf(1);

    public static readonly IReadOnlyDictionary<string, string> Credentials =
        new Dictionary<string, string> { ["AWS_ACCESS_KEY_ID"] = DynamoDbProxy.AccessKey, ["AWS_SECRET_ACCESS_KEY"] = "y" };

    private static readonly TimeSpan Start = TimeSpan.FromMinutes(5); // For all that is started, and for the waits between the rounds: far more than it takes.
    private const double WarmUp = 5;

    /// <param name="blocks">Of each side, on each store.</param>
    /// <param name="seconds">Of each block.</param>
    public static async Task<bool> RunAsync(int blocks, double seconds)
    {
        using var deadline = new CancellationTokenSource(Start + TimeSpan.FromSeconds(4 * blocks * seconds * 4));
        // A proxy's host in this process takes both signals for itself, so that they would end nothing.
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        var dynamo = new DynamoDbLocal();
        try
        {
            await dynamo.InitializeAsync();
            var figures = new Figures();
            await OnDynamoDbAsync(dynamo, new Pace(blocks, seconds), figures, deadline.Token);
            var folder = Store.Empty("bench-store");
            try
            {
                await OnSqliteAsync(dynamo, folder, new Pace(blocks, seconds), figures, deadline.Token);
            }
            finally
            {
                folder.Delete(recursive: true);
            }

            figures.Print();
            return true;
        }
        finally
        {
            await dynamo.DisposeAsync();
        }

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            deadline.Cancel();
        }
    }

    private static async Task OnDynamoDbAsync(DynamoDbLocal dynamo, Pace pace, Figures figures, CancellationToken cancellation)
    {
        Progress.Say("DynamoDB Local: starting an EC2 and a silo; 64 nodes join");
        await using var store = new DynamoDbStore(dynamo);
        await using var bare = new DynamoDbStore(dynamo);
        await bare.OpenAsync();
        var java = dynamo.Java();
        await using var putter = new BareProcess(dynamo, "put-items", dynamo.Url, bare.Settings.AddressTable, $"{java}");
        var settings = new Dictionary<string, string> { ["Storage__ServiceUrl"] = dynamo.Url }; // Not by way of this process.
        await ComparedAsync(dynamo, store, settings, putter, pace, [java], ["put", "DynamoDB Local"], figures, "", cancellation);
    }

    private static async Task OnSqliteAsync(DynamoDbLocal dynamo, DirectoryInfo folder, Pace pace, Figures figures, CancellationToken cancellation)
    {
        Progress.Say("Starting an EC2 and a silo on it; 64 nodes join");
        await using var unused = new DynamoDbStore(dynamo); // No table of it is made.
        await using var inserter = new BareProcess(dynamo, "insert-rows", Path.Combine(folder.FullName, "bare.db"));
        var settings = new Dictionary<string, string>
        {
            ["Storage__Provider"] = "sqlite",
            ["Storage__Path"] = Path.Combine(folder.FullName, "silo.db"),
            ["Silo__Clustering"] = "single",
        };
        await ComparedAsync(dynamo, unused, settings, inserter, pace, [], ["insert"], figures, "sqlite_", cancellation);
    }

    private static async Task ComparedAsync(
        DynamoDbLocal dynamo, DynamoDbStore store, Dictionary<string, string> settings, BareProcess bare, Pace pace, int[] stores, string[] named, Figures figures, string prefix,
        CancellationToken cancellation)
    {
        var size = StoreSize.Usual;
        // What a node holds stays as it is: EC2 is not in what is timed, but for the reads of each minute.
        await using var silos = new SiloProcesses(dynamo, store, new Dictionary<string, string>
        {
            ["Ec2__Endpoint"] = Ec2Process.Endpoint,
            ["NodeApi__CallDeadline"] = "00:00:10",
            ["Pool__MinimumIps"] = $"{size.Addresses}",
            ["Pool__WarmIps"] = "0",
            ["Pool__MaxEnis"] = "1",
            ["Pool__Cooldown"] = "00:00:00",
            ["Pool__PreferredRest"] = "00:00:00",
        }.Concat(settings), Path.Combine(Tests.Cluster.Repository.Root, "artifacts", "silo", "silo"));
        await using var ec2 = await Ec2Process.StartAsync(dynamo, silos.Folder, Fleet.Vpc(size.Nodes, "m5.24xlarge"), cancellation);
        await silos.StartAllAsync(1, cancellation);
        using var assigns = await SiloAssigns.JoinAsync(dynamo, silos, size, cancellation);

        int[] ours = [silos.ProcessOf(1), Environment.ProcessId, .. stores];
        string[] ourNames = ["silo", "driver", .. named[1..]];
        Progress.Say($"{size.Nodes.Count} nodes have {size.Addresses} addresses each. {InFlight} calls in flight; a warm-up of {WarmUp} s on each side, then blocks in turn");
        await assigns.Rounds.RunAsync(WarmUp, ours, cancellation);
        await bare.RunAsync(WarmUp, cancellation);
        List<Block> assigned = [], written = [];
        for (var n = 0; n < pace.Blocks; n++)
        {
            assigned.Add(Told("assign", ourNames, await assigns.Rounds.RunAsync(pace.Seconds, ours, cancellation)));
            written.Add(Told(named[0], named, await bare.RunAsync(pace.Seconds, cancellation)));
        }

        var most = Figures.Median(assigned.Select(block => block.Rate));
        var (took, late) = await assigns.Rounds.PacedAsync(most / 2, pace.Seconds, cancellation);
        Progress.Say(string.Create(CultureInfo.InvariantCulture, $"  {took.Count} assignments at {most / 2:0} a second, each timed from when it was sent; sent late by {Figures.P99(late):0.0} ms at p99; load {ProcessTime.Load()}"));
        figures[$"{prefix}store_ratio"] = most / Figures.Median(written.Select(block => block.Rate));
        figures[$"{prefix}assign_silo_cpu_us"] = Figures.Median(assigned.Select(block => block.Microseconds(0)));
        figures[$"{prefix}{named[0]}_cpu_us"] = Figures.Median(written.Select(block => block.Microseconds(0)));
        figures[$"{prefix}assign_ms_p50"] = Figures.Median(took);
        figures[$"{prefix}assign_ms_p99"] = Figures.P99(took);
    }

    private static Block Told(string what, string[] names, Block block)
    {
        Progress.Say(string.Create(CultureInfo.InvariantCulture, $"  {what}: {block.Rate:0} a second ({block.Count} in {block.Seconds:0.0} s); CPU us each: ")
            + string.Join(", ", names.Select((name, n) => string.Create(CultureInfo.InvariantCulture, $"{name} {block.Microseconds(n):0}"))) + $"; load {ProcessTime.Load()}");
        return block;
    }

    private sealed record Pace(int Blocks, double Seconds);
}
