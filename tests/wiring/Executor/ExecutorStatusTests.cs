using System.Text.Json;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary><c>node-executor status</c> as an operator runs it beside the executor.</summary>
public sealed class ExecutorStatusTests
{
    private static async Task<JsonElement> StatusAsync(ExecutorNode node)
    {
        var (exit, output, said) = await node.RunToEndAsync("status", "--json");
        Assert.Equal((0, ""), (exit, said));
        return JsonDocument.Parse(output).RootElement;
    }

    [Fact]
    public async Task It_shows_pods_what_cools_who_waits_and_why_and_what_was_put_back()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.Lease = [.. node.Silo.Lease.Take(2)];
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        var gone = await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"), pod: "web-1");
        await PluginClient.DelAsync(node.Socket, "c2");
        var waits = node.Silo.ReportAsync(report => report.Waiting.Length == 1 && report.Freed.Any(freed => freed.FreedSeconds > 0));
        var third = node.AddPod("p3");
        using var waiting = PluginClient.Send(node.Socket, PluginClient.Environment("ADD", "c3", third, "web-2"), PluginClient.Config, third);
        await waits;

        var status = await StatusAsync(node);
        Assert.Equal(ExecutorNode.InstanceId, status.GetProperty("node").GetString());
        Assert.Equal("http://127.0.0.1:8001/", status.GetProperty("silo").GetProperty("address").GetString());
        Assert.InRange(status.GetProperty("silo").GetProperty("contactSeconds").GetDouble(), 0, 15);
        Assert.Equal((2, 1, 1, 0), (Figure("addresses"), Figure("inUse"), Figure("cooling"), Figure("free")));
        var inUse = status.GetProperty("addresses")[0];
        var link = add.Json.GetProperty("interfaces")[0].GetProperty("name").GetString();
        Assert.Equal(
            (add.Address, ExecutorNode.EniId, "InUse", "default/web-0", "c1", "eth0", link),
            (Text(inUse, "address"), Text(inUse, "eniId"), Text(inUse, "state"), Text(inUse, "pod"), Text(inUse, "sandbox"), Text(inUse, "ifName"), Text(inUse, "link")));
        var cooling = status.GetProperty("addresses")[1];
        Assert.Equal((gone.Address, "Cooling"), (Text(cooling, "address"), Text(cooling, "state")));
        Assert.InRange(cooling.GetProperty("restsSeconds").GetDouble(), 1, 30);
        var waiter = Assert.Single(status.GetProperty("waiting").EnumerateArray());
        Assert.Equal(("default/web-2", "SubnetEmpty", "subnet-1 is empty"), (Text(waiter, "pod"), Text(waiter, "code"), Text(waiter, "reason")));

        node.Ip("rule", "delete", "priority", "1024");
        await executor.SaysAsync("Somebody had changed it, and it is put back: add rule 1024");
        var (exit, text, _) = await node.RunToEndAsync("status");
        Assert.Equal(0, exit);
        Assert.Matches(@"repairs  Rule 1 \(last \d+ s ago\)", text);
        Assert.Matches($@"{add.Address} +eni-a +in use +default/web-0 +c1/eth0 +{link} ", text);

        int Figure(string name) => status.GetProperty("lease").GetProperty(name).GetInt32();
        static string? Text(JsonElement of, string name) => of.GetProperty(name).GetString();
    }

    [Fact]
    public async Task It_says_that_no_silo_answers_and_that_the_host_is_not_ready()
    {
        await using var node = await ExecutorNode.StartAsync();
        (node.Silo.IsAway, node.Silo.VpcCidrs) = (true, "");
        var executor = await node.RunAsync();
        await executor.SaysAsync("The host's network is not as it should be");
        await executor.SaysAsync("No silo answers");
        var (exit, text, _) = await node.RunToEndAsync("status");
        Assert.Equal(0, exit);
        Assert.Contains("silo     none yet, no answer since the start\n         ! No silo answers: ", text, StringComparison.Ordinal);
        Assert.Contains("host     not ready: no pod starts yet", text, StringComparison.Ordinal);
        Assert.Contains("does not say what the VPC's ranges are", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_an_executor_it_says_what_to_do_and_fails()
    {
        await using var node = await ExecutorNode.StartAsync();
        var (exit, output, said) = await node.RunToEndAsync("status");
        Assert.Equal((1, ""), (exit, output));
        Assert.Contains($"No executor listens at {node.Socket}", said, StringComparison.Ordinal);

        (exit, _, said) = await node.RunToEndAsync("statsu");
        Assert.Equal(1, exit);
        Assert.Contains("'statsu' is not known", said, StringComparison.Ordinal);
    }
}
