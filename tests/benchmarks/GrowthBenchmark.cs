using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Benchmarks;

/// <summary>An ADD on the node with pods and one on the node with none, one right after the other; each has had its DEL before the next.</summary>
internal sealed record GrowthPair(PodRun Full, PodRun Empty);

/// <summary>A pod that comes and goes.</summary>
internal sealed record PodRun(string ContainerId, Timed Add, Timed Del);

/// <summary>Whether an ADD takes longer the more pods the node has: `add_growth_230`.</summary>
/// <remarks>Both nodes are of one kernel here, so what its namespaces and links cost as a whole is in both figures, and their ratio
/// shows what grows with the pods of the node: lists that grain and executor walk, rules, routes.</remarks>
internal static class GrowthBenchmark
{
    private const int Pods = 230, WarmUp = 5, Pairs = 120, LeastPairs = 100;

    // More than the timed pods, since an address rests 30 s after its pod; and all that the node holds, so that a cooling address makes it draw no other.
    private const int Addresses = Pods + 133;

    public static async Task<bool> RunAloneAsync()
    {
        var figures = new Figures();
        var isValid = await RunAsync(Store.Empty("bench-add-store"), figures);
        figures.Print();
        return isValid;
    }

    /// <param name="figures">Gets the median of the pairs' ratios.</param>
    /// <returns>False when a condition of the benchmark did not hold.</returns>
    public static async Task<bool> RunAsync(DirectoryInfo store, Figures figures)
    {
        Progress.Say($"Starting another cluster for add_growth_230: two nodes of m5.24xlarge; one gets {Pods} pods");
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcgrow")
        {
            Nodes = ["full", "empty"],
            InstanceType = "m5.24xlarge",
            SubnetCidr = "10.20.0.0/20", // Has the silo's fixed address, and plenty: where little is left, thrift would shrink the pools.
            Silo = ImmutableDictionary<string, string>.Empty
                .Add("Pool__MinimumIps", Addresses.ToString(CultureInfo.InvariantCulture))
                .Add("Pool__WarmIps", "0")
                .Add("Storage__Path", Path.Combine(store.FullName, "growth.db"))
                .Add("Logging__LogLevel__Default", "Debug"),
        });
        var (full, empty) = (cluster.Nodes[0], cluster.Nodes[1]);
        await HoldAsync(cluster, (full, 0, Addresses), (empty, 0, Addresses));
        var netns = await NamespacesAsync(cluster, full, "p", Pods);
        var plugin = new PluginOnNode(cluster, full);
        await Spawn.InNamespaceAsync(full.Netns, () => Array.ForEach(netns, one => plugin.Ours("ADD", one)));
        var least = WarmUp + Pairs;
        await HoldAsync(cluster, (full, Pods, least), (empty, 0, least));

