using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>GC by the executor's process: what the runtime does not list of a network goes, and nothing else.</summary>
public sealed class GcTests
{
    private static Task<PluginAnswer> GcAsync(ExecutorNode node, string list, string network = "aws-cni", string key = "cni.dev/valid-attachments") => PluginClient.AskAsync(
        node.Socket, "CNI_COMMAND=GC\0CNI_PATH=/opt/cni/bin\0", $$"""{"cniVersion":"1.1.0","name":"{{network}}","type":"aws-vpc-cni","{{key}}":{{list}}}""", null);

    private static string Attachment(string container, string ifName = "eth0") => $$"""{"containerID":"{{container}}","ifname":"{{ifName}}"}""";


    [Fact]
    public async Task What_is_not_listed_is_released_like_by_a_DEL_and_what_is_listed_or_another_networks_stays()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var other = PluginClient.Config.Replace("\"name\":\"aws-cni\"", "\"name\":\"other\"", StringComparison.Ordinal);
        var stays = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"), "web-1");
        var others = await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"), "web-2", other);
        await executor.KillAsync();
        executor = await node.RunAsync(); // It knows the networks still.
        var before = node.Snapshot();
        var goes = await PluginClient.AddAsync(node.Socket, "c3", node.AddPod("p3"), "web-3");
        var released = node.Silo.ReportAsync(report => report.Freed.Any(freed => freed.Address.ToString() == goes.Address));

        Assert.Equal(new PluginAnswer(0, ""), await GcAsync(node, $"[{Attachment("c1")},{Attachment("c3", "net1")},{Attachment("never-seen")}]"));
        Assert.Contains($"GC aws-cni: the runtime does not list sandbox c3/eth0 (default/web-3); {goes.Address} of eni-a is released", await executor.SaysAsync("GC aws-cni"), StringComparison.Ordinal);
        Assert.Contains("3 attachments listed, 1 sandboxes released, 0 left", await executor.SaysAsync("GC aws-cni"), StringComparison.Ordinal);
        Assert.Equal(["c1", "c2"], (await released).Claims.Select(claim => claim.Sandbox.ContainerId).Order(StringComparer.Ordinal));
        await node.SettleAsync(before);
        node.Ping(stays.Address);
        node.Ping(others.Address);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("null")] // As libcni writes the empty list of a runtime without pods.
    public async Task An_empty_list_releases_everything_of_the_network(string list)
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"), "web-1");
        await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"), "web-2");

        Assert.Equal(0, (await GcAsync(node, "[]", "another")).ExitCode);
        Assert.NotEqual(before, node.Snapshot());
        Assert.Equal(0, (await GcAsync(node, list)).ExitCode);
        await node.SettleAsync(before);
    }

    [Fact]
    public async Task An_ADD_in_flight_is_left_alone()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.HasNothing = true;
        await node.RunAsync();
        var waits = node.Silo.ReportAsync(report => report.Waiting.Length == 1);
        var pod = node.AddPod("p1");
        var add = PluginClient.AddAsync(node.Socket, "c1", pod);
        await waits;

        Assert.Equal(0, (await GcAsync(node, "[]")).ExitCode);
        node.Silo.HasNothing = false;
        node.Ping((await add).Address);
    }

    [Fact]
    public async Task With_the_lease_file_lost_no_pod_loses_its_address_by_GC()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        await executor.KillAsync();
        File.Delete(node.LeaseFile);
        executor = await node.RunAsync();

        Assert.Equal(0, (await GcAsync(node, "[]")).ExitCode);
        Assert.Contains("c1/eth0 with " + pod.Address + " is not listed, and is left alone", await executor.SaysAsync("GC aws-cni"), StringComparison.Ordinal);
        node.Ping(pod.Address);
    }

    [Fact]
    public async Task A_list_that_cannot_be_read_is_refused_whole_with_what_to_do()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));

        Refused(await GcAsync(node, "[]", key: "cni.dev/other"), 7, "cni.dev/valid-attachments is missing. GC without it would take the network from every pod");
        Refused(await GcAsync(node, "{}"), 7, "is of kind Object");
        Refused(await GcAsync(node, "[1]"), 7, "has an entry 0 without a text containerID");
        Refused(await GcAsync(node, """[{"containerID":"c9","ifname":"eth0"},{"containerID":"c8"}]"""), 7, "has an entry 1 without a text ifname");
        Refused(await GcAsync(node, """[{"containerID":"","ifname":"eth0"}]"""), 7, "nothing was released");
        Refused(await PluginClient.AskAsync(node.Socket, "CNI_COMMAND=GC\0", CniChecks.ConfigWith(null, "1.0.0", ",\"cni.dev/valid-attachments\":[]"), null), 1, "GC came with 1.1.0");
        node.Ping(pod.Address);
    }

    private static void Refused(PluginAnswer answer, int code, string said)
    {
        Assert.Equal((1, code), (answer.ExitCode, answer.ErrorCode));
        Assert.Contains(said, answer.Message, StringComparison.Ordinal);
    }
}
