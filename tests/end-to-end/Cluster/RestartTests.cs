using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Pods go on while silo and executor are killed and come back.</summary>
public sealed class RestartTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Pods_keep_address_and_connection_when_silo_and_executor_are_killed_and_nothing_is_left_in_the_end()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcrestart"));
        var (a, b) = (cluster.Nodes[0], cluster.Nodes[1]);
        var before = new[] { await a.SnapshotAsync(), await b.SnapshotAsync() };
        var heartbeat = await Heartbeat.StartAsync(a.Cri, b.Cri);
        var (server, client) = (heartbeat.Server, heartbeat.Client);
        var rows = await Rows.AssignedAsync(cluster.Silo);

        await cluster.Silo.KillAsync();
        await heartbeat.GoesOnAsync();
        var withoutSilo = await a.Cri.RunPodAsync("without-silo"); // From the lease.
        Assert.Contains("2 packets received", await b.Cri.ExecAsync(client, "ping", "-c", "2", "-W", "5", withoutSilo.Address), StringComparison.Ordinal);
        await cluster.Silo.StartAsync();
        await Eventually.HoldsAsync("the row of the pod that was started without a silo", Patience, async _ =>
            (await Rows.AssignedAsync(cluster.Silo)) is var now && now.Any(row => row.Contains($" {withoutSilo.Address} ", StringComparison.Ordinal)) ? null : string.Join('\n', now));

        await a.KillExecutorAsync();
        await heartbeat.GoesOnAsync();
        a.StartExecutor();
        await a.ServableAsync();
        await heartbeat.GoesOnAsync();
        var after = await a.Cri.RunPodAsync("after");

        Assert.Equal((server.Address, client.Address), (await a.Cri.AddressAsync(server.Sandbox), await b.Cri.AddressAsync(client.Sandbox)));
        Assert.Empty(rows.Except(await Rows.AssignedAsync(cluster.Silo)));
        Assert.Equal(4, new[] { server.Address, client.Address, withoutSilo.Address, after.Address }.Distinct().Count());

        foreach (var pod in new[] { server, withoutSilo, after })
        {
            await a.Cri.StopAndRemoveAsync(pod);
        }

        await b.Cri.StopAndRemoveAsync(client);
        await Eventually.HoldsAsync("links, routes, rules and rows to be gone", Patience, async _ =>
        {
            string[] left = [.. (await a.SnapshotAsync()).LeftOverSince(before[0]), .. (await b.SnapshotAsync()).LeftOverSince(before[1]), .. await Rows.AssignedAsync(cluster.Silo)];
            return left.Length == 0 ? null : string.Join('\n', left);
        });
    }

    [Fact]
    public async Task A_lost_store_is_rebuilt_from_EC2_and_the_executors_and_no_pod_notices()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avclost"));
        var node = cluster.Nodes[0];
        var pod = await node.Cri.RunPodAsync("pod");
        var rows = await Rows.AssignedAsync(cluster.Silo);

        await cluster.Silo.KillAsync();
        foreach (var file in Directory.EnumerateFiles(Path.GetDirectoryName(cluster.Silo.Database)!, "silo.db*"))
        {
            File.Delete(file);
        }

        await cluster.Silo.StartAsync();
        await Eventually.HoldsAsync("the row of the pod to be there again", Patience, async _ =>
            await Rows.AssignedAsync(cluster.Silo) is var now && rows.SequenceEqual(now) ? null : string.Join('\n', now));
        var other = await node.Cri.RunPodAsync("other");

        Assert.Equal(pod.Address, await node.Cri.AddressAsync(pod.Sandbox));
        Assert.NotEqual(pod.Address, other.Address);
        Assert.Contains("2 packets received", await node.Cri.ExecAsync(pod, "ping", "-c", "2", "-W", "5", other.Address), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_DEL_while_the_executor_is_down_succeeds_and_its_next_start_cleans_up()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcdeldown") { Nodes = ["nodea"] });
        var node = cluster.Nodes[0];
        var before = await node.SnapshotAsync();
        var pod = await node.Cri.RunPodAsync("pod");

        await node.KillExecutorAsync();
        await node.Cri.StopAndRemoveAsync(pod);
        node.StartExecutor();

        await Eventually.HoldsAsync("rules and row of the pod to be gone", Patience, async _ =>
        {
            string[] left = [.. (await node.SnapshotAsync()).LeftOverSince(before), .. await Rows.AssignedAsync(cluster.Silo)];
            return left.Length == 0 ? null : string.Join('\n', left);
        });
    }
}
