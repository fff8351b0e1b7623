using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Plugin;

namespace AwsVpcCni.Benchmarks;

/// <summary>CNI plugins called for pods of one node, by a thread that is in the node's namespace.</summary>
internal sealed class PluginOnNode(TestCluster cluster, ClusterNode node)
{
    // A DEL's answer does not wait for the kernel to remove the link, nor for the silo. The next call shall not pay for that.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(15);
    private static readonly TimeSpan LinkGoneWithin = TimeSpan.FromSeconds(5);

    private readonly string ptp = Path.Combine(ContainerdNode.DebianPlugins, "ptp");
    private readonly string ourConfig = Config(cluster, "ours.json", CniCallOnNode.Config);
    private readonly string statusConfig = Config(cluster, "status.json", CniCallOnNode.Config.Replace("1.0.0", "1.1.0", StringComparison.Ordinal)); // Since 1.1.0.
    private readonly string ptpConfig = Config(cluster, "ptp.json",
        $$"""{"cniVersion":"1.0.0","name":"ptp","type":"ptp","ipMasq":false,"ipam":{"type":"host-local","subnet":"10.99.0.0/16","dataDir":"{{cluster.Work.Path("host-local")}}"} }""");

    public Timed Ours(string command, string netns) => Call(PluginProcess.Program, command, netns, command is "STATUS" ? statusConfig : ourConfig);

    public Timed Ptp(string command, string netns) => Call(ptp, command, netns, ptpConfig);

    /// <summary>Our DEL; returns when the link has gone, which is not timed.</summary>
    public Timed OurDel(string netns, string link)
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

    /// <summary>All get the same variables, in the same order.</summary>
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
