using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>An interface that comes while the executor runs, or while it does not, and goes again.</summary>
public sealed class SecondInterfaceTests
{
    private const string OwnRule = "32765:\tfrom 10.0.0.60 lookup 2";
    internal static readonly InterfaceOrder Second = new("eni-b", "02:00:0a:00:00:3c", 1, 0, Ip.Parse("10.0.0.60"), Cidr.Parse("10.0.0.0/24"));
    internal static readonly Ip OnSecond = Ip.Parse("10.0.0.61");

    internal static void Attach(ExecutorNode node) => node.Ip("link", "add", "ens6", "address", Second.Mac, "type", "veth", "peer", "name", "ens6peer");

    internal static Task<NodeReport> BothAsync(ExecutorNode node) => node.Silo.ReportAsync(report => report.InterfacesSetUp.SequenceEqual([ExecutorNode.EniId, "eni-b"]));

    private static Task<NodeReport> OnlyFirstAsync(ExecutorNode node) => node.Silo.ReportAsync(report => report.InterfacesSetUp.SequenceEqual([ExecutorNode.EniId]));

    [Fact]
    public async Task A_link_that_comes_after_its_order_is_set_up_and_one_that_goes_is_reported()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.Second = Second;
        var executor = await node.RunAsync();
        await OnlyFirstAsync(node);
        Assert.Contains("no link has 02:00:0a:00:00:3c (device 1)", await executor.SaysAsync("Interface eni-b"), StringComparison.Ordinal);
        Assert.DoesNotContain(OwnRule, node.Ip("rule"), StringComparison.Ordinal);

        var both = BothAsync(node);
        Attach(node);
        await both;
        Assert.Contains(OwnRule, node.Ip("rule"), StringComparison.Ordinal);

        var first = OnlyFirstAsync(node);
        node.Ip("link", "delete", "ens6");
        await first;
    }

    [Fact]
    public async Task A_pod_on_it_has_its_table_through_a_kill_and_when_it_is_given_up_nothing_is_left()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await OnlyFirstAsync(node);
        var before = node.Snapshot();
        var both = BothAsync(node);
        node.Silo.Policy = new NodePolicy(0, 0);
        (node.Silo.Second, node.Silo.OnSecond, node.Silo.Version) = (Second, [OnSecond], 2);
        Attach(node);
        await both;

        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        Assert.Equal(OnSecond.ToString(), add.Address);
        Assert.Contains("1536:\tfrom 10.0.0.61 lookup 2", node.Ip("rule"), StringComparison.Ordinal);
        node.Ping(add.Address);

        both = BothAsync(node);
        await executor.KillAsync();
        executor = await node.RunAsync();
        Assert.Equal("eni-b", Assert.Single((await both).Claims).EniId);
        node.Ping(add.Address);

        await PluginClient.DelAsync(node.Socket, "c1");
        (node.Silo.Second, node.Silo.OnSecond, node.Silo.GiveUp, node.Silo.Version) = (null, [], [OnSecond], 3);
        await executor.SaysAsync("Interface eni-b is out of use");
        Assert.DoesNotContain("10.0.0.6", node.Ip("rule"), StringComparison.Ordinal);
        node.Ip("link", "delete", "ens6"); // As EC2 does when it detaches it.
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task One_that_is_given_up_while_no_executor_runs_leaves_nothing_either()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await OnlyFirstAsync(node);
        var before = node.Snapshot();
        var both = BothAsync(node);
        node.Silo.Second = Second;
        Attach(node);
        await both;
        await executor.KillAsync();
        node.Ip("link", "delete", "ens6");
        node.Silo.Second = null;
        Assert.Contains(OwnRule, node.Ip("rule"), StringComparison.Ordinal);

        await (await node.RunAsync()).SaysAsync("Interface eni-b is out of use");
        await node.SettleAsync(before);
    }
}
