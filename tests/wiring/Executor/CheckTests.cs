using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using Xunit;
using static AwsVpcCni.Tests.Wiring.Executor.CniChecks;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>CHECK by the executor's process: whatever is broken by hand is named, and nothing else is.</summary>
public sealed class CheckTests
{

    /// <summary>In braces: namespaces, the host end's name, its and the pod end's MAC, the pod's address.</summary>
    public static TheoryData<string, string[]> Broken { get; } = new()
    {
        { "ip -n {node} link delete {host}", ["link {host} is not there", "link eth0 in the pod is not there"] },
        { "ip -n {pod} link set eth0 name eth7", ["link eth0 in the pod is not there"] },
        {
            "ip -n {pod} link set eth0 down",
            [
                "link eth0 in the pod is down", "route 169.254.1.1/32 table 254 dev eth0 is missing in the pod",
                "route 0.0.0.0/0 via 169.254.1.1 table 254 dev eth0 is missing in the pod", "neighbour 169.254.1.1 dev eth0 in the pod is missing, not permanent {mac}",
            ]
        },
        { "ip -n {node} link set {host} down", ["link {host} is down", "route {address}/32 table 254 dev {host} is missing"] },
        { "ip -n {node} link set {host} address 02:00:00:00:00:77", ["link {host} has the address 02:00:00:00:00:77, not {mac}"] },
        {
            "ip -n {pod} link set eth0 address 02:00:00:00:00:78", // With it the kernel forgets the link's neighbours, permanent ones too.
            ["link eth0 in the pod has the address 02:00:00:00:00:78, not {podmac}", "neighbour 169.254.1.1 dev eth0 in the pod is missing, not permanent {mac}"]
        },
        { "ip -n {node} link set {host} alias mine", ["link {host} has the alias 'mine', not one of c1/eth0 with {address}"] },
        {
            "ip -n {pod} address delete {address}/32 dev eth0", // The link's last one takes everything with it.
            [
                "address {address}/32 is not on eth0 in the pod", "route 169.254.1.1/32 table 254 dev eth0 is missing in the pod",
                "route 0.0.0.0/0 via 169.254.1.1 table 254 dev eth0 is missing in the pod", "neighbour 169.254.1.1 dev eth0 in the pod is missing, not permanent {mac}",
            ]
        },
        { "ip -n {pod} route delete default", ["route 0.0.0.0/0 via 169.254.1.1 table 254 dev eth0 is missing in the pod"] },
        { "ip -n {pod} neigh delete 169.254.1.1 dev eth0", ["neighbour 169.254.1.1 dev eth0 in the pod is missing, not permanent {mac}"] },
        {
            "ip -n {pod} neigh replace 169.254.1.1 dev eth0 lladdr 02:00:00:00:00:79 nud permanent",
            ["neighbour 169.254.1.1 dev eth0 in the pod is permanent 02:00:00:00:00:79, not permanent {mac}"]
        },
        { "ip -n {node} route delete {address}/32", ["route {address}/32 table 254 dev {host} is missing"] },
        { "ip -n {node} route replace {address}/32 dev lo", ["route {address}/32 table 254 dev {host} is missing"] },
        { "ip -n {node} rule delete priority 512", ["rule 512: to {address} lookup 254 is missing"] },
        { "ip -n {node} rule add priority 1536 from {address} lookup 7", ["rule 1536: from {address} lookup 7 is one too many"] },
    };

