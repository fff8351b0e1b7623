using AwsVpcCni.CniProtocol;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>DELs that found no executor, of pods whose namespace something keeps: only their marks tell of them.</summary>
public sealed class EndedMarksTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_pinned_pod_whose_DEL_found_no_executor_is_ended_by_the_next_start()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        Assert.Equal("700", TestNode.Run("stat", "-c", "%a", Folder(node)).Trim());
        var before = node.Snapshot();
        var goes = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"), "web-1");
        var stays = await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"), "web-2");
        var name = EndedMark.NameOf("c1", "eth0");
        await executor.KillAsync();
        Mark(node, name); // As the plugin does. The namespace stays.
        Mark(node, EndedMark.NameOf("never-seen", "eth0"));

        var told = node.Silo.ReportAsync(report => report.Stamp.Incarnation == 2);
        executor = await node.RunAsync();
        Assert.Equal(("c2", stays.Address), ((await told).Claims.Single().Sandbox.ContainerId, (await told).Claims.Single().Address.ToString()));
        Assert.Equal("c1", Assert.Single((await told).Ended).Sandbox.ContainerId);
        Assert.Empty(Directory.GetFileSystemEntries(Folder(node)));
        node.Ping(stays.Address);
        Assert.NotEqual(goes.Address, (await PluginClient.AddAsync(node.Socket, "c3", node.AddPod("p3"), "web-3")).Address); // It rests.
        await PluginClient.DelAsync(node.Socket, "c2");
        await PluginClient.DelAsync(node.Socket, "c3");
        await node.SettleAsync(before); // Its link too is gone.

        await executor.KillAsync();
        var again = node.Silo.ReportAsync(report => report.Stamp.Incarnation == 3);
        await node.RunAsync(); // The end is in the lease file.
        Assert.Empty((await again).Claims);
    }

    [Fact]
    public async Task A_mark_that_is_left_while_an_executor_runs_is_carried_out_soon()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var before = node.Snapshot();
        var add = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        Mark(node, EndedMark.NameOf("c1", "eth0"));

        Assert.Contains(add.Address, await executor.SaysAsync("which had found no executor"), StringComparison.Ordinal);
        await node.SettleAsync(before);
        await GoneAsync(node);
    }

    [Fact]
    public async Task An_ADD_after_a_DEL_that_found_no_executor_is_not_ended_by_its_mark()
    {
        await using var node = await ExecutorNode.StartAsync();
        await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var first = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p1"));
        Mark(node, EndedMark.NameOf("c1", "eth0"));
        node.Silo.IsAway = true; // It would offer the sandbox the address that it had.
        var second = await PluginClient.AddAsync(node.Socket, "c1", node.AddPod("p2"));

        Assert.False(File.Exists(Path.Combine(Folder(node), EndedMark.NameOf("c1", "eth0"))));
        Assert.NotEqual(first.Address, second.Address);
        await Task.Delay(TimeSpan.FromSeconds(12), TimeProvider.System, TestContext.Current.CancellationToken); // One look at least.
        node.Ping(second.Address);
    }

    [Fact]
    public async Task What_is_no_mark_is_removed_and_said_and_what_it_names_lives_on()
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await node.Silo.ReportAsync(report => report.InterfacesSetUp.Length == 1);
        var pod = node.AddPod("p1");
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        await executor.KillAsync();
        foreach (var name in new[] { "c1-eth0", "c1", ":eth0", "c1:", "c1:eth0:", "c1:..", "-c1:eth0", "c1:sixteen-letters." })
        {
            Mark(node, name);
        }

        executor = node.Launch();
        await executor.SaysAsync("is no mark of a plugin");
        await executor.SaysAsync("Serving");
        await GoneAsync(node);
        node.Ping(add.Address);
        Assert.Equal(add.Address, (await PluginClient.AddAsync(node.Socket, "c1", pod)).Address); // Its claim is there still.
    }

    private static string Folder(ExecutorNode node) => Path.Combine(Path.GetDirectoryName(node.Socket)!, EndedMark.Folder);

    private static void Mark(ExecutorNode node, string name) => File.Create(Path.Combine(Folder(node), name)).Dispose();

    private static async Task GoneAsync(ExecutorNode node)
    {
        using var deadline = new CancellationTokenSource(Patience);
        while (Directory.GetFileSystemEntries(Folder(node)).Length > 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, deadline.Token);
        }
    }
}
