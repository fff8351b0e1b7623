using AwsVpcCni.CniProtocol;
using AwsVpcCni.NodeExecutor.Nftables;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>The node's rules and table over an executor's life.</summary>
public sealed class HostNetworkTests
{
    private static string Ruleset(ExecutorNode node) => NetworkNamespace.Run(TestNode.Path(node.Name), () => Nft.Run("list ruleset"));

    [Fact]
    public async Task The_table_stays_while_the_executor_restarts_and_nobody_sees_it_absent()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        var table = Ruleset(node);
        Assert.Contains("snat to 10.0.0.10 fully-random", table, StringComparison.Ordinal);
        Assert.Contains("iifname \"ens5\" fib daddr . iif type local", table, StringComparison.Ordinal);

        var isOver = false;
        var reader = Task.Run(() => NetworkNamespace.Run(TestNode.Path(node.Name), () =>
        {
            HashSet<string> seen = [];
            while (!Volatile.Read(ref isOver))
            {
                seen.Add(Nft.Run("list ruleset"));
            }

            return seen;
        }));
        await executor.TerminateAsync();
        executor = await node.RunAsync();
        await executor.SaysAsync("Table aws-vpc-cni is set");
        await executor.KillAsync();
        executor = await node.RunAsync();
        await executor.SaysAsync("Table aws-vpc-cni is set");
        Volatile.Write(ref isOver, true);
        Assert.Equal([table], await reader);

