using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>F4 with the executor: a pod comes back under its name before the DEL of the one before it.</summary>
public sealed class DisplacedPodTests
{
    /// <summary>The old one has an address of the second interface: a rule to its table, too.</summary>
    /// <param name="isNoticed">Whether the executor has found that the old one has no link any more, before its DEL comes.</param>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_late_DEL_of_the_old_one_takes_nothing_from_the_new_one_and_leaves_nothing(bool isNoticed)
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.Second = SecondInterfaceTests.Second;
        SecondInterfaceTests.Attach(node);
        var both = SecondInterfaceTests.BothAsync(node);
        var executor = await node.RunAsync();
        await both;
        await executor.SaysAsync("This node can serve");
        var before = node.Snapshot();
        var (oldPod, newPod) = (node.AddPod("old"), node.AddPod("new"));
        (node.Silo.OnSecond, node.Silo.Version) = ([SecondInterfaceTests.OnSecond], 2);
        var old = await PluginClient.AddAsync(node.Socket, "c1", oldPod);
        Assert.Contains($"1536:\tfrom {old.Address} lookup 2", node.Ip("rule"), StringComparison.Ordinal);
        var rests = node.Silo.ReportAsync(report => report.Freed.Any(resting => resting.Address.ToString() == old.Address));

        node.Silo.OffersSecond = false;
        var heir = await PluginClient.AddAsync(node.Socket, "c2", newPod);
        await executor.SaysAsync("Sandbox c1/eth0 has lost its link");
        if (isNoticed)
        {
            await executor.SaysAsync("Sandbox c1/eth0 (default/web-0) has gone without a DEL");
        }

        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c1", oldPod));
        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c1", oldPod));

        var report = await rests;
        Assert.Equal(("c2", heir.Address), report.Claims.Select(claim => (claim.Sandbox.ContainerId, claim.Address.ToString()!)).Single());
        Assert.DoesNotContain(old.Address, node.Snapshot(), StringComparison.Ordinal);
        Assert.DoesNotContain("eth0", TestNode.Run("ip", "-n", Path.GetFileName(oldPod), "link"), StringComparison.Ordinal);
        Assert.Equal(new PluginAnswer(0, ""), await CniChecks.CheckAsync(node, "c2", newPod, CniChecks.ConfigWith(heir.Output)));
        node.Ping(heir.Address);
        await PluginClient.DelAsync(node.Socket, "c2", newPod);
        await node.SettleAsync(before);
    }
}
