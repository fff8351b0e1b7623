using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using AwsVpcCni.Tests.Wiring.Executor;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Chain;

/// <summary>Debian's portmap, bandwidth, tuning and firewall behind us: ADD, CHECK and DEL through the whole list, and what each has done.</summary>
public sealed class ChainTests : IDisposable
{
    private const string Portmap = """{"type":"portmap","capabilities":{"portMappings":true},"snat":true}""";
    private const string Bandwidth = """{"type":"bandwidth","capabilities":{"bandwidth":true}}""";
    private const string Firewall = """{"type":"firewall","backend":"iptables"}""";
    private const int HostPort = 8080;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("chain-test-");

    /// <summary>portmap's PATH has iptables and no ip6tables: where that is, its CHECK (1.1.1) wants IPv6 chains of a pod without IPv6.</summary>
    public ChainTests() => File.CreateSymbolicLink(Path.Combine(folder.FullName, "iptables"), "/usr/sbin/iptables");

    private static JsonObject Arguments => JsonNode.Parse($$"""
        {
          "portMappings": [{"hostPort":{{HostPort}},"containerPort":80,"protocol":"tcp"}],
          "bandwidth": {"ingressRate":8000000,"ingressBurst":800000,"egressRate":4000000,"egressBurst":400000},
          "mac": "02:00:00:00:00:42"
        }
        """)!.AsObject();

    private string Tuning(string keys) => $$"""{"type":"tuning","dataDir":"{{folder.FullName}}",{{keys}}}""";

    public void Dispose() => folder.Delete(recursive: true);

    private static async Task<ExecutorNode> StartAsync()
    {
        var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        return node;
    }

    [Theory]
    [InlineData("0.4.0")]
    [InlineData("1.0.0")]
    public async Task A_host_port_leads_to_the_pod_and_after_its_DEL_to_the_next_one_at_once(string version)
    {
        await using var node = await StartAsync();
        SkipWithout(node, "portmap", "iptables", "-w", "-t", "nat", "-S");
        var client = TestNode.Path(AddClient(node));
        foreach (var container in (string[])["c1", "c2"])
        {
            var pod = node.AddPod(container);
            using var server = NetworkNamespace.Listen(pod, new IPEndPoint(IPAddress.Any, 80));
            var chain = new CniChain(node, container, pod, version, folder.FullName, Arguments, CniChain.Ours, Portmap);
            await chain.AddAsync();
            Agrees(await chain.CheckAsync());
            Assert.True(Connects(client, server));
            Assert.Contains(chain.Address, Rules(node, "nat"), StringComparison.Ordinal);

            await chain.DelAsync();
            Assert.False(Connects(client, server));
            Assert.DoesNotContain(chain.Address, Rules(node, "nat"), StringComparison.Ordinal);
        }
    }

