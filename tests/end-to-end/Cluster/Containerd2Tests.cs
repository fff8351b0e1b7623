using System.Collections.Immutable;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The same under containerd 2, with a list of 1.1.0: the runtime asks for STATUS, and kubelet hears what it says.</summary>
public sealed class Containerd2Tests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    [Fact]
    public async Task Pods_come_and_go_and_the_node_is_ready_while_STATUS_is_good()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avccd2")
        {
            Nodes = ["nodea"], Containerd = await Containerd2.ProgramsOrSkipAsync(),
            Executor = ImmutableDictionary<string, string>.Empty.Add("AWS_VPC_CNI_CONFLIST_VERSION", "1.1.0").Add("AWS_VPC_CNI_CHAINED", "none"),
        });
        var node = cluster.Nodes[0];
        var before = await node.SnapshotAsync();
        Assert.Matches("^containerd v?2[.]", await node.Cri.VersionAsync());
        var (one, two) = (await node.Cri.RunPodAsync("one"), await node.Cri.RunPodAsync("two"));
        Assert.Contains("2 packets received", await node.Cri.ExecAsync(one, "ping", "-c", "2", "-W", "5", two.Address), StringComparison.Ordinal);

        using (var served = new CancellationTokenSource())
        {
            var asking = WhyEverNotReadyAsync(node, served.Token);
            await node.KillExecutorAsync();
            await Task.Delay(TimeSpan.FromSeconds(2), TimeProvider.System, TestContext.Current.CancellationToken); // The next one's image is drawn.
            node.StartExecutor();
            await node.ServableAsync();
            await served.CancelAsync();
            var why = await asking;
            Assert.True(why is null, why); // F10: an executor that is replaced takes no node out of service.
        }

        await node.StopExecutorAsync();
        await Eventually.HoldsAsync("the runtime to say what the plugin's STATUS says", Patience, async c =>
            await node.Cri.WhyNotReadyAsync(network: true, c) is { } why && why.Contains("no answer from the node executor", StringComparison.Ordinal) ? null : "it says that the network is ready");
        node.StartExecutor();
        await node.ServableAsync();

        await node.Cri.StopAndRemoveAsync(one);
        await node.Cri.StopAndRemoveAsync(two);
        await Eventually.HoldsAsync("nothing of the pods to be left", Patience, async _ =>
            string.Join('\n', [.. (await node.SnapshotAsync()).LeftOverSince(before), .. await Rows.AssignedAsync(cluster.Silo)]) is { Length: > 0 } left ? left : null);
    }

    /// <summary>Asks as kubelet does, until it is told to end: the first reason that it hears; null for none.</summary>
    private static async Task<string?> WhyEverNotReadyAsync(ClusterNode node, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            if (await node.Cri.WhyNotReadyAsync(network: true, TestContext.Current.CancellationToken) is { } why)
            {
                return why;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, CancellationToken.None);
        }

        return null;
    }
}
