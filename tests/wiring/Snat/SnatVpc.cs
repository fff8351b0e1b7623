using System.Net;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Wiring.Fabric;
using AwsVpcCni.VpcEmulator.Fabric;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Snat;

/// <summary>Node a with a pod on each of two interfaces, node b (and its pods), and whom they talk to; each answers with the address that it sees.</summary>
internal sealed class SnatVpc : IAsyncDisposable
{
    /// <summary>Pods on node a, by the interface that holds their address.</summary>
    public const string First = "first", Second = "second";

    /// <summary>The same on node b, once <see cref="AddPodsOfBAsync"/> has made them.</summary>
    public const string FirstOfB = "bfirst", SecondOfB = "bsecond";

    public static readonly IPAddress Node = TestVpc.AddressOfA;
    public static readonly IPAddress Internet = IPAddress.Parse("198.51.100.7");
    public static readonly IPAddress Peer = IPAddress.Parse("10.20.0.7");
    public static readonly IPAddress SecondCidr = IPAddress.Parse("100.64.0.7");
    public static readonly PrimaryFacts Facts = new(TestVpc.MacOfA, Ip.From(Node), [Cidr.Parse("10.9.0.0/16"), Cidr.Parse("100.64.0.0/16")]);

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
    private static readonly InterfaceOrder SecondOfNodeA = new("eni-a1", "02:00:0a:09:00:28", 1, 0, Ip.Parse("10.9.0.40"), Cidr.Parse("10.9.0.0/24"));
    private static readonly InterfaceOrder SecondOfNodeB = SecondOfNodeA with { EniId = "eni-b1", Mac = "02:00:0a:09:00:32", PrimaryAddress = Ip.Parse("10.9.0.50") };

    /// <summary>Node a's own address on the second interface.</summary>
    public static readonly IPAddress NodeOnSecond = SecondOfNodeA.PrimaryAddress.ToIPAddress();

    private readonly List<EchoServer> servers = [];
    private HostNetwork? network;

    private SnatVpc(TestVpc vpc) => Vpc = vpc;

    public TestVpc Vpc { get; }

    public static IPAddress AddressOf(string pod) => IPAddress.Parse(pod switch
    {
        First => "10.9.0.11",
        Second => "10.9.0.41",
        FirstOfB => "10.9.0.21",
        SecondOfB => "10.9.0.51",
        _ => throw new ArgumentOutOfRangeException(nameof(pod), pod, "no pod of this VPC"),
    });

