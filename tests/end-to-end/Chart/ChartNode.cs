using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using AwsVpcCni.KubeletLite;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Images;
using AwsVpcCni.VpcEmulator.Fabric;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>A node as it is before anything of ours is on it: containerd without a network, a kubelet, a way to the API server, folders that stand for its file system.</summary>
internal sealed class ChartNode : IAsyncDisposable
{
    private readonly HttpClient probes;

    private ChartNode(string netnsName, ContainerdNode containerd, Kubelet kubelet, HttpClient probes) => (NetnsName, Containerd, Kubelet, this.probes) = (netnsName, containerd, kubelet, probes);

    public string Name => Kubelet.Node.Name;

    /// <summary>As `ip netns` knows it.</summary>
    public string NetnsName { get; }

    public ContainerdNode Containerd { get; }

    public Cri Cri => Containerd.Cri;

    public Kubelet Kubelet { get; }

    /// <summary>A path of the node on this machine.</summary>
    public string PathOf(string path) => Kubelet.Node.PathOf(path);

    /// <summary>Starts containerd.</summary>
    public static async Task<ChartNode> StartAsync(WorkFolder work, ClusterSettings settings, int index, string address, ApiReads api)
    {
        var name = settings.Nodes[index];
        var (netnsName, root) = ($"{settings.Name}-{name}", work.NewFolder(name, "root"));
        var host = new NodeHost(name, address, root) { LogFolder = work.Root, ApiAddress = ApiServer.Address, DnsServer = "10.20.0.2", ClusterDnsServer = "10.100.0.10" };
        await Shell.RunAsync("nsenter", "--net=/run/netns/" + netnsName, "nft", "table inet asked { chain out { type filter hook output priority 0; meta l4proto { tcp, udp } th dport 53 counter; }; }");
        var containerd = await ContainerdNode.StartAsync(work, new ContainerdSettings(name, "/run/netns/" + netnsName, [])
        {
            // The plugin finds the executor's socket at its default path, of which the node's folder stands in the way here.
            Environment = new Dictionary<string, string> { ["AWS_VPC_CNI_SOCKET"] = host.PathOf("/run/aws-vpc-cni/executor.sock") },
            BinFolder = host.PathOf("/opt/cni/bin"), // Empty, as in Amazon Linux 2023's image.
            ConfFolder = Directory.CreateDirectory(host.PathOf("/etc/cni/net.d")).FullName,
        });
        var probes = HttpFrom("/run/netns/" + netnsName);
        return new ChartNode(netnsName, containerd, new Kubelet(host, containerd.Cri.Runtime, api, probes), probes);
    }

    /// <summary>The node's object, as a kubelet registers it: with a taint until its network is ready.</summary>
    public JsonObject Object(string instanceId, bool isReady)
    {
        var (taints, status) = isReady ? ("[]", "True") : ("""[{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"}]""", "False");
        return JsonNode.Parse($$$"""
            {"apiVersion":"v1","kind":"Node",
             "metadata":{"name":"{{{Name}}}","labels":{"kubernetes.io/os":"linux","kubernetes.io/arch":"amd64","kubernetes.io/hostname":"{{{Name}}}","topology.kubernetes.io/zone":"eu-west-1a","node.kubernetes.io/instance-type":"m5.large"}},
             "spec":{"providerID":"aws:///eu-west-1a/{{{instanceId}}}","taints":{{{taints}}}},
             "status":{"conditions":[{"type":"Ready","status":"{{{status}}}"}],"addresses":[{"type":"InternalIP","address":"{{{Kubelet.Node.Address}}}"}]}}
            """)!.AsObject();
    }

    /// <summary>Puts an image of ours into the runtime, under two tags.</summary>
    /// <param name="isNext">The other tag is of the next build; else of the same.</param>
    public async Task LoadImageAsync(string image, string otherTag, bool isNext)
    {
        await ShippedImage.ImportAsync(Containerd, image);
        var (name, other) = (ShippedImage.NameOf(image), ShippedImage.NameOf(image, otherTag));
        if (isNext)
        {
            await ShippedImage.ImportAsync(Containerd, $"{image}-{otherTag}");
        }
        else
        {
            await Shell.RunAsync("ctr", "-a", Containerd.Socket, "-n", "k8s.io", "images", "tag", "--force", name, other);
        }

        await Eventually.HoldsAsync($"CRI to know {image}", TimeSpan.FromSeconds(30), async _ => await Cri.HasImageAsync(name) && await Cri.HasImageAsync(other) ? null : "no image");
    }

    /// <summary>Packets to any DNS server that have left from the node's own network, and so from pods on it.</summary>
    public async Task<string> DnsPacketsAsync() =>
        (await Shell.RunAsync("nsenter", "--net=/run/netns/" + NetnsName, "nft", "list", "chain", "inet", "asked", "out")).Split("counter packets ")[1].Split(' ')[0];

    public async ValueTask DisposeAsync()
    {
        await Containerd.DisposeAsync();
        probes.Dispose();
    }

    // A socket stays in the namespace in which it was made.
    private static HttpClient HttpFrom(string netns) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (context, cancellation) =>
        {
            var socket = NetworkNamespace.Run(netns, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            await socket.ConnectAsync(IPAddress.Parse(context.DnsEndPoint.Host), context.DnsEndPoint.Port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });
}