    [Fact]
    public async Task A_pod_of_a_second_interface_is_as_it_was_made_also_while_no_silo_has_said_which_interface_that_is()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.Second = new InterfaceOrder("eni-b", "02:00:0a:00:00:3c", 1, 0, Ip.Parse("10.0.0.60"), Cidr.Parse("10.0.0.0/24"));
        node.Silo.OnSecond = [Ip.Parse("10.0.0.61")];
        node.Ip("link", "add", "ens6", "address", node.Silo.Second.Mac, "type", "veth", "peer", "name", "ens6peer");
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 2);
        var pod = node.AddPod("pod");
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        await executor.KillAsync();
        File.Delete(node.LeaseFile);
        node.Silo.IsAway = true;
        await node.RunAsync();

        Assert.Equal(new PluginAnswer(0, ""), await CheckAsync(node, "c1", pod, ConfigWith(add.Output)));
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task What_is_broken_by_hand_is_named(string command, string[] wrong)
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = node.AddPod("pod");
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        var config = ConfigWith(add.Output);
        Assert.Equal(new PluginAnswer(0, ""), await CheckAsync(node, "c1", pod, config));

        var links = add.Json.GetProperty("interfaces");
        string Filled(string text) => text.Replace("{node}", node.Name, StringComparison.Ordinal).Replace("{pod}", Path.GetFileName(pod), StringComparison.Ordinal)
            .Replace("{host}", links[0].GetProperty("name").GetString(), StringComparison.Ordinal).Replace("{mac}", links[0].GetProperty("mac").GetString(), StringComparison.Ordinal)
            .Replace("{podmac}", links[1].GetProperty("mac").GetString(), StringComparison.Ordinal).Replace("{address}", add.Address, StringComparison.Ordinal);
        var words = Filled(command).Split(' ');
        TestNode.Run(words[0], words[1..]);
        Names(await CheckAsync(node, "c1", pod, config), [.. wrong.Select(Filled)]);
    }

    [Fact]
    public async Task A_link_of_that_name_that_is_no_end_of_the_pods_pair_is_named()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = node.AddPod("pod");
        var inPod = Path.GetFileName(pod);
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        var links = add.Json.GetProperty("interfaces");
        var (host, mac, podMac) = (links[0].GetProperty("name").GetString()!, links[0].GetProperty("mac").GetString()!, links[1].GetProperty("mac").GetString()!);
        TestNode.Run("ip", "-n", inPod, "link", "set", "eth0", "down");
        TestNode.Run("ip", "-n", inPod, "link", "set", "eth0", "name", "eth7");
        TestNode.Run("ip", "-n", inPod, "link", "add", "eth0", "address", podMac, "type", "veth", "peer", "name", "eth8");
        TestNode.Run("ip", "-n", inPod, "link", "set", "eth0", "up");
        TestNode.Run("ip", "-n", inPod, "address", "add", $"{add.Address}/32", "dev", "eth0");
        TestNode.Run("ip", "-n", inPod, "route", "add", "169.254.1.1", "dev", "eth0");
        TestNode.Run("ip", "-n", inPod, "route", "add", "default", "via", "169.254.1.1", "dev", "eth0");
        TestNode.Run("ip", "-n", inPod, "neigh", "add", "169.254.1.1", "dev", "eth0", "lladdr", mac, "nud", "permanent");

        Names(await CheckAsync(node, "c1", pod, ConfigWith(add.Output)), $"link {host} and link eth0 in the pod are not the two ends of one pair");
    }

    [Fact]
    public async Task What_others_have_put_there_is_no_error()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = node.AddPod("pod");
        var inPod = Path.GetFileName(pod);
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        TestNode.Run("ip", "-n", inPod, "link", "set", "lo", "up");
        TestNode.Run("ip", "-n", inPod, "link", "add", "other", "type", "veth", "peer", "name", "otherpeer");
        TestNode.Run("ip", "-n", inPod, "link", "set", "other", "up");
        TestNode.Run("ip", "-n", inPod, "address", "add", "192.168.7.1/24", "dev", "other");
        TestNode.Run("ip", "-n", inPod, "address", "add", "192.168.8.1/24", "dev", "eth0");
        TestNode.Run("ip", "-n", inPod, "route", "add", "10.9.0.0/16", "via", "169.254.1.1", "dev", "eth0");
        TestNode.Run("ip", "-n", inPod, "rule", "add", "priority", "512", "to", add.Address, "lookup", "9");
        TestNode.Run("ip", "-n", inPod, "neigh", "add", "169.254.1.1", "dev", "other", "lladdr", "02:00:00:00:00:79", "nud", "permanent");
        node.Ip("rule", "add", "priority", "700", "from", add.Address, "lookup", "9");

        Assert.Equal(new PluginAnswer(0, ""), await CheckAsync(node, "c1", pod, ConfigWith(add.Output)));
    }

    [Fact]
    public async Task The_rule_of_a_pod_on_a_secondary_interface_is_checked_after_a_restart_of_the_executor_too()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.Second = new InterfaceOrder("eni-b", "02:00:0a:00:00:3c", 1, 0, Ip.Parse("10.0.0.60"), Cidr.Parse("10.0.0.0/24"));
        node.Silo.OnSecond = [Ip.Parse("10.0.0.61")];
        node.Ip("link", "add", "ens6", "address", "02:00:0a:00:00:3c", "type", "veth", "peer", "name", "ens6peer");
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 2);
        var pod = node.AddPod("pod");
        var config = ConfigWith((await PluginClient.AddAsync(node.Socket, "c1", pod)).Output);
        Assert.Equal(0, (await CheckAsync(node, "c1", pod, config)).ExitCode);

        await executor.KillAsync();
        await node.RunAsync();
        Assert.Equal(0, (await CheckAsync(node, "c1", pod, config)).ExitCode);
        node.Ip("rule", "delete", "priority", "1536");
        Names(await CheckAsync(node, "c1", pod, config), "rule 1536: from 10.0.0.61 lookup 2 is missing");
    }

    [Fact]
    public async Task The_claim_must_be_the_results_and_a_CHECK_that_cannot_be_made_says_why()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = node.AddPod("pod");
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);

        Names(await CheckAsync(node, "c1", pod, ConfigWith(add.Output.Replace("10.0.0.2", "10.0.0.9", StringComparison.Ordinal))),
            $"the sandbox holds {add.Address} on this node, and prevResult gives eth0 {add.Address.Replace("10.0.0.2", "10.0.0.9", StringComparison.Ordinal)}");
        Names(await CheckAsync(node, "c1", pod, ConfigWith(add.Output.Replace("\"eth0\"", "\"eth5\"", StringComparison.Ordinal))),
            $"the sandbox holds {add.Address} on this node, and prevResult gives eth0 none", "prevResult has no interface eth0 of the pod");
        Assert.Contains("c2/eth0", (await CheckAsync(node, "c2", pod, ConfigWith(add.Output))).Message, StringComparison.Ordinal);
        Refused(await CheckAsync(node, "c1", pod, ConfigWith(null)), 7, "CHECK needs prevResult");
        Refused(await CheckAsync(node, "c1", pod, ConfigWith(add.Output.Replace("1.0.0", "0.3.1", StringComparison.Ordinal), "0.3.1")), 1, "CHECK came with 0.4.0");
        Refused(await CheckAsync(node, "c1", pod, ConfigWith(add.Output, "1.1.0")), 7, "prevResult: cniVersion is 1.0.0, the configuration's 1.1.0");
        Refused(await PluginClient.AskAsync(node.Socket, PluginClient.Environment("CHECK", "c1", "/gone", "web-0"), ConfigWith(add.Output), null), 4, "/gone");

        await PluginClient.DelAsync(node.Socket, "c1", pod);
        var gone = await CheckAsync(node, "c1", pod, ConfigWith(add.Output));
        Assert.Contains($"the sandbox holds no address on this node, and prevResult gives eth0 {add.Address}", gone.Message, StringComparison.Ordinal);
        Assert.Contains($"rule 512: to {add.Address} lookup 254 is missing", gone.Message, StringComparison.Ordinal);
    }

    private static void Refused(PluginAnswer answer, int code, string said)
    {
        Assert.Equal((1, code), (answer.ExitCode, answer.ErrorCode));
        Assert.Contains(said, answer.Message, StringComparison.Ordinal);
    }
}
