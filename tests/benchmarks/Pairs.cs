using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Benchmarks;

/// <summary>A pod by our plugin and one by ptp, one after the other on the same node, each in a namespace of its own.</summary>
/// <param name="Version">Our program when it has only to start and to say its versions.</param>
/// <param name="Status">Our program when the executor has only to answer.</param>
internal sealed record Pair(string ContainerId, Timed Version, Timed Status, Timed AddOurs, Timed AddPtp, Timed DelOurs, Timed DelPtp)
{
    public IEnumerable<Timed> Calls => [Version, Status, AddOurs, AddPtp, DelOurs, DelPtp];
}

/// <summary>Runs pairs on a node.</summary>
internal sealed class Pairs(TestCluster cluster, ClusterNode node)
{
    private readonly PluginOnNode plugins = new(cluster, node);

    /// <param name="count">Each has two fresh namespaces, made before and removed after all of them.</param>
    public async Task<Pair[]> RunAsync(string name, int count)
    {
        string[] netns = [.. Enumerable.Range(0, 2 * count).Select(n => $"{node.NetnsName}-{name}{n}")];
        foreach (var one in netns)
        {
            await cluster.Work.AddNamespaceAsync(one);
        }

        var pairs = new Pair[count];
        GC.Collect();
        await Spawn.InNamespaceAsync(node.Netns, () =>
        {
            for (var n = 0; n < count; n++)
            {
                pairs[n] = Run(netns[2 * n], netns[(2 * n) + 1], oursFirst: n % 2 == 0);
            }
        });
        foreach (var one in netns)
        {
            await Shell.RunAsync("ip", "netns", "delete", one);
        }

        return pairs;
    }

    private Pair Run(string ourNetns, string ptpNetns, bool oursFirst)
    {
        var version = plugins.Ours("VERSION", ourNetns);
        var status = plugins.Ours("STATUS", ourNetns);
        var (addOurs, addPtp) = Both(oursFirst, () => plugins.Ours("ADD", ourNetns), () => plugins.Ptp("ADD", ptpNetns));
        var link = CniAnswer.HostLink(addOurs.Stdout);
        var (delOurs, delPtp) = Both(oursFirst, () => plugins.OurDel(ourNetns, link), () => plugins.Ptp("DEL", ptpNetns));
        return new Pair(ourNetns, version, status, addOurs, addPtp, delOurs, delPtp);
    }

    private static (Timed Ours, Timed Ptp) Both(bool oursFirst, Func<Timed> ours, Func<Timed> ptp)
    {
        if (oursFirst)
        {
            var first = ours();
            return (first, ptp());
        }

        var other = ptp();
        return (ours(), other);
    }
}
