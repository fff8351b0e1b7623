using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>STATUS by the executor's process, state by state as node-executor/README.md has them.</summary>
public sealed class StatusTests
{
    private static readonly PluginAnswer Serves = new(0, "");

    internal static Task<PluginAnswer> StatusAsync(ExecutorNode node, string version = "1.1.0") =>
        PluginClient.AskAsync(node.Socket, "CNI_COMMAND=STATUS\0CNI_PATH=/opt/cni/bin\0", CniChecks.ConfigWith(null, version), null);

    [Fact]
    public async Task A_node_without_an_address_says_so_and_one_with_a_lease_serves_whatever_is_away()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.IsAway = true;
        var executor = await node.RunAsync();
        var answer = await StatusAsync(node);
        Assert.Equal((1, 50), (answer.ExitCode, answer.ErrorCode));
        Assert.Contains("0 leased addresses", answer.Message, StringComparison.Ordinal);
        Assert.Contains("No silo answers", answer.Message, StringComparison.Ordinal);

        node.Silo.IsAway = false;
        await executor.SaysAsync("This node can serve");
        Assert.Equal(Serves, await StatusAsync(node));

        node.Silo.IsAway = true;
        await executor.KillAsync();
        await node.RunAsync();
        Assert.Equal(Serves, await StatusAsync(node)); // At once after a start, too: the first look at the interfaces is waited for.
    }

    [Fact]
    public async Task A_node_whose_addresses_are_all_on_pods_or_cool_is_not_called_unready()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.Lease = [node.Silo.Lease[0]];
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        Assert.Equal(Serves, await StatusAsync(node));
        await PluginClient.DelAsync(node.Socket, "c1");
        Assert.Equal(Serves, await StatusAsync(node));
    }

    [Fact]
    public async Task A_node_that_has_lost_the_interface_of_its_pods_warns_of_their_connectivity()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        await executor.KillAsync();
        node.Ip("link", "delete", "ens5");
        await node.RunAsync();

        var answer = await StatusAsync(node);
        Assert.Equal((1, 51), (answer.ExitCode, answer.ErrorCode));
        Assert.Contains($"1 pods are on interfaces that this machine does not show (the first is {add.Address})", answer.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_config_older_than_the_verb_is_refused()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();

        var answer = await StatusAsync(node, "1.0.0");
        Assert.Equal((1, 1), (answer.ExitCode, answer.ErrorCode));
        Assert.Contains("STATUS came with 1.1.0", answer.Message, StringComparison.Ordinal);
    }
}