        await executor.TerminateAsync();
        (node.Settings["AWS_VPC_K8S_CNI_EXTERNALSNAT"], node.Settings["AWS_VPC_CNI_NODE_PORT_SUPPORT"]) = ("true", "false");
        await (await node.RunAsync()).SaysAsync("This node can serve");
        Assert.Equal("", Ruleset(node));
    }

    [Fact]
    public async Task The_runtime_is_not_told_before_the_VPCs_ranges_are_known()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.VpcCidrs = "";
        var executor = await node.RunAsync();
        Assert.Contains("does not say what the VPC's ranges are (GET network/interfaces/macs/02:00:0a:00:00:0a/vpc-ipv4-cidr-blocks: no VPC range); no pod starts before", await executor.SaysAsync("The host's network is not as it should be"), StringComparison.Ordinal);
        Assert.Equal("", Ruleset(node));
        Assert.False(File.Exists(node.Conflist));

        node.Silo.VpcCidrs = "10.0.0.0/16\n100.64.0.0/16";
        await executor.SaysAsync("This node can serve");
        Assert.Contains("elements = { 10.0.0.0/16, 100.64.0.0/16 }", Ruleset(node), StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_a_reboot_no_pod_starts_before_the_table_is_there_again()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        await executor.TerminateAsync();
        NetworkNamespace.Run(TestNode.Path(node.Name), () => Nft.Run("flush ruleset"));
        node.Silo.VpcCidrs = "";
        executor = await node.RunAsync(); // The runtime has the list of before, and asks at once.
        var pod = node.AddPod("p1");
        var add = PluginClient.AddAsync(node.Socket, "c1", pod);

        var status = await StatusTests.StatusAsync(node);
        Assert.Equal((1, 50), (status.ExitCode, status.ErrorCode));
        Assert.Contains("does not say what the VPC's ranges are", status.Message, StringComparison.Ordinal);
        Assert.False(add.IsCompleted);
        Assert.Empty(TestNode.Ip(Path.GetFileName(pod), "route").EnumerateArray());
        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c1")); // A DEL does not wait.
        var next = PluginClient.AddAsync(node.Socket, "c2", pod);

        node.Silo.VpcCidrs = "10.0.0.0/16";
        Assert.Equal(0, (await next).ExitCode);
        Assert.Contains("snat to 10.0.0.10", Ruleset(node), StringComparison.Ordinal);
        Assert.Equal((int)CniErrorCode.TryAgainLater, (await add).ErrorCode);
        Assert.Equal(new PluginAnswer(0, ""), await StatusTests.StatusAsync(node));

        await executor.KillAsync();
        node.Silo.VpcCidrs = ""; // A restart is no reboot: the table is there.
        await node.RunAsync();
        Assert.Equal(0, (await PluginClient.AddAsync(node.Socket, "c3", node.AddPod("p3"))).ExitCode);
    }

    [Fact]
    public async Task A_range_that_the_VPC_gets_while_it_runs_is_in_the_table_within_20_seconds()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("Table aws-vpc-cni is set");
        node.Silo.VpcCidrs = "10.0.0.0/16\n10.7.0.0/16";
        Assert.Contains("since the node's address or the VPC's ranges have changed: off the VPC the source becomes 10.0.0.10; the VPC's ranges are 10.0.0.0/16, 10.7.0.0/16", await executor.SaysAsync("Table aws-vpc-cni is set").WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Contains("10.7.0.0/16", Ruleset(node), StringComparison.Ordinal);

        node.Silo.VpcCidrs = ""; // It does not answer: what was last known holds.
        await executor.SaysAsync("The host's network is not as it should be");
        Assert.Contains("10.7.0.0/16", Ruleset(node), StringComparison.Ordinal);
        NetworkNamespace.Run(TestNode.Path(node.Name), () => Nft.Run("flush ruleset"));
        await executor.SaysAsync("replace table aws-vpc-cni"); // And is put back when somebody takes it away.
        Assert.Contains("10.7.0.0/16", Ruleset(node), StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_a_change_of_the_prefix_pods_of_before_are_pods_still()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        var before = node.Snapshot();
        var pod = node.AddPod("p1");
        var first = await PluginClient.AddAsync(node.Socket, "c1", pod);
        await executor.TerminateAsync();

        node.Settings["AWS_VPC_K8S_CNI_VETHPREFIX"] = "pod";
        (node.Settings["AWS_VPC_ENI_MTU"], node.Settings["POD_MTU"]) = ("9001", "1400");
        executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        Assert.Contains("iifname \"eni*\" ct mark", Ruleset(node), StringComparison.Ordinal);
        Assert.Contains("iifname \"pod*\" ct mark", Ruleset(node), StringComparison.Ordinal);
        node.Ping(first.Address);
        Assert.Equal(new PluginAnswer(0, ""), await CniChecks.CheckAsync(node, "c1", pod, CniChecks.ConfigWith(first.Output)));

        var second = await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"));
        node.Ping(second.Address);
        Assert.Matches(@"pod[0-9a-f]{11}@\w+: .* mtu 1400 ", node.Ip("link"));
        await PluginClient.DelAsync(node.Socket, "c1");
        await PluginClient.DelAsync(node.Socket, "c2");
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task Names_and_MTUs_of_new_pods_follow_the_settings_and_those_of_before_keep_theirs()
    {
        await using var node = await ExecutorNode.StartAsync();
        (node.Settings["AWS_VPC_K8S_CNI_VETHPREFIX"], node.Settings["AWS_VPC_ENI_MTU"]) = ("veth", "1300");
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        var pods = new[] { node.AddPod("p1"), node.AddPod("p2") };
        var first = await PluginClient.AddAsync(node.Socket, "c1", pods[0]);
        Assert.Equal((1300, 1300, 1300), (Mtu(node.Name, "ens5"), Mtu(node.Name, HostVeth(first)), Mtu(Path.GetFileName(pods[0]), "eth0")));
        await executor.TerminateAsync();

        node.Settings["POD_MTU"] = "1280";
        await (await node.RunAsync()).SaysAsync("This node can serve");
        var second = await PluginClient.AddAsync(node.Socket, "c2", pods[1], pod: "web-1");
        Assert.Equal((1300, 1280, 1280), (Mtu(node.Name, "ens5"), Mtu(node.Name, HostVeth(second)), Mtu(Path.GetFileName(pods[1]), "eth0")));
        Assert.Equal((1300, 1300), (Mtu(node.Name, HostVeth(first)), Mtu(Path.GetFileName(pods[0]), "eth0")));
        Assert.All([HostVeth(first), HostVeth(second)], name => Assert.Matches("^veth[0-9a-f]{11}$", name));
        node.Ping(first.Address);
        node.Ping(second.Address);

        static string HostVeth(PluginAnswer add) => add.Json.GetProperty("interfaces")[0].GetProperty("name").GetString()!;
        static int Mtu(string netns, string link) => TestNode.Ip(netns, "link", "show", link)[0].GetProperty("mtu").GetInt32();
    }

    [Fact]
    public async Task A_rule_of_somebody_elses_is_neither_taken_for_ours_nor_deleted()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Ip("rule", "add", "priority", "1024", "fwmark", "0x80/0x80", "iif", "lo", "lookup", "main");
        await (await node.RunAsync()).SaysAsync("This node can serve");
        Assert.Equal(["1024:\tfrom all fwmark 0x80/0x80 iif lo lookup main", "1024:\tfrom all fwmark 0x80/0x80 lookup main"],
            node.Ip("rule").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Trim()).Where(line => line.StartsWith("1024:", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_link_that_somebody_has_renamed_keeps_no_executor_from_starting()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        var before = node.Snapshot();
        var pod = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        await executor.TerminateAsync();
        node.Ip("link", "set", pod.Json.GetProperty("interfaces")[0].GetProperty("name").GetString()!, "name", "foo");

        await (await node.RunAsync()).SaysAsync("This node can serve");
        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c1"));
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task An_MTU_that_the_device_refuses_is_said_and_keeps_neither_table_nor_pods_away()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Ip("link", "delete", "ens5");
        node.Ip("link", "add", "under0", "type", "veth", "peer", "name", "under1"); // 1500 bytes, and so 1450 are the next one's most.
        node.Ip("link", "add", "ens5", "address", node.Silo.Mac, "type", "vxlan", "id", "5", "dev", "under0", "dstport", "4789");
        var executor = await node.RunAsync();
        Assert.Contains("set the MTU of ens5 to 9001", await executor.SaysAsync("MTU"), StringComparison.Ordinal);
        Assert.Equal(0, (await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"))).ExitCode);
        Assert.Contains("snat to 10.0.0.10", Ruleset(node), StringComparison.Ordinal);
        Assert.Equal("2", NetworkNamespace.Run(TestNode.Path(node.Name), () => File.ReadAllText("/proc/sys/net/ipv4/conf/ens5/rp_filter").Trim()));
    }

    [Fact]
    public async Task A_prefix_that_the_primary_interface_has_too_is_refused()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Settings["AWS_VPC_K8S_CNI_VETHPREFIX"] = "ens";
        var executor = await node.RunAsync();
        Assert.Contains("The primary interface ens5 would count as a pod's", await executor.SaysAsync("The host's network"), StringComparison.Ordinal);
        Assert.Equal("", Ruleset(node));
    }

    [Fact]
    public async Task Without_libnftables_it_does_not_start_and_says_what_to_install()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Hidden = TestNode.Run("sh", "-c", "ldconfig -p | sed -n 's/.*libnftables.so.1 .*=> //p' | head -1").Trim();
        var (exit, said) = await node.Launch().EndAsync();
        Assert.Equal(1, exit);
        Assert.Contains("Install it (Debian, Ubuntu: libnftables1", said, StringComparison.Ordinal);

        (node.Settings["AWS_VPC_K8S_CNI_EXTERNALSNAT"], node.Settings["AWS_VPC_CNI_NODE_PORT_SUPPORT"]) = ("true", "false");
        await (await node.RunAsync()).SaysAsync("This node can serve"); // It needs none then.
    }
}
