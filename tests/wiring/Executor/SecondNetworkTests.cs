using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>A second network of the same pod, as Multus asks for it: CNI_IFNAME=net1 in the namespace that has eth0.</summary>
public sealed class SecondNetworkTests
{
    private static readonly string Config = PluginClient.Config.Replace("\"name\":\"aws-cni\"", "\"name\":\"second\"", StringComparison.Ordinal);

    private static Task<PluginAnswer> CallAsync(ExecutorNode node, string command, string netns, string ifName, string config) =>
        PluginClient.AskAsync(node.Socket, PluginClient.Environment(command, "c1", netns, "web-0", ifName), config, netns);

    [Fact]
    public async Task It_has_its_own_address_answers_by_it_and_leaves_the_first_ones_default_route_alone()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var empty = node.Snapshot();
        var pod = node.AddPod("pod");
        var inPod = Path.GetFileName(pod);
        string[] InPod(params string[] arguments) => TestNode.Run("ip", ["-n", inPod, .. arguments]).Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var first = await PluginClient.AddAsync(node.Socket, "c1", pod);
        var (routes, rules) = (InPod("route"), InPod("rule"));

        var second = await CallAsync(node, "ADD", pod, "net1", Config);
        Assert.NotEqual(first.Address, second.Address);
        Assert.Equal("169.254.1.2", second.Json.GetProperty("ips")[0].GetProperty("gateway").GetString());
        Assert.Empty(second.Json.GetProperty("routes").EnumerateArray());
        Assert.NotEqual(first.Json.GetProperty("interfaces")[0].GetProperty("name").GetString(), second.Json.GetProperty("interfaces")[0].GetProperty("name").GetString());
        Assert.Equal([.. routes, "169.254.1.2 dev net1 scope link"], InPod("route"));
        Assert.Contains("dev eth0", InPod("route", "get", "10.9.9.9")[0], StringComparison.Ordinal);
        Assert.Contains("via 169.254.1.2 dev net1", InPod("route", "get", "10.9.9.9", "from", second.Address)[0], StringComparison.Ordinal);
        node.Ping(first.Address);
        node.Ping(second.Address);
        TestNode.Run("nsenter", $"--net={pod}", "ping", "-c", "1", "-W", "2", "10.0.0.10");
        TestNode.Run("nsenter", $"--net={pod}", "ping", "-c", "1", "-W", "2", "-I", second.Address, "10.0.0.10");

        var third = await CallAsync(node, "ADD", pod, "net2", Config);
        Assert.Equal("169.254.1.3", third.Json.GetProperty("ips")[0].GetProperty("gateway").GetString());
        foreach (var (ifName, add) in new[] { ("eth0", first), ("net1", second), ("net2", third) })
        {
            Assert.Equal(new PluginAnswer(0, ""), await CniChecks.CheckAsync(node, "c1", pod, CniChecks.ConfigWith(add.Output), ifName));
        }

        TestNode.Run("ip", "-n", inPod, "route", "replace", "default", "via", "169.254.1.2", "dev", "net1"); // As Multus does for its default-route.
        TestNode.Run("nsenter", $"--net={pod}", "ping", "-c", "1", "-W", "2", "10.0.0.10");
        TestNode.Run("ip", "-n", inPod, "route", "replace", "default", "via", "169.254.1.1", "dev", "eth0");

        TestNode.Run("ip", "-n", inPod, "rule", "delete", "from", second.Address);
        TestNode.Run("ip", "-n", inPod, "route", "delete", "default", "table", "1");
        CniChecks.Names(await CniChecks.CheckAsync(node, "c1", pod, CniChecks.ConfigWith(second.Output), "net1"),
            $"rule 1: from {second.Address} lookup 1 is missing in the pod", "route 0.0.0.0/0 via 169.254.1.2 table 1 dev net1 is missing in the pod");

        Assert.Equal(0, (await CallAsync(node, "DEL", pod, "net1", Config)).ExitCode);
        Assert.Equal(0, (await CallAsync(node, "DEL", pod, "net2", Config)).ExitCode);
        string[] theirs = [.. new[] { second, third }.SelectMany(add => new[] { add.Address, add.Json.GetProperty("interfaces")[0].GetProperty("name").GetString()! })];
        await node.SettleAsync(shown => !theirs.Any(name => shown.Contains(name, StringComparison.Ordinal)));
        Assert.Equal(routes, InPod("route"));
        Assert.Equal(rules, InPod("rule"));
        node.Ping(first.Address);
        Assert.Equal(0, (await CniChecks.CheckAsync(node, "c1", pod, CniChecks.ConfigWith(first.Output))).ExitCode);
        await PluginClient.DelAsync(node.Socket, "c1", pod);
        await node.SettleAsync(empty);
    }

    [Fact]
    public async Task Beside_another_products_default_route_it_takes_a_table_of_its_own_and_without_one_it_is_the_default()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var (others, bare) = (node.AddPod("others"), node.AddPod("bare"));
        var inOthers = Path.GetFileName(others);
        TestNode.Run("ip", "-n", inOthers, "link", "add", "eth0", "type", "veth", "peer", "name", "peer");
        TestNode.Run("ip", "-n", inOthers, "link", "set", "eth0", "up");
        TestNode.Run("ip", "-n", inOthers, "route", "add", "default", "dev", "eth0");

        Assert.Equal("169.254.1.2", (await CallAsync(node, "ADD", others, "net1", Config)).Json.GetProperty("ips")[0].GetProperty("gateway").GetString());
        var only = await PluginClient.AskAsync(node.Socket, PluginClient.Environment("ADD", "c2", bare, "web-2", "net1"), Config, bare);
        Assert.Equal("169.254.1.1", only.Json.GetProperty("ips")[0].GetProperty("gateway").GetString());
        Assert.Equal("0.0.0.0/0", Assert.Single(only.Json.GetProperty("routes").EnumerateArray()).GetProperty("dst").GetString());
        TestNode.Run("nsenter", $"--net={bare}", "ping", "-c", "1", "-W", "2", "10.0.0.10");
    }
}