    public static async Task<SnatVpc> StartAsync(HostNetworkSettings? settings = null)
    {
        var started = new SnatVpc(await TestVpc.StartAsync());
        try
        {
            await started.SetUpAsync();
            if (settings is not null)
            {
                started.Apply(settings);
            }

            return started;
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        servers.ForEach(server => server.Dispose());
        await Vpc.DisposeAsync();
    }

    /// <summary>What the executor does at its start and at each look.</summary>
    /// <returns>Whether the table was replaced.</returns>
    public bool Apply(HostNetworkSettings settings, PrimaryFacts? facts = null) => OnNode(() =>
    {
        network = Start(settings);
        return Look(network, Facts.Mac, settings.Marks ? facts ?? Facts : null);
    });

    /// <summary>A second interface on node b, a pod on each of both, and the executor's work.</summary>
    public async Task AddPodsOfBAsync(HostNetworkSettings settings)
    {
        await AddPodsAsync("b", "eni-b", TestVpc.AddressOfB, SecondOfNodeB, FirstOfB, SecondOfB);
        NetworkNamespace.Run(Vpc.PathOf("b"), () => Look(Start(settings), TestVpc.MacOfB, Facts with { Mac = TestVpc.MacOfB, Address = Ip.From(TestVpc.AddressOfB) }));
    }

    /// <summary>The executor's next look.</summary>
    public bool LookAgain(PrimaryFacts? facts = null) => OnNode(() => Look(network!, Facts.Mac, facts ?? Facts));

    private static HostNetwork Start(HostNetworkSettings settings)
    {
        var started = new HostNetwork(settings, [settings.VethPrefix], new Uri("http://nowhere"), new Repairs(TimeProvider.System, NullLogger.Instance), TimeProvider.System, NullLogger.Instance);
        started.Start();
        return started;
    }

    private static bool Look(HostNetwork network, string mac, PrimaryFacts? facts)
    {
        HostSetup.Apply(mac, new HostNetworkSettings().EniMtu, TestNode.Deadline); // As for the order of the primary interface.
        return network.Apply(facts);
    }

    public T OnNode<T>(Func<T> work) => NetworkNamespace.Run(Vpc.PathOf("a"), work);

    /// <summary>The address that the other side sees; for ICMP as its kernel counts it. Null: no answer.</summary>
    public async Task<string?> SourceSeenAsync(string from, string protocol, string at, IPAddress to, bool expected = true)
    {
        if (protocol != "icmp")
        {
            return await EchoServer.AskAsync(Vpc.PathOf(from), protocol, to, expected: expected);
        }

        await NftAsync(at, "flush set ip seen by_icmp");
        if (!await Vpc.PingAsync(from, to, expected))
        {
            return null;
        }

        var (_, listed) = await Vpc.RunAsync(at, "nft", "list", "set", "ip", "seen", "by_icmp");
        return listed.Split("elements = {") is [_, var rest] ? rest.Split('}')[0].Trim() : null;
    }

    /// <summary>One line per way in which this differs from what is expected, so that a failure shows the whole matrix.</summary>
    public async Task AssertSourcesAsync(IEnumerable<(string Pod, string At, IPAddress To, IPAddress Source)> expected)
    {
        List<string> wrong = [];
        foreach (var (pod, at, to, source) in expected)
        {
            foreach (var protocol in (string[])["tcp", "udp", "icmp"])
            {
                var seen = await SourceSeenAsync(pod, protocol, at, to);
                if (seen != source.ToString())
                {
                    wrong.Add($"{protocol} from {pod} to {at} ({to}): {at} sees {seen ?? "nothing"}, not {source}");
                }
            }
        }

        Assert.Empty(wrong);
        await AssertNothingWasDroppedAsync();
    }

    /// <summary>What leaves by an interface that does not hold the source is dropped by the VPC.</summary>
    public async Task AssertNothingWasDroppedAsync() =>
        Assert.All((await Vpc.Fabric.DropCountersAsync(TestContext.Current.CancellationToken)).Values, counters => Assert.Equal(new(0, 0, 0), counters));

    public async Task NftAsync(string name, string script)
    {
        var (exit, output) = await Vpc.RunAsync(name, "nft", script);
        Assert.True(exit == 0, $"{script}: {output}");
    }

    private async Task SetUpAsync()
    {
        await Vpc.AddOutsideAsync("internet", Internet);
        await Vpc.AddOutsideAsync("peer", Peer);
        await Vpc.AddOutsideAsync("secondcidr", SecondCidr);
        await ListenAsync("internet", "peer", "secondcidr", "b");
        await AddPodsAsync("a", "eni-a", Node, SecondOfNodeA, First, Second);
    }

    private async Task AddPodsAsync(string node, string eni, IPAddress address, InterfaceOrder order, string first, string second)
    {
        var cancellation = TestContext.Current.CancellationToken;
        await Vpc.Fabric.SetHeldAsync(eni, [address, AddressOf(first)], cancellation);
        await Vpc.Fabric.AttachInterfaceAsync($"i-{node}", order.EniId, order.Mac, 1, TestVpc.Subnet, order.PrimaryAddress.ToIPAddress(), cancellation);
        await Vpc.Fabric.SetHeldAsync(order.EniId, [order.PrimaryAddress.ToIPAddress(), AddressOf(second)], cancellation);
        NetworkNamespace.Run(Vpc.PathOf(node), () => InterfaceSetup.Apply(order, 9001, Deadline));
        await AddPodAsync(node, first, PodWiring.MainTable);
        await AddPodAsync(node, second, PodWiring.TableOf(0, 1));
        await ListenAsync(first, second);
    }

    /// <summary>Has them answer, and count who pings them.</summary>
    public async Task ListenAsync(params string[] names)
    {
        foreach (var name in names)
        {
            servers.Add(new EchoServer(Vpc.PathOf(name)));
            await NftAsync(name, """
                table ip seen {
                  set by_icmp { type ipv4_addr; flags dynamic; size 16; }
                  chain input { type filter hook input priority 0; icmp type echo-request add @by_icmp { ip saddr }; }
                }
                """);
        }
    }

    private async Task AddPodAsync(string node, string name, int table)
    {
        await Vpc.IpAsync(node, $"netns add {Vpc.Prefix}-{name}");
        await Vpc.IpAsync(name, "link set lo up");
        using var netns = File.OpenHandle(Vpc.PathOf(name));
        NetworkNamespace.Run(Vpc.PathOf(node), () =>
        {
            using var wirer = new Wirer();
            return wirer.Wire(TestNode.Pod(name, AddressOf(name).ToString(), name, table), netns, Deadline);
        });
    }
}
