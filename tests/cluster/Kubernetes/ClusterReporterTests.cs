using System.Text.Json.Nodes;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.Grains;
using AwsVpcCni.Tests.Cluster.NodeApi;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>What a silo tells the cluster of its nodes, on the emulated API server, which lets it do what the chart's role does.</summary>
public sealed class ClusterReporterTests
{
    private const string Writes = """[{"apiGroups":[""],"resources":["nodes"],"verbs":["list","watch","patch"]},{"apiGroups":[""],"resources":["nodes/status"],"verbs":["patch"]},{"apiGroups":[""],"resources":["events"],"verbs":["create","patch"]}]""";
    private static readonly PodName Web = new("shop", "web-0", "uid-of-web-0");
    private static readonly Reason Dry = new(ReasonCode.SubnetEmpty, "subnet-a has no free address; i-00000001 holds most.");
    private static readonly Reason Full = new(ReasonCode.NodeFull, "3 interfaces x (10 - 1) addresses: all are on pods.");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_pod_that_waits_has_one_event_whose_count_goes_up_ever_more_seldom()
    {
        await using var world = await World.StartAsync();
        world.Is(waiting: [Waiting(Web, Full)]);
        await world.PassAsync(TimeSpan.Zero);
        Assert.Empty(world.Events("shop")); // It may pass.

        await world.PassAsync(TimeSpan.FromSeconds(10));
        var first = Assert.Single(world.Events("shop"));
        Assert.Equal(("NodeFull", Full.Text, "Warning", 1), (Text(first["reason"]), Text(first["message"]), Text(first["type"]), first["count"]!.GetValue<int>()));
        Assert.Equal(("Pod", "web-0", "shop", "uid-of-web-0"), (Text(first["involvedObject"]?["kind"]), Text(first["involvedObject"]?["name"]), Text(first["involvedObject"]?["namespace"]), Text(first["involvedObject"]?["uid"])));

        world.Is(waiting: [Waiting(Web, Full with { Text = "27 of 27." })]);
        for (var passes = 0; passes < 12 * 30; passes++)
        {
            await world.PassAsync(ClusterReporter.Period);
        }

        var last = Assert.Single(world.Events("shop")); // After half a minute, then twice as long each time; the seventh after half an hour.
        Assert.Equal((6, "27 of 27."), (last["count"]!.GetValue<int>(), Text(last["message"])));
        Assert.Equal(Text(first["metadata"]?["name"]), Text(last["metadata"]?["name"]));
        Assert.Equal(12, world.Written("events")); // And as many of its node.
        Assert.Equal(Text(first["firstTimestamp"]), Text(last["firstTimestamp"]));
    }

    [Fact]
    public async Task What_comes_and_goes_is_counted_no_more_often_than_what_stays()
    {
        await using var world = await World.StartAsync();
        for (var passes = 0; passes < 12 * 7; passes++)
        {
            world.Is(waiting: passes % 2 == 0 ? [Waiting(Web, Full)] : []);
            await world.PassAsync(ClusterReporter.Period);
        }

        Assert.InRange(Assert.Single(world.Events("shop"))["count"]!.GetValue<int>(), 3, 4);
    }

    [Fact] // Events live for an hour.
    public async Task An_event_that_the_api_server_has_forgotten_is_made_anew()
    {
        await using var world = await World.StartAsync();
        world.Is(waiting: [Waiting(Web, Full)]);
        await world.PassAsync(TimeSpan.Zero);
        await world.PassAsync(TimeSpan.FromSeconds(10));
        await world.PassAsync(TimeSpan.FromMinutes(1));
        var second = Assert.Single(world.Events("shop"));
        Assert.Equal(2, second["count"]!.GetValue<int>());

        Assert.True(world.Cluster.Api.Objects.Remove(ResourceType.Of("v1", "Event")!, "shop", Text(second["metadata"]?["name"])!));
        await world.PassAsync(TimeSpan.FromMinutes(2));
        Assert.Equal(1, Assert.Single(world.Events("shop"))["count"]!.GetValue<int>());
    }

