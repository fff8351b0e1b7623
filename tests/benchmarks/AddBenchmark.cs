using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.VpcEmulator.Control;

namespace AwsVpcCni.Benchmarks;

/// <summary>`make bench-add`: how long ADD and DEL take beside Debian's ptp + host-local, and what our ADD spends its time on.</summary>
internal static class AddBenchmark
{
    // An address rests 30 s after its pod, and the primary interface of an m5.24xlarge has 49 for pods: so several nodes, and no address twice.
    private const int Nodes = 5, AddressesOfANode = 49, WarmUp = 5, PairsOfANode = 42, LeastPairs = 200;
    private const double LeastSum = 0.85, MostSum = 1.15; // Of the median: parts that say less, or more, do not explain it.

    private static readonly Stopwatch Clock = Stopwatch.StartNew();

    /// <returns>False when a condition of the benchmark did not hold; then its figures are not to be used.</returns>
    public static async Task<bool> RunAsync()
    {
        var store = new DirectoryInfo(Path.Combine(Repository.Root, "artifacts", "bench-add-store"));
        if (store.Exists)
        {
            store.Delete(recursive: true);
        }

        store.Create();
        var disk = new DriveInfo(store.FullName).DriveFormat;
        if (disk is "tmpfs" or "ramfs")
        {
            throw new InvalidOperationException($"{store.FullName} is in memory ({disk}), where fsync costs nothing. Clone the repository onto a disk.");
        }

        Say($"Starting a VPC emulator, a silo (SQLite, synchronous=FULL, on {disk}), and {Nodes} nodes of m5.24xlarge");
        List<Pair> pairs = [];
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcbench")
        {
            Nodes = [.. Enumerable.Range(0, Nodes).Select(n => string.Create(CultureInfo.InvariantCulture, $"node{n}"))],
            InstanceType = "m5.24xlarge",
            SubnetCidr = "10.20.1.0/24", // Just what the five pools take: a cooling address makes no node draw another one.
            Silo = ImmutableDictionary<string, string>.Empty
                .Add("Pool__WarmIps", AddressesOfANode.ToString(CultureInfo.InvariantCulture))
                .Add("Storage__Path", Path.Combine(store.FullName, "silo.db")) // The cluster's own folder may be in memory.
                .Add("Logging__LogLevel__Default", "Debug"), // Says how long each row took.
        });
        await FilledAsync(cluster);
        Say($"Every node holds {AddressesOfANode} free addresses; the subnet has no more. add_growth_230 is not measured yet");

        foreach (var node in cluster.Nodes)
        {
            var runner = new Pairs(cluster, node);
            await runner.RunAsync("w", WarmUp);
            pairs.AddRange(await runner.RunAsync("m", PairsOfANode));
            Say($"  {node.Name}: {PairsOfANode} pairs, after {WarmUp} that do not count");
        }

