using System.Text;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>A sandbox without a runtime: a namespace of our own, and the shipped plugin called on the node as a runtime calls it.</summary>
internal sealed class CniCallOnNode : IAsyncDisposable
{
    public const string Config = """{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni"}""";

    private readonly ClusterNode node;
    private readonly string netns;

    private CniCallOnNode(ClusterNode node, string netns) => (this.node, this.netns) = (node, netns);

    public string ContainerId { get; } = "e2e" + Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString("N");

    public static async Task<CniCallOnNode> StartAsync(ClusterNode node, string name)
    {
        var netns = $"{node.NetnsName}-{name}";
        await Shell.RunAsync("ip", "netns", "add", netns);
        return new CniCallOnNode(node, netns);
    }

    public Task<PluginResult> AddAsync(string config = Config) => CallAsync("ADD", config);

    public Task<PluginResult> DelAsync(string config = Config) => CallAsync("DEL", config);

    /// <param name="changed">Over the runtime's usual variables: <c>NAME=value</c>.</param>
    public async Task<PluginResult> CallAsync(string command, string config, params string[] changed)
    {
        string[] usual =
        [
            $"CNI_COMMAND={command}", $"CNI_CONTAINERID={ContainerId}", $"CNI_NETNS=/run/netns/{netns}", "CNI_IFNAME=eth0", "CNI_PATH=/opt/cni/bin",
            $"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={netns}", $"AWS_VPC_CNI_SOCKET={node.Socket}",
        ];
        var environment = usual.Where(variable => !changed.Any(other => other.Split('=')[0] == variable.Split('=')[0])).Concat(changed);
        using var plugin = await PluginProcess.StartAsync(environment, Encoding.UTF8.GetBytes(config), "/usr/bin/nsenter", "--net=" + node.Netns);
        return await plugin.ResultAsync();
    }

    public async ValueTask DisposeAsync() => await Shell.RunAsync("ip", "netns", "delete", netns);
}