    [Fact] // F10: where people and other programs look, and it is taken back by itself.
    public async Task A_node_that_can_give_no_pod_an_address_says_so_until_it_can()
    {
        await using var world = await World.StartAsync();
        world.Is(ready: 3, trouble: Dry);
        await world.PassAsync(TimeSpan.Zero);
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Null(world.Condition()); // It has some.
        Assert.Equal(0, world.Written("nodes/status"));

        world.Is(ready: 0, trouble: Dry);
        await world.PassAsync(TimeSpan.Zero);
        Assert.Null(world.Condition());
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(("True", "SubnetEmpty", Dry.Text), (Text(world.Condition()?["status"]), Text(world.Condition()?["reason"]), Text(world.Condition()?["message"])));
        await world.SeenAsync(known => known.Mark?.Status == "True");
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(1, world.Written("nodes/status"));

        world.Is(ready: 0, waiting: [Waiting(Web, Full)]); // Another cause.
        await world.PassAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("SubnetEmpty", Text(world.Condition()?["reason"])); // They may take turns.
        await world.PassAsync(TimeSpan.FromSeconds(20));
        Assert.Equal("NodeFull", Text(world.Condition()?["reason"]));
        await world.SeenAsync(known => known.Mark?.Reason == "NodeFull");

        world.Is(ready: 1);
        await world.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Equal("True", Text(world.Condition()?["status"])); // It may be gone at once.
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(("False", "AddressesAvailable"), (Text(world.Condition()?["status"]), Text(world.Condition()?["reason"])));
        var events = world.Events("default"); // Of the Node.
        Assert.Equal(["NodeFull", "SubnetEmpty"], events.Select(one => Text(one["reason"])).Distinct().Order());
        Assert.Equal((Tests.Cluster.Kubernetes.Cluster.NodeName, world.Cluster.NodeUid), (Text(events[0]["involvedObject"]?["name"]), Text(events[0]["involvedObject"]?["uid"])));
    }

    [Fact]
    public async Task What_comes_by_itself_and_what_passes_within_seconds_is_no_condition()
    {
        await using var world = await World.StartAsync();
        for (var passes = 0; passes < 24; passes++)
        {
            world.Is(ready: passes % 2, trouble: Dry);
            await world.PassAsync(ClusterReporter.Period);
        }

        world.Is(ready: 0, waiting: [Waiting(Web, new Reason(ReasonCode.Cooling, "4 addresses cool down."))]);
        await world.PassAsync(TimeSpan.FromSeconds(10));
        await world.PassAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(0, world.Written("nodes/status"));
    }

    [Fact] // The watch is away, or slow.
    public async Task What_was_written_is_not_written_again_before_the_watch_has_had_time_to_show_it()
    {
        await using var world = await World.StartAsync();
        await world.StopWatchAsync();
        world.Is(ready: 0, trouble: Dry, maxPods: 29);
        for (var passes = 0; passes < 12; passes++)
        {
            await world.PassAsync(ClusterReporter.Period);
        }

        Assert.Equal((1, 1), (world.Written("nodes/status"), world.Written("nodes")));
    }

    [Fact] // Kubelet asks again while its first ADD still waits.
    public async Task Two_sandboxes_of_a_pod_are_one_event_of_it()
    {
        await using var world = await World.StartAsync();
        world.Is(waiting: [Waiting(Web, Full), Waiting(Web, Full) with { Sandbox = new SandboxKey("again", "eth0") }]);
        await world.PassAsync(TimeSpan.Zero);
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(1, Assert.Single(world.Events("shop"))["count"]!.GetValue<int>());
    }

    [Theory] // An executor says whatever it likes.
    [InlineData("shop/pods/x", "web-0")]
    [InlineData("", "web-0")]
    [InlineData("shop", "Web")]
    [InlineData("shop", "../nodes")]
    public async Task Of_a_pod_whose_name_none_can_have_nothing_is_told(string ns, string name)
    {
        await using var world = await World.StartAsync();
        world.Is(waiting: [Waiting(new PodName(ns, name, ""), Full), Waiting(Web, Full)]);
        await world.PassAsync(TimeSpan.Zero);
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Single(world.Events("shop"));
        Assert.DoesNotContain(world.Cluster.Api.Calls, call => call.Status >= 400);
    }

