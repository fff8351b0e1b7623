using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;

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
    // A DEL's answer does not wait for the kernel to remove the link, nor for the silo. The next call shall not pay for that.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(15);
    private static readonly TimeSpan LinkGoneWithin = TimeSpan.FromSeconds(5);

    private readonly string ptp = Path.Combine(ContainerdNode.DebianPlugins, "ptp");
    private readonly string ourConfig = Config(cluster, "ours.json", CniCallOnNode.Config);
    private readonly string ptpConfig = Config(cluster, "ptp.json",
        $$"""{"cniVersion":"1.0.0","name":"ptp","type":"ptp","ipMasq":false,"ipam":{"type":"host-local","subnet":"10.99.0.0/16","dataDir":"{{cluster.Work.Path("host-local")}}"} }""");

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
        var version = Ours("VERSION", ourNetns);
        var status = Ours("STATUS", ourNetns);
        var (addOurs, addPtp) = Both(oursFirst, () => Ours("ADD", ourNetns), () => Ptp("ADD", ptpNetns));
        var link = CniAnswer.HostLink(addOurs.Stdout);
        var (delOurs, delPtp) = Both(oursFirst, () => Del(ourNetns, link), () => Ptp("DEL", ptpNetns));
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

    private Timed Del(string netns, string link)
    {
        var timed = Ours("DEL", netns);
        for (var began = TimeProvider.System.GetTimestamp(); Spawn.HasLink(link); Wait())
        {
            if (TimeProvider.System.GetElapsedTime(began) > LinkGoneWithin)
            {
                throw new TimeoutException($"{link} is still there {LinkGoneWithin.TotalSeconds} s after its DEL; see {node.Name}'s executor log.");
            }
        }

        return timed;
    }

    private Timed Ours(string command, string netns) => Call(PluginProcess.Program, command, netns, ourConfig);

    private Timed Ptp(string command, string netns) => Call(ptp, command, netns, ptpConfig);

    /// <summary>Both get the same variables, in the same order.</summary>
    private Timed Call(string program, string command, string netns, string config)
    {
        var timed = Spawn.Run(program,
        [
            "CNI_COMMAND=" + command, "CNI_CONTAINERID=" + netns, "CNI_NETNS=/run/netns/" + netns, "CNI_IFNAME=eth0", "CNI_PATH=" + ContainerdNode.DebianPlugins,
            $"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={netns}", "AWS_VPC_CNI_SOCKET=" + node.Socket,
        ], config);
        Wait();
        return timed;
    }

    private static void Wait() => Task.Delay(Pause, TimeProvider.System).Wait(); // The thread must stay: it is in the node's namespace.

    private static string Config(TestCluster cluster, string name, string text)
    {
        File.WriteAllText(cluster.Work.Path(name), text);
        return cluster.Work.Path(name);
    }
}
