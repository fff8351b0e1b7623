using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>How the silo follows the cluster's nodes, on the emulated API server.</summary>
public sealed class NodeWatchTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nodes_that_come_change_and_go_are_followed()
    {
        await using var cluster = await Cluster.StartAsync();
        var nodes = new NodeTable();
        using var watch = await WatchAsync(cluster, nodes);

        var uid = cluster.Api.PutNode("n2", "i-00000002");
        await Cluster.UntilAsync(() => Task.FromResult(nodes.InstanceOf("n2", uid, out _) == "i-00000002"), "the node that came");
        cluster.Api.Objects.Remove(KubeEmulator.ResourceType.All[0], null, "n2");
        await Cluster.UntilAsync(() => Task.FromResult(nodes.InstanceOf("n2", uid, out _) is null && nodes.OfInstance("i-00000002") is null), "the node that went");
        Assert.Equal(Cluster.NodeName, Assert.Single(nodes.All).Name);
    }

    [Fact]
    public async Task After_an_outage_the_watch_goes_on_where_it_was_without_a_list()
    {
        await using var cluster = await Cluster.StartAsync();
        var nodes = new NodeTable();
        using var watch = await WatchAsync(cluster, nodes);

        cluster.Api.GoDown();
        var uid = cluster.Api.PutNode("n2", "i-00000002"); // Unseen.
        cluster.Api.ComeUp();

        await Cluster.UntilAsync(() => Task.FromResult(nodes.InstanceOf("n2", uid, out _) is not null), "what came in the outage");
        Assert.Equal(1, Lists(cluster));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task When_the_changes_are_no_longer_kept_the_nodes_are_listed_again_once(bool byStatus)
    {
        await using var cluster = await Cluster.StartAsync();
        cluster.Api.SaysGoneByStatus = byStatus;
        var nodes = new NodeTable();
        using var watch = await WatchAsync(cluster, nodes);

        cluster.Api.GoDown();
        cluster.Api.Objects.Remove(KubeEmulator.ResourceType.All[0], null, Cluster.NodeName);
        var uid = cluster.Api.PutNode("n2", "i-00000002");
        cluster.Api.Objects.Compact();
        cluster.Api.ComeUp();

        await Cluster.UntilAsync(() => Task.FromResult(nodes.InstanceOf("n2", uid, out _) is not null), "the list of after the compaction");
        Assert.Equal("n2", Assert.Single(nodes.All).Name); // What went unseen is gone, too.
        Assert.Equal(2, Lists(cluster));
    }

    private static int Lists(Cluster cluster) => cluster.Api.Calls.Count(call => call is { Resource: "nodes", Verb: "list" });

    private static async Task<IDisposable> WatchAsync(Cluster cluster, NodeTable nodes)
    {
        var settings = cluster.Settings.ToDictionary(setting => setting.Name, setting => setting.Value);
        var options = Options.Create(new KubernetesOptions { Enabled = true, ApiServer = settings["Kubernetes:ApiServer"], TokenPath = settings["Kubernetes:TokenPath"] });
        var watch = new NodeWatch(new ApiServer(options), nodes, options, TimeProvider.System, new Random(1), NullLogger<NodeWatch>.Instance);
        await watch.StartAsync(Cancellation);
        await Cluster.UntilAsync(() => Task.FromResult(nodes.IsFilled), "the first list");
        return watch;
    }
}