    [Fact] // Every place taken, and nobody waits: as max-pods wants it.
    public async Task A_full_node_without_waiting_pods_is_fine()
    {
        await using var world = await World.StartAsync();
        world.Is(ready: 0);
        await world.PassAsync(TimeSpan.Zero);
        await world.PassAsync(TimeSpan.FromMinutes(1));

        Assert.Null(world.Condition());
        Assert.Empty(world.Events("default"));
    }

    [Fact]
    public async Task How_many_pods_a_node_can_run_is_its_annotation_and_written_once()
    {
        await using var world = await World.StartAsync();
        world.Is(ready: 1, maxPods: 0); // Its type is not known yet.
        await world.PassAsync(TimeSpan.Zero);
        Assert.Null(world.MaxPods());

        world.Is(ready: 1, maxPods: 29);
        await world.PassAsync(TimeSpan.Zero);
        Assert.Equal("29", world.MaxPods());
        await world.SeenAsync(known => known.MaxPods == "29");
        await world.PassAsync(TimeSpan.FromMinutes(1));
        Assert.Equal(1, world.Written("nodes"));

        world.Is(ready: 1, maxPods: 11); // EC2 has refused an interface.
        await world.PassAsync(TimeSpan.Zero);
        Assert.Equal("11", world.MaxPods());
    }

    [Fact]
    public async Task A_pod_whose_address_somebody_has_taken_and_a_node_that_gives_to_others_are_told_of()
    {
        await using var world = await World.StartAsync();
        var recall = new Recall("subnet-a", 4, world.Time.GetUtcNow());
        world.Is(ready: 1, lost: [new LostAddress(Ip.Parse("10.0.0.9"), Web)], recall: recall);
        await world.PassAsync(TimeSpan.Zero);
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Contains("10.0.0.9", Text(Assert.Single(world.Events("shop"))["message"]), StringComparison.Ordinal);
        var recalled = Assert.Single(world.Events("default"));
        Assert.Equal(("AddressesRecalled", "Normal"), (Text(recalled["reason"]), Text(recalled["type"])));

        await world.PassAsync(TimeSpan.FromMinutes(5)); // The same one.
        Assert.Equal(1, Assert.Single(world.Events("default"))["count"]!.GetValue<int>());
        world.Is(ready: 1, recall: recall with { At = world.Time.GetUtcNow() });
        await world.PassAsync(TimeSpan.Zero);
        Assert.Equal(2, Assert.Single(world.Events("default"))["count"]!.GetValue<int>());
    }

    [Fact]
    public async Task With_the_api_server_away_nothing_is_lost_that_still_holds()
    {
        await using var world = await World.StartAsync();
        world.Is(ready: 0, waiting: [Waiting(Web, Full)]);
        await world.PassAsync(TimeSpan.Zero);
        world.Cluster.Api.GoDown();
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Empty(world.Events("shop"));

        world.Cluster.Api.ComeUp();
        await world.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Single(world.Events("shop"));
        Assert.Equal("True", Text(world.Condition()?["status"]));
    }

    [Fact]
    public async Task What_the_cluster_does_not_permit_is_left_for_five_minutes_and_the_rest_is_told()
    {
        await using var world = await World.StartAsync("""[{"apiGroups":[""],"resources":["nodes"],"verbs":["list","watch","patch"]},{"apiGroups":[""],"resources":["nodes/status"],"verbs":["patch"]}]""");
        world.Is(ready: 0, waiting: [Waiting(Web, Full)], maxPods: 29);
        await world.PassAsync(TimeSpan.Zero);
        await world.PassAsync(TimeSpan.FromSeconds(10));
        await world.PassAsync(TimeSpan.FromMinutes(1));
        Assert.Equal("True", Text(world.Condition()?["status"]));
        Assert.Equal("29", world.MaxPods());
        Assert.Single(world.Cluster.Api.Calls, call => call is { Resource: "events", Status: 403 });

        world.Cluster.Allow(Tests.Cluster.Kubernetes.Cluster.Silo, Writes);
        await world.PassAsync(TimeSpan.FromMinutes(5));
        Assert.Equal(1, Assert.Single(world.Events("shop"))["count"]!.GetValue<int>());
    }

