using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.KubeletLite.Proto;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Debian's portmap and bandwidth behind our plugin, executed by containerd with what a pod asks for: by the executor's list, and by an operator's own.</summary>
public sealed class ChainedPodsTests
{
    private const int HostPort = 8090;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_host_port_works_by_the_list_that_the_executor_writes_where_portmap_lies_beside_our_plugin()
    {
        await using var cluster = await StartAsync("portmap");
        var (node, outside) = (cluster.Nodes[0], cluster.Nodes[1]);
        var address = await AddressAsync(node);

        var pod = await RunServerAsync(node, "here", _ => { });
        await LeadsToAsync(outside, address, "here");

        await node.Cri.StopAndRemoveAsync(pod);
        Assert.Contains("refused", await GetAsync(outside, address), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_recreated_pods_host_port_and_bandwidth_are_its_own_and_go_with_it()
    {
        await using var cluster = await StartAsync("portmap", "bandwidth");
        var (node, outside) = (cluster.Nodes[0], cluster.Nodes[1]);
        await ChainAsync(node);
        var before = await node.SnapshotAsync();
        var address = await AddressAsync(node);

        foreach (var round in (string[])["first", "second"])
        {
            var pod = await RunServerAsync(node, round, config =>
            {
                config.Annotations.Add("kubernetes.io/ingress-bandwidth", "10M");
                config.Annotations.Add("kubernetes.io/egress-bandwidth", "10M");
            });
            await LeadsToAsync(outside, address, round);
            Assert.Contains("rate 10Mbit", await Shell.RunAsync("tc", "-n", node.NetnsName, "qdisc"), StringComparison.Ordinal);

            await node.Cri.StopAndRemoveAsync(pod);
            Assert.Contains("refused", await GetAsync(outside, address), StringComparison.Ordinal);
            Assert.DoesNotContain(pod.Address, await Shell.RunAsync("nsenter", "--net=" + node.Netns, "iptables", "-w", "-t", "nat", "-S"), StringComparison.Ordinal);
        }

        await Eventually.HoldsAsync("the pods' links, routes, rules and rows to be gone", Patience, async _ =>
        {
            // portmap keeps its chains that belong to no pod; the pods' are gone, as was seen above.
            string[] left = [.. (await node.SnapshotAsync()).LeftOverSince(before).Where(line => !line.StartsWith("nft ", StringComparison.Ordinal)), .. await Rows.AssignedAsync(cluster.Silo)];
            return left.Length == 0 ? null : string.Join('\n', left);
        });
    }

    private static async Task<TestCluster> StartAsync(params string[] plugins)
    {
        foreach (var plugin in plugins)
        {
            Assert.SkipUnless(File.Exists(Path.Combine(ContainerdNode.DebianPlugins, plugin)), $"{ContainerdNode.DebianPlugins}/{plugin} is not there: apt-get install containernetworking-plugins");
        }

        return await TestCluster.StartAsync(new ClusterSettings("avcchain") { Plugins = [.. plugins] });
    }

    /// <summary>A pod whose page is behind the host port.</summary>
    private static Task<Pod> RunServerAsync(ClusterNode node, string page, Action<PodSandboxConfig> with) =>
        node.Cri.RunPodAsync("web", command: ["sh", "-c", $"echo {page} >/tmp/index.html; exec httpd -f -p 80 -h /tmp"], with: config =>
        {
            config.PortMappings.Add(new PortMapping { ContainerPort = 80, HostPort = HostPort });
            with(config);
        });

    private static Task LeadsToAsync(ClusterNode outside, string address, string page) =>
        Eventually.HoldsAsync($"the host port to lead to the pod with page {page}", Patience, async _ =>
        {
            var got = await GetAsync(outside, address);
            return got.Contains(page, StringComparison.Ordinal) ? null : got;
        });

    /// <summary>A list of an operator's own goes before ours by its file name; it keeps the network's name.</summary>
    private static async Task ChainAsync(ClusterNode node)
    {
        await File.WriteAllTextAsync(Path.Combine(node.Containerd.ConfFolder, "05-chain.conflist"), """
            {
              "cniVersion": "1.0.0",
              "name": "aws-cni",
              "plugins": [
                { "type": "aws-vpc-cni" },
                { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true },
                { "type": "bandwidth", "capabilities": { "bandwidth": true } }
              ]
            }
            """);
        await Eventually.HoldsAsync("containerd to load the list", Patience, async _ =>
            (await node.Cri.NetworkConfigAsync()).Contains("bandwidth", StringComparison.Ordinal) ? null : "it has another one");
    }

    private static async Task<string> AddressAsync(ClusterNode node) =>
        (await Shell.RunAsync("ip", "-n", node.NetnsName, "-4", "route", "get", "10.20.1.1")).Split(' ').SkipWhile(word => word != "src").ElementAt(1);

    /// <summary>A page of the host port, or why there is none.</summary>
    private static async Task<string> GetAsync(ClusterNode from, string address) => await Shell.RunAsync("nsenter", "--net=" + from.Netns, "bash", "-c", string.Create(
        CultureInfo.InvariantCulture, $$"""exec 2>&1; (exec 3<>/dev/tcp/{{address}}/{{HostPort}} && printf 'GET /index.html HTTP/1.0\r\n\r\n' >&3 && timeout 5 cat <&3) || true"""));
}
