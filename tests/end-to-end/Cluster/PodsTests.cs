using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The whole on real parts: containerd runs our plugin, and pods of two nodes reach each other.</summary>
public sealed class PodsTests
{
    [Fact]
    public async Task Pods_on_two_nodes_talk_and_leave_nothing()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcpods"));
        var before = new[] { await cluster.Nodes[0].SnapshotAsync(), await cluster.Nodes[1].SnapshotAsync() };
        var a = await cluster.Nodes[0].Cri.RunPodAsync("a");
        var b = await cluster.Nodes[1].Cri.RunPodAsync("b");

        Assert.Contains("2 packets received", await cluster.Nodes[0].Cri.ExecAsync(a, "ping", "-c", "2", "-W", "5", b.Address), StringComparison.Ordinal);
        Assert.Contains("2 packets received", await cluster.Nodes[1].Cri.ExecAsync(b, "ping", "-c", "2", "-W", "5", a.Address), StringComparison.Ordinal);

        await cluster.Nodes[0].Cri.StopAndRemoveAsync(a);
        await cluster.Nodes[1].Cri.StopAndRemoveAsync(b);

        await Eventually.HoldsAsync("the pods' links, routes and rules to be gone", TimeSpan.FromSeconds(10), async _ =>
        {
            string[] left = [.. (await cluster.Nodes[0].SnapshotAsync()).LeftOverSince(before[0]), .. (await cluster.Nodes[1].SnapshotAsync()).LeftOverSince(before[1])];
            return left.Length == 0 ? null : string.Join('\n', left);
        });
        var (exitCode, output) = await cluster.CheckCallsAsync();
        Assert.True(exitCode == 0, output);
    }
}