    [Fact]
    public async Task Many_at_once_are_told_in_their_turn()
    {
        await using var world = await World.StartAsync();
        for (var node = 0; node < 60; node++)
        {
            world.Metrics.Is(new NodeNow($"i-{node:x17}", [Waiting(new PodName("shop", $"web-{node}", ""), Dry)], null, 0, 29, [], null)); // No Node object of these.
        }

        await world.PassAsync(TimeSpan.Zero);
        await world.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(25, world.Events("shop").Count);
        await world.PassAsync(TimeSpan.FromSeconds(5));
        await world.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(60, world.Events("shop").Count);
        Assert.All(world.Events("shop"), one => Assert.Equal(1, one["count"]!.GetValue<int>()));
    }

    private static WaitingPod Waiting(PodName pod, Reason why) => new(Door.Node, new SandboxKey(pod.Name, "eth0"), pod, 12, why);

    private static string? Text(JsonNode? node) => node?.GetValue<string>();

    /// <summary>One silo's reporter, its clock, and one node whose grain is there.</summary>
    private sealed class World : IAsyncDisposable
    {
        private readonly NodeTable _nodes = new();
        private readonly ApiServer _api;
        private readonly NodeWatch _watch;
        private readonly ClusterReporter _reporter;

        private World(Cluster cluster)
        {
            Cluster = cluster;
            var settings = cluster.Settings.ToDictionary(setting => setting.Name, setting => setting.Value);
            var options = Options.Create(new KubernetesOptions { Enabled = true, ApiServer = settings["Kubernetes:ApiServer"], TokenPath = settings["Kubernetes:TokenPath"] });
            _api = new ApiServer(options);
            _watch = new NodeWatch(_api, _nodes, options, TimeProvider.System, new Random(1), NullLogger<NodeWatch>.Instance);
            _reporter = new ClusterReporter(_api, _nodes, Metrics, options, Time, new Random(1), NullLogger<ClusterReporter>.Instance);
        }

        public Cluster Cluster { get; }

        public NodeMetrics Metrics { get; } = new();

        public ShiftedTime Time { get; } = new();

        public static async Task<World> StartAsync(string rules = Writes)
        {
            var world = new World(await Cluster.StartAsync());
            world.Cluster.Allow(Kubernetes.Cluster.Silo, rules);
            await world._watch.StartAsync(Cancellation);
            await Kubernetes.Cluster.UntilAsync(() => Task.FromResult(world._nodes.IsFilled), "the nodes");
            return world;
        }

        public void Is(int ready = 0, Reason? trouble = null, WaitingPod[]? waiting = null, int maxPods = 0, LostAddress[]? lost = null, Recall? recall = null) =>
            Metrics.Is(new NodeNow(Door.Node, [.. waiting ?? []], trouble, ready, maxPods, [.. lost ?? []], recall));

        public Task PassAsync(TimeSpan later)
        {
            Time.Shift(later);
            return _reporter.PassAsync(Cancellation);
        }

        public Task StopWatchAsync() => _watch.StopAsync(Cancellation);

        /// <summary>Once the silo's watch has it.</summary>
        public Task SeenAsync(Func<KnownNode, bool> isSo) => Kubernetes.Cluster.UntilAsync(() => Task.FromResult(_nodes.OfInstance(Door.Node) is { } known && isSo(known)), "the watch to see it");

        public IReadOnlyList<JsonObject> Events(string ns) => [.. Cluster.Api.Objects.List(ResourceType.Of("v1", "Event")!, ns).Items.Select(entry => entry.Item)];

        public JsonNode? Condition() => Node()["status"]?["conditions"]?.AsArray().FirstOrDefault(condition => Text(condition?["type"]) == NodeMarks.Condition);

        public string? MaxPods() => Text(Node()["metadata"]?["annotations"]?[NodeMarks.MaxPods]);

        public int Written(string resource) => Cluster.Api.Calls.Count(call => call.Resource == resource && call.Verb is ("create" or "patch"));

        public async ValueTask DisposeAsync()
        {
            await _watch.StopAsync(CancellationToken.None);
            _watch.Dispose();
            _reporter.Dispose();
            _api.Dispose();
            Metrics.Dispose();
            await Cluster.DisposeAsync();
        }

        private JsonObject Node() => Cluster.Api.Objects.Get(ResourceType.Of("v1", "Node")!, null, Kubernetes.Cluster.NodeName)!;
    }
}