        Progress.Say($"{full.Name} has {Pods} pods and {empty.Name} none; both have at least {least} addresses besides, and draw no more");
        var pairs = await RunPairsAsync(cluster, full, empty);
        await HoldAsync(cluster, (full, Pods, 0), (empty, 0, 0));
        pairs = [.. await QuietPairs.OfAsync(cluster, pairs, pair => [pair.Full.Add, pair.Empty.Add], LeastPairs)];
        await TellAsync(cluster, pairs);
        figures["add_growth_230"] = Figures.Median(pairs.Select(Ratio));
        return pairs.Length >= LeastPairs;
    }

    private static double Ratio(GrowthPair pair) => pair.Full.Add.Milliseconds / pair.Empty.Add.Milliseconds;

    /// <summary>Waits until the nodes have just so many pods, and at least so many addresses ready.</summary>
    private static Task HoldAsync(TestCluster cluster, params (ClusterNode Node, int OnPods, int Ready)[] wanted) =>
        Eventually.HoldsAsync("both nodes to have their pods, and their pools to be full", TimeSpan.FromSeconds(60), async _ =>
        {
            using var nodes = JsonDocument.Parse(await cluster.Silo.IpamAsync("nodes", "--json"));
            List<string> missing = [];
            foreach (var (node, onPods, ready) in wanted)
            {
                var summary = nodes.RootElement.EnumerateArray().FirstOrDefault(one => one.GetProperty("instanceId").GetString() == node.InstanceId);
                if (summary.ValueKind == JsonValueKind.Undefined || summary.GetProperty("onPods").GetInt32() != onPods || summary.GetProperty("warm").GetInt32() < ready)
                {
                    missing.Add($"{node.Name}: {summary}");
                }
            }

            return missing.Count == 0 ? null : string.Join("; ", missing);
        });

    private static async Task<GrowthPair[]> RunPairsAsync(TestCluster cluster, ClusterNode full, ClusterNode empty)
    {
        var (onFull, onEmpty) = (new PluginOnNode(cluster, full), new PluginOnNode(cluster, empty));
        var ofFull = await NamespacesAsync(cluster, full, "t", WarmUp + Pairs);
        var ofEmpty = await NamespacesAsync(cluster, empty, "t", WarmUp + Pairs);
        var pairs = new GrowthPair[WarmUp + Pairs];
        GC.Collect();
        await Spawn.InNamespaceAsync(full.Netns, () =>
        {
            for (var n = 0; n < pairs.Length; n++)
            {
                if (n % 2 == 0)
                {
                    var first = Run(full, onFull, ofFull[n]);
                    pairs[n] = new GrowthPair(first, Run(empty, onEmpty, ofEmpty[n]));
                }
                else
                {
                    var first = Run(empty, onEmpty, ofEmpty[n]);
                    pairs[n] = new GrowthPair(Run(full, onFull, ofFull[n]), first);
                }
            }
        });
        return pairs[WarmUp..];
    }

    private static PodRun Run(ClusterNode node, PluginOnNode plugin, string netns)
    {
        Spawn.Enter(node.Netns);
        var add = plugin.Ours("ADD", netns);
        return new PodRun(netns, add, plugin.OurDel(netns, CniAnswer.HostLink(add.Stdout)));
    }

    private static async Task<string[]> NamespacesAsync(TestCluster cluster, ClusterNode node, string name, int count)
    {
        string[] names = [.. Enumerable.Range(0, count).Select(n => $"{node.NetnsName}-{name}{n}")];
        foreach (var one in names)
        {
            await cluster.Work.AddNamespaceAsync(one);
        }

        return names;
    }

    /// <summary>For people: what has grown.</summary>
    private static async Task TellAsync(TestCluster cluster, GrowthPair[] pairs)
    {
        var parts = await Parts.OfAsync(cluster, [.. pairs.SelectMany(pair => new[] { pair.Full.ContainerId, pair.Empty.ContainerId })]);
        Progress.Say($"Medians of {pairs.Length} pairs, in ms: with {Pods} pods on the node, with none, what has grown");
        Tell("ADD", run => run.Add.Milliseconds);
        Tell("  grain", run => parts.Claim[run.ContainerId] - parts.Store[run.ContainerId]);
        Tell("  store", run => parts.Store[run.ContainerId]);
        Tell("  netlink", run => parts.Wiring[run.ContainerId]);
        Tell("  exec, socket and the rest", run => run.Add.Milliseconds - parts.Claim[run.ContainerId] - parts.Wiring[run.ContainerId]);
        Tell("DEL", run => run.Del.Milliseconds);

        // A pod on a secondary interface needs one rule more; with 230 pods before it, each is on one.
        var primary = (await cluster.Emulator.StateAsync()).Interfaces.Where(eni => eni.DeviceIndex == 0).SelectMany(eni => eni.Addresses).ToHashSet();
        foreach (var group in pairs.GroupBy(pair => primary.Contains(CniAnswer.Address(pair.Empty.Add.Stdout))).OrderByDescending(group => group.Key))
        {
            Progress.Say(string.Create(CultureInfo.InvariantCulture,
                $"  against {group.Count()} pods on the empty node's {(group.Key ? "primary interface" : "secondary interfaces")}: ratio {Figures.Median(group.Select(Ratio)):0.000}, "
                + $"netlink {Figures.Median(group.Select(pair => parts.Wiring[pair.Full.ContainerId])):0.000} ms against {Figures.Median(group.Select(pair => parts.Wiring[pair.Empty.ContainerId])):0.000}"));
        }

        void Tell(string what, Func<PodRun, double> value)
        {
            var (with, without) = (Figures.Median(pairs.Select(pair => value(pair.Full))), Figures.Median(pairs.Select(pair => value(pair.Empty))));
            Progress.Say(string.Create(CultureInfo.InvariantCulture, $"  {what,-26} {with,7:0.000} {without,7:0.000} {with - without,7:+0.000;-0.000}"));
        }
    }
}
