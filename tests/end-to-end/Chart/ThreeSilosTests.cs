using System.Net;
using System.Net.Sockets;
using AwsVpcCni.Tests.Cluster.Certificates;
using AwsVpcCni.Tests.Cluster.Silos;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Images;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>The chart with three silos on DynamoDB, each on a node of its own, under mutual TLS: strangers are kept out of Orleans' ports, a silo is killed, all are replaced one after the other by those of the next build and back, and pods start and go on meanwhile.</summary>
/// <remarks>As <see cref="ChartTests"/>; the store is DynamoDB Local. The next build's executor is this one's.</remarks>
public sealed class ThreeSilosTests
{
    private const string Tag = "test", OtherTag = "next";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Three_silos_serve_keep_strangers_out_and_are_killed_and_replaced_while_pods_start_and_go_on()
    {
        await ShippedImage.MadeOrSkipAsync();
        var (chart, next) = (await Helm.RenderOrSkipAsync(Tag, "three-silos.yaml"), await Helm.RenderOrSkipAsync(OtherTag, "three-silos.yaml"));
        await ShippedImage.MakeNextAsync(OtherTag);
        await using var cluster = await ChartCluster.StartAsync("avcthree", ["nodea", "nodeb", "nodec"], OtherTag, "threesilos", silos: 3, isNext: true);
        await using var dynamo = await DynamoDbDoors.OpenOrSkipAsync(cluster.Nodes.Select(node => node.NetnsName));
        using var authority = new TestAuthority("orleans");
        var silos = authority.Issue("silo", TestAuthority.BothWays);
        cluster.PrepareAsTheGuideSays(chart);
        cluster.Server.PutTlsSecret("orleans", silos.Certificate, silos.Key, authority.Pem);

        await cluster.InstallAsync(chart);
        await Task.WhenAll(cluster.Nodes.Select(cluster.NodeReadyAsync));
        var pods = await Task.WhenAll(cluster.Nodes.Select(node => node.Cri.RunPodAsync("pod")));
        var pings = await Pings.StartAsync(cluster.Nodes[0].Cri, pods[1].Address);
        await EachKnowsAllNodesAsync(cluster);
        await cluster.HelmTestsPassAsync(chart);
        await StrangersStayOutAsync(cluster, silos);

        await cluster.SilosNode.Kubelet.RestartAsync(cluster.Silos[cluster.SilosNode.Name], "silo");
        await StartAndStopOnEachAsync(cluster, "killed");
        await cluster.SilosNode.Kubelet.ReadyAsync(cluster.Silos[cluster.SilosNode.Name]);

        var away = 0;
        foreach (var (to, tag) in new[] { (next, OtherTag), (chart, Tag) })
        {
            await cluster.UpgradeAsync(to, () => StartAndStopOnEachAsync(cluster, $"away-{away++}"));
            Assert.All(cluster.Silos.Values, silo => Assert.Equal(ShippedImage.NameOf("silo", tag), silo.Pod.Spec.Containers[0].Image));
            await EachKnowsAllNodesAsync(cluster);
            await StartAndStopOnEachAsync(cluster, $"after-{away}");
            Assert.Equal(tag == OtherTag, cluster.Nodes.Any(node => node.Kubelet.LogOf(cluster.Silos[node.Name], "silo").Contains("is of build next", StringComparison.Ordinal)));
            Assert.All(cluster.Nodes, node => Assert.Equal(tag == OtherTag, node.Kubelet.LogOf(cluster.Executors[node.Name], "executor").Contains("next: this executor has started", StringComparison.Ordinal)));
            Assert.Equal(tag == OtherTag, cluster.Nodes.Any(node => node.Kubelet.LogOf(cluster.Silos[node.Name], "silo").Contains("is reported by an executor of build next", StringComparison.Ordinal)));
        }

        Assert.Equal(6, away);
        Assert.DoesNotContain(cluster.Api.Calls, call => call.Status is 401 or 403);

        await pings.GoesOnAsync();
        var (sent, answered) = await pings.EndAsync();
        Assert.InRange(sent - answered, 0, 1);
        Assert.Equal(pods.Select(pod => pod.Address), await Task.WhenAll(cluster.Nodes.Zip(pods, (node, pod) => node.Cri.AddressAsync(pod.Sandbox))));
    }

    private static Task StartAndStopOnEachAsync(ChartCluster cluster, string name) => Task.WhenAll(cluster.Nodes.Select(async node => await node.Cri.StopAndRemoveAsync(await node.Cri.RunSandboxAsync(name))));

    /// <summary>`ipam nodes` beside each silo, by its gateway and with its certificate.</summary>
    private static async Task EachKnowsAllNodesAsync(ChartCluster cluster)
    {
        var instances = cluster.Nodes.Select(node => cluster.ObjectOf(node).Spec.ProviderID.Split('/')[^1]).ToArray();
        foreach (var node in cluster.Nodes)
        {
            await Eventually.HoldsAsync($"all nodes to be known on {node.Name}", Patience, async _ =>
                await node.Kubelet.ExecAsync(cluster.Silos[node.Name], "silo", Patience, "/app/silo", "ipam", "nodes") is (0, var said) && instances.All(id => said.Contains(id, StringComparison.Ordinal)) ? null : "not all");
        }
    }

    /// <summary>From another node, and from another process on the host network of a silo's own: Orleans' ports are nobody's without a certificate of the cluster's authority.</summary>
    private static async Task StrangersStayOutAsync(ChartCluster cluster, (string Certificate, string Key) insider)
    {
        using var other = new TestAuthority("orleans"); // Of the same name.
        var (silosNode, elsewhere) = (cluster.SilosNode, cluster.Nodes[1]);
        foreach (var (from, address, port) in new[] { (elsewhere, silosNode.Kubelet.Node.Address, 11111), (silosNode, silosNode.Kubelet.Node.Address, 11111), (silosNode, "127.0.0.1", 11112) })
        {
            Assert.True(await OrleansPort.GetsInAsync(await ConnectAsync(from, address, port), insider, null, Cancellation), $"{address}:{port} keeps its own out");
            Assert.False(await OrleansPort.GetsInAsync(await ConnectAsync(from, address, port), null, null, Cancellation), $"{address}:{port} without a certificate");
            Assert.False(await OrleansPort.GetsInAsync(await ConnectAsync(from, address, port), other.Issue("silo", TestAuthority.BothWays), null, Cancellation), $"{address}:{port}, another authority");
            Assert.False(await OrleansPort.PlainGetsInAsync(await ConnectAsync(from, address, port), Cancellation), $"{address}:{port} in the clear");
        }

        await Assert.ThrowsAsync<SocketException>(() => ConnectAsync(elsewhere, silosNode.Kubelet.Node.Address, 11112)); // The gateway is on loopback.
        await Eventually.HoldsAsync("the silo to say whom it has refused", Patience, _ => Task.FromResult(
            new[] { "silo", "gateway" }.FirstOrDefault(port => !silosNode.Kubelet.LogOf(cluster.Silos[silosNode.Name], "silo").Contains($"connections to the {port} port were refused", StringComparison.Ordinal))));
    }

    private static async Task<NetworkStream> ConnectAsync(ChartNode from, string address, int port)
    {
        var socket = NetworkNamespace.Run(NetworkNamespace.PathOf(from.NetnsName), () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        try
        {
            await socket.ConnectAsync(IPAddress.Parse(address), port, Cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
