using AwsVpcCni.KubeEmulator;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>kubectl on a node of the cluster, as an administrator.</summary>
internal sealed class Kubectl
{
    private readonly ChartCluster cluster;
    private readonly string config;

    public Kubectl(ChartCluster cluster)
    {
        this.cluster = cluster;
        var folder = cluster.Work.NewFolder("kubectl");
        config = Path.Combine(folder, "config");
        File.WriteAllText(Path.Combine(folder, "ca.crt"), cluster.Server.Pem);
        File.WriteAllText(config, $$$"""
            {"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{"token":"{{{KubeApi.AdminToken}}}"}}],
             "clusters":[{"name":"c","cluster":{"server":"https://{{{ApiServer.Address}}}","certificate-authority":"{{{folder}}}/ca.crt"}}]}
            """);
    }

    /// <summary>What it says; it must end well.</summary>
    public Task<string> SaysAsync(params string[] words) =>
        Shell.RunAsync("nsenter", [$"--net=/run/netns/{cluster.SilosNode.NetnsName}", Helm.Kubectl, $"--kubeconfig={config}", $"--cache-dir={config}-cache", .. words]);
}
