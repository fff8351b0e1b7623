using System.Net;
using AwsVpcCni.Tests.Wiring.Chain;
using AwsVpcCni.Tests.Wiring.Executor;
using AwsVpcCni.Tests.Wiring.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Snat;

/// <summary>Beside rules as kube-proxy makes them, by each program that makes such: they stay, and both sides' work is done.</summary>
public sealed class NodePortTests
{
    private const int NodePort = 30080, HostPort = 8080;
    private static readonly IPAddress ClusterIp = IPAddress.Parse("172.20.0.10");

    public static TheoryData<string> Makers => ["nft", "iptables-nft", "iptables-legacy"];

    [Theory]
    [MemberData(nameof(Makers))]
    public async Task A_node_port_leads_to_a_pod_on_either_interface_and_the_answer_leaves_as_the_question_came(string maker)
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        foreach (var pod in (string[])[SnatVpc.First, SnatVpc.Second])
        {
            foreach (var isCluster in (bool[])[false, true]) // externalTrafficPolicy
            {
                await AddServiceAsync(vpc, maker, SnatVpc.AddressOf(pod), isCluster);
                foreach (var protocol in (string[])["tcp", "udp"])
                {
                    foreach (var (client, address) in ((string, IPAddress)[])[("internet", SnatVpc.Internet), ("peer", SnatVpc.Peer), ("b", TestVpc.AddressOfB)])
                    {
                        var seen = await EchoServer.AskAsync(vpc.Vpc.PathOf(client), protocol, SnatVpc.Node, NodePort);
                        var expected = isCluster ? await MasqueradedAsync(vpc) : address;
                        Assert.True(seen == expected.ToString(), $"{maker}, {protocol} from {client} to {pod}: it sees {seen ?? "nothing"}, not {expected}");
                    }

                    // From the node itself, and from its pods.
                    Assert.NotNull(await EchoServer.AskAsync(vpc.Vpc.PathOf("a"), protocol, SnatVpc.Node, NodePort));
                    var other = pod == SnatVpc.First ? SnatVpc.Second : SnatVpc.First;
                    Assert.NotNull(await EchoServer.AskAsync(vpc.Vpc.PathOf(other), protocol, SnatVpc.Node, NodePort));
                }

                await vpc.AssertNothingWasDroppedAsync();
                await RemoveServiceAsync(vpc, maker);
            }
        }
    }

    /// <summary>externalTrafficPolicy Cluster: it sees the address of the interface by which node a sends the packet on.</summary>
    [Theory]
    [MemberData(nameof(Makers))]
    public async Task A_node_port_leads_to_a_pod_of_another_node(string maker)
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        await vpc.AddPodsOfBAsync(new());
        foreach (var pod in (string[])[SnatVpc.FirstOfB, SnatVpc.SecondOfB])
        {
            await AddServiceAsync(vpc, maker, SnatVpc.AddressOf(pod), isCluster: true);
            foreach (var protocol in (string[])["tcp", "udp"])
            {
                foreach (var client in (string[])["internet", "peer", "b", "a", SnatVpc.First, SnatVpc.Second])
                {
                    var expected = client == SnatVpc.Second ? SnatVpc.NodeOnSecond : SnatVpc.Node;
                    var seen = await EchoServer.AskAsync(vpc.Vpc.PathOf(client), protocol, SnatVpc.Node, NodePort);
                    Assert.True(seen == expected.ToString(), $"{maker}, {protocol} from {client} to {pod}: it sees {seen ?? "nothing"}, not {expected}");
                }
            }

            await RemoveServiceAsync(vpc, maker);
        }

        await vpc.AssertNothingWasDroppedAsync();
    }

    [Fact]
    public async Task A_host_port_leads_to_a_pod_on_either_interface_and_the_answer_leaves_as_the_question_came()
    {
        var portmap = Path.Combine(CniChain.DebianPlugins, "portmap");
        Assert.SkipUnless(File.Exists(portmap), $"{portmap} is not there: apt-get install containernetworking-plugins");
        await using var vpc = await SnatVpc.StartAsync(new());
        foreach (var pod in (string[])[SnatVpc.First, SnatVpc.Second])
        {
            await PortmapAsync("ADD");
            foreach (var protocol in (string[])["tcp", "udp"])
            {
                foreach (var (client, address) in ((string, IPAddress)[])[("internet", SnatVpc.Internet), ("peer", SnatVpc.Peer), ("b", TestVpc.AddressOfB)])
                {
                    var seen = await EchoServer.AskAsync(vpc.Vpc.PathOf(client), protocol, SnatVpc.Node, HostPort);
                    Assert.True(seen == address.ToString(), $"{protocol} from {client} to {pod}: it sees {seen ?? "nothing"}, not {address}");
                }
            }

            await PortmapAsync("DEL");
            Assert.Null(await EchoServer.AskAsync(vpc.Vpc.PathOf("b"), "tcp", SnatVpc.Node, HostPort, expected: false));

            // As a runtime runs it behind our plugin.
            async Task PortmapAsync(string command)
            {
                var answer = await CniChain.RunAsync(["/usr/bin/nsenter", $"--net={vpc.Vpc.PathOf("a")}", portmap], PluginClient.Environment(command, pod, vpc.Vpc.PathOf(pod), pod), $$"""
                    {
                      "cniVersion": "1.0.0", "name": "aws-cni", "type": "portmap", "snat": true,
                      "runtimeConfig": {"portMappings": [
                        {"hostPort":{{HostPort}},"containerPort":{{EchoServer.Port}},"protocol":"tcp"}, {"hostPort":{{HostPort}},"containerPort":{{EchoServer.Port}},"protocol":"udp"}]},
                      "prevResult": {"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"{{vpc.Vpc.PathOf(pod)}}"}],"ips":[{"address":"{{SnatVpc.AddressOf(pod)}}/32","interface":0}]}
                    }
                    """);
                Assert.True(answer.ExitCode == 0, answer.Output);
            }
        }

        await vpc.AssertNothingWasDroppedAsync();
    }

    [Fact]
    public async Task Without_node_port_support_the_answer_takes_the_wrong_interface()
    {
        await using var vpc = await SnatVpc.StartAsync(new() { NodePorts = false });
        await AddServiceAsync(vpc, "nft", SnatVpc.AddressOf(SnatVpc.Second), isCluster: false);
        Assert.Null(await EchoServer.AskAsync(vpc.Vpc.PathOf("b"), "udp", SnatVpc.Node, NodePort, expected: false));
        Assert.NotEqual(0, (await vpc.Vpc.Fabric.DropCountersAsync(TestContext.Current.CancellationToken))["eni-a1"].ForeignSource);
    }

    [Fact]
    public async Task With_external_SNAT_node_ports_work_all_the_same()
    {
        await using var vpc = await SnatVpc.StartAsync(new() { ExternalSnat = true });
        await AddServiceAsync(vpc, "nft", SnatVpc.AddressOf(SnatVpc.Second), isCluster: false);
        Assert.Equal(SnatVpc.Internet.ToString(), await EchoServer.AskAsync(vpc.Vpc.PathOf("internet"), "tcp", SnatVpc.Node, NodePort));
        await vpc.AssertNothingWasDroppedAsync();
    }

    [Fact]
    public async Task A_reset_reverse_path_filter_is_loose_again_after_the_next_look()
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        await AddServiceAsync(vpc, "nft", SnatVpc.AddressOf(SnatVpc.Second), isCluster: false);
        await vpc.Vpc.RunAsync("a", "sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1");
        Assert.Null(await EchoServer.AskAsync(vpc.Vpc.PathOf("b"), "udp", SnatVpc.Node, NodePort, expected: false));

        vpc.LookAgain();
        Assert.Equal(TestVpc.AddressOfB.ToString(), await EchoServer.AskAsync(vpc.Vpc.PathOf("b"), "udp", SnatVpc.Node, NodePort));
    }

    /// <summary>The destination is known after kube-proxy's translation only, and it is out of the VPC.</summary>
    [Theory]
    [MemberData(nameof(Makers))]
    public async Task A_service_that_leads_out_of_the_VPC_is_reached_with_the_nodes_address(string maker)
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        await AddServiceAsync(vpc, maker, SnatVpc.Internet, isCluster: false);
        foreach (var pod in (string[])[SnatVpc.First, SnatVpc.Second])
        {
            foreach (var protocol in (string[])["tcp", "udp"])
            {
                var seen = await EchoServer.AskAsync(vpc.Vpc.PathOf(pod), protocol, ClusterIp, 80);
                Assert.True(seen == SnatVpc.Node.ToString(), $"{maker}, {protocol} from {pod}: it sees {seen ?? "nothing"}");
            }
        }

        await vpc.AssertNothingWasDroppedAsync();
    }

    /// <summary>As a pod reaches a service of pods, and the API server, which has a node's address.</summary>
    [Theory]
    [MemberData(nameof(Makers))]
    public async Task A_service_in_the_VPC_is_reached_with_the_pods_own_address_also_after_the_executors_next_start(string maker)
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        await vpc.AddPodsOfBAsync(new());
        string[] pods = [SnatVpc.First, SnatVpc.Second, SnatVpc.FirstOfB, SnatVpc.SecondOfB];
        foreach (var to in (IPAddress[])[.. pods.Select(SnatVpc.AddressOf), TestVpc.AddressOfB])
        {
            await AddServiceAsync(vpc, maker, to, isCluster: false);
            foreach (var start in (int[])[1, 2])
            {
                foreach (var pod in pods.Take(2).Where(pod => !SnatVpc.AddressOf(pod).Equals(to)))
                {
                    foreach (var protocol in (string[])["tcp", "udp"])
                    {
                        var seen = await EchoServer.AskAsync(vpc.Vpc.PathOf(pod), protocol, ClusterIp, 80);
                        Assert.True(seen == SnatVpc.AddressOf(pod).ToString(), $"{maker}, {protocol} from {pod} to {to}, start {start}: it sees {seen ?? "nothing"}");
                    }
                }

                vpc.Apply(new());
            }

            await RemoveServiceAsync(vpc, maker);
        }

        await vpc.AssertNothingWasDroppedAsync();
    }

    [Theory]
    [MemberData(nameof(Makers))]
    public async Task What_others_have_made_is_not_touched(string maker)
    {
        await using var vpc = await SnatVpc.StartAsync();
        await AddServiceAsync(vpc, maker, SnatVpc.Internet, isCluster: true);
        var before = await RulesOfOthersAsync(vpc, maker);
        vpc.Apply(new());
        vpc.Apply(new() { NodePorts = false });
        Assert.Equal(before, await RulesOfOthersAsync(vpc, maker));
        vpc.OnNode(() => NodeExecutor.Nftables.Nft.Run(NodeExecutor.Nftables.SnatTable.Removal));
        Assert.Equal(before, await RulesOfOthersAsync(vpc, maker));
    }

    private static async Task<string> RulesOfOthersAsync(SnatVpc vpc, string maker)
    {
        var (exit, rules) = maker == "nft"
            ? await vpc.Vpc.RunAsync("a", "nft", "--stateless", "list", "table", "ip", "kube-proxy")
            : await vpc.Vpc.RunAsync("a", $"{maker}-save");
        Assert.Equal(0, exit);
        return string.Join('\n', rules.Split('\n').Where(line => !line.StartsWith('#')).Select(line => line.Split('[')[0])); // Without time and counters.
    }

    /// <summary>What a masquerade makes of a client: the node's address on the way to the pod's link, which has none of its own.</summary>
    private static async Task<IPAddress> MasqueradedAsync(SnatVpc vpc)
    {
        var (_, route) = await vpc.Vpc.RunAsync("a", "ip", "route", "get", SnatVpc.AddressOf(SnatVpc.First).ToString());
        return IPAddress.Parse(route.Split(" src ")[1].Split(' ')[0]);
    }

    /// <summary>A service as kube-proxy makes one: by cluster address and node port, marked for masquerade with 0x4000.</summary>
    private static async Task AddServiceAsync(SnatVpc vpc, string maker, IPAddress to, bool isCluster)
    {
        if (maker == "nft")
        {
            var mark = isCluster ? "meta mark set meta mark | 0x4000" : "counter";
            await vpc.NftAsync("a", $$"""
                table ip kube-proxy {
                  chain service { {{mark}}; meta l4proto { tcp, udp } dnat to {{to}}:{{EchoServer.Port}}; }
                  chain services { ip daddr {{ClusterIp}} th dport 80 jump service; fib daddr type local th dport {{NodePort}} jump service; }
                  chain prerouting { type nat hook prerouting priority dstnat; jump services; }
                  chain output { type nat hook output priority -100; jump services; }
                  chain postrouting { type nat hook postrouting priority srcnat;
                    meta mark & 0x4000 == 0 return
                    meta mark set meta mark ^ 0x4000
                    masquerade fully-random
                  }
                }
                """);
            return;
        }

        Assert.SkipUnless(Installed(maker), $"{maker} is not installed.");
        var (exit, output) = await vpc.Vpc.RunAsync("a", maker, "-w", "-t", "nat", "-N", "KUBE-SERVICES");
        Assert.SkipUnless(exit == 0, $"{maker} does not work on this kernel: {output}");
        List<string> rules = ["-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES"];
        foreach (var protocol in (string[])["tcp", "udp"])
        {
            string[] matches = [$"-d {ClusterIp} -p {protocol} --dport 80", $"-p {protocol} --dport {NodePort} -m addrtype --dst-type LOCAL"];
            rules.AddRange(matches.SelectMany(match => (string[])
            [
                .. isCluster ? [$"-A KUBE-SERVICES {match} -j MARK --set-xmark 0x4000/0x4000"] : Array.Empty<string>(),
                $"-A KUBE-SERVICES {match} -j DNAT --to-destination {to}:{EchoServer.Port}",
            ]));
        }

        rules.AddRange(
        [
            "-N KUBE-POSTROUTING", "-I POSTROUTING -j KUBE-POSTROUTING", "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
            "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000", "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
        ]);
        foreach (var rule in rules)
        {
            (exit, output) = await vpc.Vpc.RunAsync("a", maker, ["-w", "-t", "nat", .. rule.Split(' ')]);
            Assert.True(exit == 0, $"{maker} {rule}: {output}");
        }
    }

    private static async Task RemoveServiceAsync(SnatVpc vpc, string maker)
    {
        if (maker == "nft")
        {
            await vpc.NftAsync("a", "delete table ip kube-proxy");
            return;
        }

        foreach (var arguments in (string[])["-F", "-X"])
        {
            await vpc.Vpc.RunAsync("a", maker, "-w", "-t", "nat", arguments);
        }
    }

    private static bool Installed(string program) => ((string[])["/usr/sbin", "/sbin", "/usr/bin"]).Any(folder => File.Exists($"{folder}/{program}"));
}
