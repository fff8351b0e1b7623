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

        // 300 kB by TCP: more than a segment, and whole.
        const string Sum = "dd if=/dev/zero bs=1000 count=300 2>/dev/null | md5sum";
        await cluster.Nodes[1].Cri.ExecAsync(b, "sh", "-c", "(sleep 60 | nc -l -p 9000 >/tmp/got) >/dev/null 2>&1 &");
        await cluster.Nodes[0].Cri.ExecAsync(a, "sh", "-c", $"for i in 1 2 3 4 5; do dd if=/dev/zero bs=1000 count=300 2>/dev/null | nc -w 5 {b.Address} 9000 && exit 0; sleep 1; done; exit 1");
        Assert.Equal(await cluster.Nodes[1].Cri.ExecAsync(b, "sh", "-c", Sum), await cluster.Nodes[1].Cri.ExecAsync(b, "sh", "-c", "md5sum </tmp/got"));
        Assert.Equal(2, (await Rows.AssignedAsync(cluster.Silo)).Length);

        await cluster.Nodes[0].Cri.StopAndRemoveAsync(a);
        await cluster.Nodes[1].Cri.StopAndRemoveAsync(b);

        await Eventually.HoldsAsync("the pods' links, routes, rules, claims and rows to be gone", TimeSpan.FromSeconds(20), async _ =>
        {
            string[] left =
            [
                .. (await cluster.Nodes[0].SnapshotAsync()).LeftOverSince(before[0]), .. (await cluster.Nodes[1].SnapshotAsync()).LeftOverSince(before[1]),
                .. await Rows.AssignedAsync(cluster.Silo), .. (await cluster.Silo.IpamAsync("nodes", "--json")).Split('\n').Where(line => line.Contains("\"onPods\": ", StringComparison.Ordinal) && !line.Contains(": 0", StringComparison.Ordinal)),
            ];
            return left.Length == 0 ? null : string.Join('\n', left);
        });
        var (exitCode, output) = await cluster.CheckCallsAsync();
        Assert.True(exitCode == 0, output);
    }
}
