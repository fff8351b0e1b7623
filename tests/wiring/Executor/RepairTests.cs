using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Nftables;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>What udev, a network manager or a person changes of ours is put back when the kernel tells of it, and counted; what is not ours stays.</summary>
public sealed class RepairTests
{
    private static readonly InterfaceOrder Second = new("eni-b", "02:00:0a:00:00:3c", 1, 0, Ip.Parse("10.0.0.60"), Cidr.Parse("10.0.0.0/24"));
    private static readonly Ip OnSecond = Ip.Parse("10.0.0.61");

    /// <summary>Well below the period of the looks, 30 s, and of the sandboxes' looks, 10 s.</summary>
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(8);

    [Fact]
    public async Task A_pods_link_routes_and_rules_are_put_back_at_once_also_by_the_next_executor()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var both = node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 2);
        node.Silo.Policy = new NodePolicy(0, 0);
        (node.Silo.Second, node.Silo.OnSecond, node.Silo.Version) = (Second, [OnSecond], 2);
        node.Ip("link", "add", "ens6", "address", Second.Mac, "type", "veth", "peer", "name", "ens6peer");
        await both;
        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        Assert.Equal(OnSecond.ToString(), add.Address);
        var veth = add.Json.GetProperty("interfaces")[0].GetProperty("name").GetString()!;

        await ChangesArePutBackAsync("Mac 1, Route 2, Rule 3, Link 2");
        await executor.KillAsync();
        executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        await ChangesArePutBackAsync("Mac 1, Route 2, Rule 3, Link 2");

        async Task ChangesArePutBackAsync(string counted)
        {
            await Task.Delay(TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken); // The executor has seen what is right.
            var before = Ours(Host(node));
            node.Ip("rule", "add", "priority", "1537", "from", add.Address, "lookup", "77"); // Not ours, though of the pod.
            node.Ip("rule", "add", "priority", "1536", "from", add.Address, "fwmark", "0x10", "lookup", "78");
            node.Ip("route", "add", "198.51.100.0/24", "dev", veth);
            node.Ip("link", "set", veth, "address", "02:11:22:33:44:55");
            node.Ip("route", "delete", $"{add.Address}/32", "dev", veth);
            node.Ip("rule", "delete", "priority", "512", "to", add.Address);
            node.Ip("rule", "delete", "priority", "1536", "from", add.Address);
            node.Ip("rule", "add", "priority", "1536", "from", add.Address, "lookup", "9");
            await UntilAsync(before, () => Ours(Host(node)));
            node.Ip("link", "set", veth, "down");
            node.Ip("link", "set", veth, "alias", "");
            await UntilAsync(before, () => Ours(Host(node)));
            Assert.StartsWith("aws", TestNode.Ip(node.Name, "link", "show", veth)[0].GetProperty("ifalias").GetString(), StringComparison.Ordinal);
            node.Ping(add.Address);

            Assert.Contains("1537:", node.Ip("rule"), StringComparison.Ordinal);
            Assert.Contains("fwmark 0x10 lookup 78", node.Ip("rule"), StringComparison.Ordinal);
            var (_, text, _) = await node.RunToEndAsync("status");
            Assert.Equal(counted, System.Text.RegularExpressions.Regex.Replace(text.Split('\n').Single(line => line.StartsWith("repairs", StringComparison.Ordinal))["repairs  ".Length..], @" \(last [^)]*\)", ""));
            node.Ip("rule", "delete", "priority", "1537");
            node.Ip("rule", "delete", "priority", "1536", "fwmark", "0x10");
        }

        // Without what others have added, and when the alias was written.
        static string Ours(string shown) => string.Join('\n', shown.Split('\n').Where(line => !line.Contains("1537:", StringComparison.Ordinal) && !line.Contains("fwmark 0x10 ", StringComparison.Ordinal) && !line.Contains("198.51.100.0", StringComparison.Ordinal)).Select(line => line.Split(" alias")[0].Split("\\    alias")[0]));
    }

    /// <summary>Links' addresses, rules, and routes of table main.</summary>
    private static string Host(ExecutorNode node) => string.Join('\n', node.Ip("-o", "link"), node.Ip("rule"), node.Ip("route"));

    [Fact]
    public async Task The_nodes_own_rules_switches_and_table_are_put_back_at_once()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        var before = Node(node);

        node.Ip("rule", "delete", "priority", "1024");
        TestNode.Run("nsenter", $"--net={TestNode.Path(node.Name)}", "sysctl", "-q", "-w", "net.ipv4.ip_forward=0");
        TestNode.Run("nsenter", $"--net={TestNode.Path(node.Name)}", "sysctl", "-q", "-w", "net.ipv4.conf.ens5.rp_filter=1");
        node.Ip("link", "set", "ens5", "mtu", "1400");
        NetworkNamespace.Run(TestNode.Path(node.Name), () => Nft.Run("flush ruleset"));

        await UntilAsync(before, () => Node(node));
    }

    [Fact]
    public async Task An_interfaces_address_table_and_rule_are_put_back_at_once()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Ip("link", "add", "ens6", "address", Second.Mac, "type", "veth", "peer", "name", "ens6peer");
        node.Silo.Second = Second;
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 2);
        var before = OfSecond(node);

        node.Ip("address", "flush", "dev", "ens6"); // Its routes go with it.
        node.Ip("rule", "delete", "priority", "32765");
        await UntilAsync(before, () => OfSecond(node));
        node.Ip("link", "set", "ens6", "down");
        await UntilAsync(before, () => OfSecond(node));
    }

    private static string OfSecond(ExecutorNode node) => string.Join('\n', node.Ip("-4", "address", "show", "dev", "ens6"), node.Ip("rule"), node.Ip("route", "show", "table", "2"));

    [Fact]
    public async Task A_sandbox_that_goes_without_a_DEL_is_released_at_once()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        var pod = node.AddPod("p1");
        await PluginClient.AddAsync(node.Socket, "c1", pod);
        await Task.Delay(TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken); // The looks after the ADD are over.

        node.DeletePod(pod);
        await executor.SaysAsync("has gone without a DEL").WaitAsync(AtOnce, TestContext.Current.CancellationToken);
        await node.SettleAsync(before);
    }

    /// <summary>A link without its alias, or with another one, is still a pod's: its address must not be given to another.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("uplink of web-0")]
    public async Task A_link_whose_alias_others_have_changed_is_no_sandbox_that_has_gone(string alias)
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        var veth = add.Json.GetProperty("interfaces")[0].GetProperty("name").GetString()!;
        var before = TestNode.Ip(node.Name, "link", "show", veth)[0].GetProperty("ifalias").GetString()!.Split(' ')[0];
        node.Ip("link", "set", veth, "alias", alias);

        await UntilAsync(before, () => TestNode.Ip(node.Name, "link", "show", veth)[0].TryGetProperty("ifalias", out var now) ? now.GetString()!.Split(' ')[0] : "none");
        node.Ping(add.Address);
        var (_, output, _) = await node.RunToEndAsync("status", "--json");
        Assert.Equal(1, JsonDocument.Parse(output).RootElement.GetProperty("lease").GetProperty("inUse").GetInt32());
    }

    /// <summary>The same while no executor is there to put it back: the next one knows it by the pod's name and route, as its lease has them.</summary>
    [Theory]
    [InlineData("", false)]
    [InlineData("uplink of web-0", false)]
    [InlineData("uplink of web-0", true)]
    public async Task A_link_whose_alias_others_have_changed_before_a_start_is_its_pods_still(string alias, bool isWithoutRule)
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        var before = node.Snapshot();
        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        var veth = add.Json.GetProperty("interfaces")[0].GetProperty("name").GetString()!;
        var wired = Unaliased(Host(node));
        await executor.KillAsync();
        node.Ip("link", "set", veth, "alias", alias);
        if (isWithoutRule)
        {
            node.Ip("rule", "delete", "priority", "512", "to", add.Address);
        }

        executor = await node.RunAsync();
        Assert.StartsWith($"aws-vpc-cni/1 c1 eth0 {add.Address} ", TestNode.Ip(node.Name, "link", "show", veth)[0].GetProperty("ifalias").GetString(), StringComparison.Ordinal);
        await executor.SaysAsync("This node can serve");
        await UntilAsync(wired, () => Unaliased(Host(node)));
        node.Ping(add.Address);
        var (_, text, _) = await node.RunToEndAsync("status");
        Assert.Contains("Link 1 (", text, StringComparison.Ordinal);
        Assert.NotEqual(add.Address, (await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"), "web-1")).Address);
        await PluginClient.DelAsync(node.Socket, "c1");
        await PluginClient.DelAsync(node.Socket, "c2");
        await node.SettleAsync(before);

        static string Unaliased(string shown) => string.Join('\n', shown.Split('\n').Select(line => line.Split("\\    alias")[0]));
    }

    /// <summary>The pod's neighbour entry names the one that its ADD gave, and so does the claim.</summary>
    [Fact]
    public async Task A_MAC_that_others_have_changed_before_a_start_is_put_back_by_the_next_executor()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        var host = add.Json.GetProperty("interfaces")[0];
        var (veth, mac) = (host.GetProperty("name").GetString()!, host.GetProperty("mac").GetString()!);
        await executor.KillAsync();
        node.Ip("link", "set", veth, "address", "02:11:22:33:44:55");

        await node.RunAsync();
        await UntilAsync(mac, () => TestNode.Ip(node.Name, "link", "show", veth)[0].GetProperty("address").GetString()!);
        node.Ping(add.Address);
        var (_, text, _) = await node.RunToEndAsync("status");
        Assert.Contains("Mac 1 (", text, StringComparison.Ordinal);
    }

    private static string Node(ExecutorNode node) => string.Join('\n', node.Ip("rule"), Ruleset(node), node.Ip("-o", "link", "show", "ens5"),
        TestNode.Run("nsenter", $"--net={TestNode.Path(node.Name)}", "sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.ens5.rp_filter"));

    private static string Ruleset(ExecutorNode node) => NetworkNamespace.Run(TestNode.Path(node.Name), () => Nft.Run("list ruleset"));

    private static async Task UntilAsync(string wanted, Func<string> shown)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (shown() != wanted && TimeProvider.System.GetElapsedTime(began) < AtOnce)
        {
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        Assert.Equal(wanted, shown());
    }
}
