using System.Text;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>A sandbox without a runtime: a namespace of our own, and the shipped plugin called on the node as a runtime calls it.</summary>
internal sealed class CniCallOnNode : IAsyncDisposable
{
    public const string Config = """{"cniVersion":"1.0.0","name":"aws-cni","type":"aws-vpc-cni"}""";

    private readonly ClusterNode node;

    private CniCallOnNode(ClusterNode node, string netns, string podName) => (this.node, Netns, PodName) = (node, netns, podName);

    /// <summary>The sandbox's namespace, as `ip netns` knows it.</summary>
    public string Netns { get; }

    public string ContainerId { get; private init; } = "e2e" + Guid.CreateVersion7(TimeProvider.System.GetUtcNow()).ToString("N");

    public string PodName { get; }

    public string IfName { get; private init; } = "eth0";

    /// <summary>As books of addresses name it: the container, and the interface behind it if that is not its first.</summary>
    public string Holder => HolderOf(ContainerId, IfName);

    /// <param name="podName">Null: the namespace's.</param>
    public static async Task<CniCallOnNode> StartAsync(ClusterNode node, string name, string? podName = null)
    {
        var netns = await node.AddSandboxNamespaceAsync(name);
        return new CniCallOnNode(node, netns, podName ?? netns);
    }

    public static string HolderOf(string containerId, string ifName) => ifName == "eth0" ? containerId : $"{containerId}/{ifName}";

    /// <summary>The same sandbox, called for another network of it, as Multus does.</summary>
    public CniCallOnNode SecondNetwork() => new(node, Netns, PodName) { ContainerId = ContainerId, IfName = "net1" };

    public Task<PluginResult> AddAsync(string config = Config) => CallAsync("ADD", config);

    public Task<PluginResult> DelAsync(string config = Config) => CallAsync("DEL", config);

    /// <param name="changed">Over the runtime's usual variables: <c>NAME=value</c>.</param>
    public async Task<PluginResult> CallAsync(string command, string config, params string[] changed)
    {
        using var plugin = Begin(command, changed);
        await plugin.GiveAsync(Encoding.UTF8.GetBytes(config));
        return await plugin.ResultAsync();
    }

    /// <summary>Starts the plugin, which waits for its configuration.</summary>
    public PluginProcess Begin(string command, params string[] changed)
    {
        string[] usual =
        [
            $"CNI_COMMAND={command}", $"CNI_CONTAINERID={ContainerId}", $"CNI_NETNS=/run/netns/{Netns}", $"CNI_IFNAME={IfName}", "CNI_PATH=/opt/cni/bin",
            $"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={PodName}", $"AWS_VPC_CNI_SOCKET={node.Socket}",
        ];
        var environment = usual.Where(variable => !changed.Any(other => other.Split('=')[0] == variable.Split('=')[0])).Concat(changed);
        return PluginProcess.Start(environment, "/usr/bin/nsenter", "--net=" + node.Netns);
    }

    /// <summary>Of a second network: nothing, the namespace is the first one's.</summary>
    public async ValueTask DisposeAsync()
    {
        if (IfName == "eth0")
        {
            await Shell.RunAsync("ip", "netns", "delete", Netns);
        }
    }
}
