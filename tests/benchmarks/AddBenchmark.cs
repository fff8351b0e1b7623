using System.Collections.Immutable;
using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Benchmarks;

/// <summary>`make bench-add`: how long ADD and DEL take beside Debian's ptp + host-local, and what our ADD spends its time on.</summary>
internal static class AddBenchmark
{
    // An address rests 30 s after its pod, and the primary interface of an m5.24xlarge has 49 for pods: so several nodes, and no address twice.
    private const int Nodes = 5, AddressesOfANode = 49, WarmUp = 5, PairsOfANode = 42, LeastPairs = 200;
    private const double LeastSum = 0.85, MostSum = 1.15; // Of the median: parts that say less, or more, do not explain it.

    /// <returns>False when a condition of the benchmark did not hold; then its figures are not to be used.</returns>
    public static async Task<bool> RunAsync()
    {
        var store = Store.Empty("bench-add-store");
        var (figures, isValid) = await BesidePtpAsync(store);
        isValid &= await GrowthBenchmark.RunAsync(store, figures);
        figures.Print();
        return isValid;
    }

    private static async Task<(Figures Figures, bool IsValid)> BesidePtpAsync(DirectoryInfo store)
    {
        Progress.Say($"Starting a VPC emulator, a silo, and {Nodes} nodes of m5.24xlarge");
        List<Pair> pairs = [];
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcbench")
        {
            Nodes = [.. Enumerable.Range(0, Nodes).Select(n => string.Create(CultureInfo.InvariantCulture, $"node{n}"))],
            InstanceType = "m5.24xlarge",
            SubnetCidr = "10.20.0.0/20", // Plenty: where little is left, thrift would shrink the pools.
            Silo = ImmutableDictionary<string, string>.Empty
                .Add("Pool__MinimumIps", AddressesOfANode.ToString(CultureInfo.InvariantCulture)) // And none more: a cooling address makes no node draw another one.
                .Add("Pool__WarmIps", "0")
                .Add("Pool__MaxEnis", "1")
                .Add("Storage__Path", Path.Combine(store.FullName, "silo.db")) // The cluster's own folder may be in memory.
                .Add("Logging__LogLevel__Default", "Debug"), // Says how long each row took.
        });
        await FilledAsync(cluster);
        Progress.Say($"Every node holds {AddressesOfANode} free addresses, and draws no more");

        foreach (var node in cluster.Nodes)
        {
            var runner = new Pairs(cluster, node);
            await runner.RunAsync("w", WarmUp);
            pairs.AddRange(await runner.RunAsync("m", PairsOfANode));
            Progress.Say($"  {node.Name}: {PairsOfANode} pairs, after {WarmUp} that do not count");
        }

        Progress.Say("Both plugins: posix_spawn by one thread in the node's namespace, fresh pod namespaces, ours and ptp first in turn, ptp without ipMasq.");
        Progress.Say("Not timed: 15 ms after each call, and after our DEL, which answers before the kernel has removed the link, the wait for that.");
        pairs = await QuietPairs.OfAsync(cluster, pairs, p => p.Calls, LeastPairs);
        var figures = await FiguresAsync(cluster, pairs);
        return (figures, pairs.Count >= LeastPairs & PartsExplain(figures));
    }

    private static Task FilledAsync(TestCluster cluster) => Eventually.HoldsAsync("each node's pool to be full", TimeSpan.FromSeconds(60), async _ =>
    {
        var summaries = System.Text.Json.JsonDocument.Parse(await cluster.Silo.IpamAsync("nodes", "--json")).RootElement.EnumerateArray()
            .Select(n => n.GetProperty("warm").GetInt32()).ToList();
        return summaries.Count == Nodes && summaries.All(warm => warm == AddressesOfANode) ? null : string.Join(' ', summaries);
    });

    private static async Task<Figures> FiguresAsync(TestCluster cluster, List<Pair> pairs)
    {
        var parts = await Parts.OfAsync(cluster, [.. pairs.Select(p => p.ContainerId)]);
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

    private static bool PartsExplain(Figures figures)
    {
        string[] names = ["exec_ms", "socket_ms", "grain_ms", "store_ms", "netlink_ms"];
        var share = names.Sum(name => figures[name]) / figures["add_ours_ms_median"];
        Progress.Say(string.Create(CultureInfo.InvariantCulture, $"{string.Join(" + ", names)} = {share:0%} of add_ours_ms_median: "
            + $"{(share is >= LeastSum and <= MostSum ? "they explain it" : $"FAILED, they must be {LeastSum:0%} to {MostSum:0%}. Does the machine do other work? Run it alone")}"));
        Progress.Say("  exec: our program with VERSION. socket: STATUS less VERSION, so request, executor's turn, reply. grain: in the executor from asking to");
        Progress.Say("  the claim, less store. store: in the silo from handing the row over until it is on disk. netlink: in the executor, all of the wiring.");
        return share is >= LeastSum and <= MostSum;
    }
}