    [Fact] // F13: tracked connections kept UDP senders on the pod that was gone.
    public async Task A_UDP_sender_that_never_pauses_reaches_the_next_pod_and_no_connection_to_the_last_one_is_left()
    {
        await using var node = await StartAsync();
        SkipWithout(node, "portmap", "iptables", "-w", "-t", "nat", "-S");
        var arguments = JsonNode.Parse($$"""{"portMappings":[{"hostPort":{{HostPort}},"containerPort":80,"protocol":"udp"}]}""")!.AsObject();
        using var sender = NetworkNamespace.Run(TestNode.Path(AddClient(node)), () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        using var timer = new Timer(_ => Send(sender), null, TimeSpan.Zero, TimeSpan.FromMilliseconds(20));
        foreach (var container in (string[])["c1", "c2"])
        {
            var pod = node.AddPod(container);
            using var server = NetworkNamespace.Run(pod, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
            server.Bind(new IPEndPoint(IPAddress.Any, 80));
            var chain = new CniChain(node, container, pod, "1.0.0", folder.FullName, arguments, CniChain.Ours, Portmap);
            await chain.AddAsync();
            Assert.Equal(1, await server.ReceiveAsync(new byte[1]).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
            Assert.Contains($"src={chain.Address} ", Connections(node), StringComparison.Ordinal);

            await chain.DelAsync();
            for (var tries = 0; Connections(node).Contains(chain.Address, StringComparison.Ordinal); tries++)
            {
                Assert.True(tries < 100, Connections(node));
                await Task.Delay(50, TestContext.Current.CancellationToken);
            }
        }

        for (var tries = 0; !Connections(node).Contains("src=10.7.0.2 ", StringComparison.Ordinal); tries++) // The sender goes on, to the host, and is tracked again.
        {
            Assert.True(tries < 100, Connections(node));
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task The_bandwidth_of_a_pod_is_limited_both_ways_on_its_host_link()
    {
        await using var node = await StartAsync();
        SkipWithout(node, "bandwidth", "ip", "link", "add", "probe", "type", "ifb");
        SkipWithout(node, "bandwidth", "tc", "qdisc", "add", "dev", "probe", "root", "tbf", "rate", "1mbit", "burst", "10kb", "latency", "25ms");
        node.Ip("link", "delete", "probe");
        var pod = node.AddPod("pod");
        var chain = new CniChain(node, "c1", pod, "1.0.0", folder.FullName, Arguments, CniChain.Ours, Bandwidth);
        await chain.AddAsync();

        Agrees(await chain.CheckAsync()); // Its own link is among the result's now.
        Assert.Contains("tbf 1: root refcnt", Tc(node, chain.HostVeth), StringComparison.Ordinal);
        Assert.Contains("rate 8Mbit", Tc(node, chain.HostVeth), StringComparison.Ordinal);
        var ifb = chain.Result["interfaces"]!.AsArray().Last()!["name"]!.GetValue<string>();
        Assert.Contains("rate 4Mbit", Tc(node, ifb), StringComparison.Ordinal);
        node.Ping(chain.Address);

        await chain.DelAsync();
        Assert.DoesNotContain(ifb, node.Ip("link"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tuning_changes_a_pods_sysctls_and_MTU_and_CHECK_agrees()
    {
        await using var node = await StartAsync();
        SkipWithout(node, "tuning", "true");
        var pod = node.AddPod("pod");
        var chain = new CniChain(node, "c1", pod, "1.0.0", folder.FullName, Arguments, CniChain.Ours, Tuning("""
            "sysctl":{"net.ipv4.conf.eth0.arp_filter":"1","net.core.somaxconn":"500"},"mtu":1300
            """));
        await chain.AddAsync();

        Agrees(await chain.CheckAsync());
        Assert.Equal("1 500", string.Join(' ', TestNode.Run("nsenter", $"--net={pod}", "sysctl", "-n", "net.ipv4.conf.eth0.arp_filter", "net.core.somaxconn").Split('\n', StringSplitOptions.RemoveEmptyEntries)));
        Assert.Contains("mtu 1300", TestNode.Run("ip", "-n", Path.GetFileName(pod), "link", "show", "eth0"), StringComparison.Ordinal);
        node.Ping(chain.Address);
        await chain.DelAsync();
    }

    [Fact]
    public async Task A_MAC_by_tuning_costs_the_pod_its_neighbour_and_CHECK_says_so()
    {
        await using var node = await StartAsync();
        SkipWithout(node, "tuning", "true");
        var chain = new CniChain(node, "c1", node.AddPod("pod"), "1.0.0", folder.FullName, Arguments, CniChain.Ours, Tuning("""
            "capabilities":{"mac":true}
            """));
        await chain.AddAsync();

        Assert.Equal("02:00:00:00:00:42", chain.Result["interfaces"]![1]!["mac"]!.GetValue<string>()); // Ours reads it in the result: only the neighbour is wrong.
        var said = await chain.CheckAsync();
        Assert.Contains("made it: neighbour 169.254.1.1 dev eth0 in the pod is missing", said, StringComparison.Ordinal);
        await chain.DelAsync();
    }

    [Fact]
    public async Task The_firewalls_rules_come_and_go_with_the_pod()
    {
        await using var node = await StartAsync();
        SkipWithout(node, "firewall", "iptables", "-w", "-t", "filter", "-S");
        var pod = node.AddPod("pod");
        var chain = new CniChain(node, "c1", pod, "1.0.0", folder.FullName, Arguments, CniChain.Ours, Firewall);
        await chain.AddAsync();
        Agrees(await chain.CheckAsync());
        Assert.Contains($"-A CNI-FORWARD -d {chain.Address}/32", Rules(node, "filter"), StringComparison.Ordinal);

        TestNode.Run("nsenter", $"--net={TestNode.Path(node.Name)}", "iptables", "-w", "-F", "CNI-FORWARD");
        Assert.StartsWith("firewall: ", await chain.CheckAsync(), StringComparison.Ordinal); // Its error, not ours.
        await chain.DelAsync();
        Assert.DoesNotContain(chain.Address, Rules(node, "filter"), StringComparison.Ordinal);
    }

    [Fact] // It is for further interfaces beside a default route: what has no source yet finds no way any more.
    public async Task Sbr_takes_the_pods_only_way_out_and_CHECK_says_so()
    {
        await using var node = await StartAsync();
        SkipWithout(node, "sbr", "true");
        var before = node.Snapshot();
        var pod = node.AddPod("pod");
        var chain = new CniChain(node, "c1", pod, "1.0.0", folder.FullName, Arguments, CniChain.Ours, """{"type":"sbr"}""");
        await chain.AddAsync();

        node.Ping(chain.Address); // Answers have their source.
        Assert.Contains("unreachable", Assert.Throws<InvalidOperationException>(() => TestNode.Ping(Path.GetFileName(pod), "10.0.0.10")).Message, StringComparison.Ordinal);
        Assert.Contains("route 0.0.0.0/0 via 169.254.1.1 table 254 dev eth0 is missing in the pod", await chain.CheckAsync(), StringComparison.Ordinal);
        await chain.DelAsync();
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task All_of_Debians_plugins_are_there_and_speak_the_version_of_our_list()
    {
        string[] expected = ["bandwidth", "bridge", "dhcp", "firewall", "host-device", "host-local", "ipvlan", "loopback", "macvlan", "portmap", "ptp", "sbr", "static", "tuning", "vlan", "vrf"];
        Assert.SkipUnless(Directory.Exists(CniChain.DebianPlugins), $"{CniChain.DebianPlugins} is not there: apt-get install containernetworking-plugins");
        foreach (var plugin in expected)
        {
            var answer = await CniChain.RunAsync([Path.Combine(CniChain.DebianPlugins, plugin)], "CNI_COMMAND=VERSION\0", """{"cniVersion":"1.0.0"}""");
            Assert.True(answer.ExitCode == 0, $"{plugin}: {answer.Output}");
            Assert.Contains("1.0.0", answer.Json.GetProperty("supportedVersions").EnumerateArray().Select(version => version.GetString()));
        }
    }

    [Fact]
    public async Task All_four_behind_us_leave_nothing_even_when_the_namespace_has_gone_first()
    {
        await using var node = await StartAsync();
        SkipWithout(node, "portmap", "iptables", "-w", "-t", "nat", "-S");
        SkipWithout(node, "bandwidth", "ip", "link", "add", "probe", "type", "ifb");
        node.Ip("link", "delete", "probe");
        var before = node.Snapshot();
        var pod = node.AddPod("pod");
        var chain = new CniChain(node, "c1", pod, "1.0.0", folder.FullName, Arguments, CniChain.Ours, Tuning("""
            "sysctl":{"net.core.somaxconn":"500"}
            """), Portmap, Bandwidth, Firewall);
        await chain.AddAsync();
        Agrees(await chain.CheckAsync());
        node.Ping(chain.Address);

        node.DeletePod(pod);
        await chain.DelAsync();
        await node.SettleAsync(before);
        Assert.DoesNotContain(chain.Address, Rules(node, "nat") + Rules(node, "filter"), StringComparison.Ordinal);
    }

    /// <summary>CHECK through the list: the refusal is shown whole.</summary>
    private static void Agrees(string? refusal) => Assert.True(refusal is null, refusal);

    /// <summary>A machine outside the node, at 10.7.0.2; the node is 10.7.0.1 to it.</summary>
    private static string AddClient(ExecutorNode node)
    {
        var name = Path.GetFileName(node.AddPod("client"));
        node.Ip("link", "add", "outside", "type", "veth", "peer", "name", "eth0", "netns", name);
        node.Ip("address", "add", "10.7.0.1/24", "dev", "outside");
        node.Ip("link", "set", "outside", "up");
        TestNode.Run("ip", "-n", name, "address", "add", "10.7.0.2/24", "dev", "eth0");
        TestNode.Run("ip", "-n", name, "link", "set", "eth0", "up");
        return name;
    }

    private static bool Connects(string client, Socket server)
    {
        using var socket = NetworkNamespace.Run(client, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        try
        {
            socket.ConnectAsync(IPAddress.Parse("10.7.0.1"), HostPort).WaitAsync(TimeSpan.FromSeconds(10)).GetAwaiter().GetResult();
        }
        catch (SocketException)
        {
            return false; // Refused by the node.
        }

        using var accepted = server.Accept();
        return accepted.RemoteEndPoint is IPEndPoint;
    }

    private static void Send(Socket sender)
    {
        try
        {
            sender.SendTo([1], new IPEndPoint(IPAddress.Parse("10.7.0.1"), HostPort));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Refused by the node while no pod has the port; or the test is over.
        }
    }

    private static string Connections(ExecutorNode node) => TestNode.Run("nsenter", $"--net={TestNode.Path(node.Name)}", "conntrack", "-L");

    private static string Rules(ExecutorNode node, string table) => TestNode.Run("nsenter", $"--net={TestNode.Path(node.Name)}", "iptables", "-w", "-t", table, "-S");

    private static string Tc(ExecutorNode node, string device) => TestNode.Run("tc", "-n", node.Name, "qdisc", "show", "dev", device);

    /// <summary>Skips, with the reason, where Debian's plugin or what it needs of tools and kernel is not there.</summary>
    private static void SkipWithout(ExecutorNode node, string plugin, params string[] probe)
    {
        Assert.SkipUnless(File.Exists(Path.Combine(CniChain.DebianPlugins, plugin)), $"{CniChain.DebianPlugins}/{plugin} is not there: apt-get install containernetworking-plugins");
        try
        {
            TestNode.Run("nsenter", [$"--net={TestNode.Path(node.Name)}", .. probe]);
        }
        catch (InvalidOperationException e)
        {
            Assert.Skip($"{plugin} cannot work on this machine: {e.Message}");
        }
    }
}