        Say("Both plugins: posix_spawn by one thread in the node's namespace, fresh pod namespaces, ours and ptp first in turn, ptp without ipMasq.");
        Say("Not timed: 15 ms after each call, and after our DEL, which answers before the kernel has removed the link, the wait for that.");
        pairs = await WithoutEc2CallsAsync(cluster, pairs);
        var figures = await FiguresAsync(cluster, pairs);
        var isValid = pairs.Count >= LeastPairs & PartsExplain(figures);
        figures.Print();
        return isValid;
    }

    private static Task FilledAsync(TestCluster cluster) => Eventually.HoldsAsync("each node's pool to be full", TimeSpan.FromSeconds(60), async _ =>
    {
        var summaries = System.Text.Json.JsonDocument.Parse(await cluster.Silo.IpamAsync("nodes", "--json")).RootElement.EnumerateArray()
            .Select(n => n.GetProperty("warm").GetInt32()).ToList();
        return summaries.Count == Nodes && summaries.All(warm => warm == AddressesOfANode) ? null : string.Join(' ', summaries);
    });

    private static async Task<Figures> FiguresAsync(TestCluster cluster, List<Pair> pairs)
    {
        var parts = await PartsAsync(cluster, pairs);
        var version = Figures.Median(pairs.Select(p => p.Version.Milliseconds));
        return new Figures
        {
            ["add_ours_ms_median"] = Figures.Median(pairs.Select(p => p.AddOurs.Milliseconds)),
            ["add_ours_ms_p99"] = Figures.P99(pairs.Select(p => p.AddOurs.Milliseconds)),
            ["add_ptp_ms_median"] = Figures.Median(pairs.Select(p => p.AddPtp.Milliseconds)),
            ["add_ratio_median"] = Figures.Median(pairs.Select(p => p.AddOurs.Milliseconds / p.AddPtp.Milliseconds)),
            ["del_ours_ms_median"] = Figures.Median(pairs.Select(p => p.DelOurs.Milliseconds)),
            ["del_ratio_median"] = Figures.Median(pairs.Select(p => p.DelOurs.Milliseconds / p.DelPtp.Milliseconds)),
            ["exec_floor_ms"] = version,
            // Each part is measured by itself, none is what the others leave: so their sum is a check.
            ["exec_ms"] = version,
            ["socket_ms"] = Figures.Median(pairs.Select(p => p.Status.Milliseconds - p.Version.Milliseconds)),
            ["grain_ms"] = Figures.Median(pairs.Select(p => parts.Claim[p.ContainerId] - parts.Store[p.ContainerId])),
            ["store_ms"] = Figures.Median(pairs.Select(p => parts.Store[p.ContainerId])),
            ["netlink_ms"] = Figures.Median(pairs.Select(p => parts.Wiring[p.ContainerId])),
        };
    }

    /// <summary>The silo writes its log a moment later.</summary>
    private static async Task<Parts> PartsAsync(TestCluster cluster, List<Pair> pairs)
    {
        Parts parts = null!;
        await Eventually.HoldsAsync("the logs to tell of each ADD", TimeSpan.FromSeconds(10), _ =>
        {
            parts = Parts.Read(cluster.Nodes.Select(n => n.Executor!.LogFile), cluster.Silo.Daemon!.LogFile);
            var missing = pairs.Count(p => !parts.Claim.ContainsKey(p.ContainerId) || !parts.Store.ContainsKey(p.ContainerId));
            return Task.FromResult(missing == 0 ? null : $"{missing} of {pairs.Count} are missing");
        });
        return parts;
    }

    private static bool PartsExplain(Figures figures)
    {
        string[] names = ["exec_ms", "socket_ms", "grain_ms", "store_ms", "netlink_ms"];
        var share = names.Sum(name => figures[name]) / figures["add_ours_ms_median"];
        Say(string.Create(CultureInfo.InvariantCulture, $"{string.Join(" + ", names)} = {share:0%} of add_ours_ms_median: "
            + $"{(share is >= LeastSum and <= MostSum ? "they explain it" : $"FAILED, they must be {LeastSum:0%} to {MostSum:0%}. Does the machine do other work? Run it alone")}"));
        Say("  exec: our program with VERSION. socket: STATUS less VERSION, so request, executor's turn, reply. grain: in the executor from asking to");
        Say("  the claim, less store. store: in the silo from handing the row over until it is on disk. netlink: in the executor, all of the wiring.");
        return share is >= LeastSum and <= MostSum;
    }

    /// <summary>The silo reads EC2 each minute, whatever pods do. Pairs that it met do not count; a call that changes EC2 ends the benchmark.</summary>
    private static async Task<List<Pair>> WithoutEc2CallsAsync(TestCluster cluster, List<Pair> pairs)
    {
        CallEntry[] calls = [.. (await cluster.Emulator.CallsAsync()).Where(call => call.At >= pairs[0].Version.From)];
        if (calls.FirstOrDefault(call => !call.Action.StartsWith("Describe", StringComparison.Ordinal)) is { } change)
        {
            throw new InvalidOperationException($"{change.Action} at {change.At:O}: EC2 was changed during the timed part, so the pools were not filled before.");
        }

        var quiet = pairs.Where(p => !p.Calls.Any(timed => calls.Any(call => call.At <= timed.Until && call.At.AddMilliseconds(call.DurationMs) >= timed.From))).ToList();
        Say($"No EC2 call fell into the timed calls of {quiet.Count} pairs; {pairs.Count - quiet.Count} pairs that the silo's periodic reading of EC2 met do not count"
            + (quiet.Count < LeastPairs ? $": FAILED, {LeastPairs} are needed" : ""));
        return quiet;
    }

    private static void Say(string text) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[{Clock.Elapsed.TotalSeconds,5:0.0} s] {text}"));
}
