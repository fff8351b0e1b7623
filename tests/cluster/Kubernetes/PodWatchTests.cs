using AwsVpcCni.Core.Pool;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.Grains;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>From the emulated API server's pods to what the real grains draw.</summary>
public sealed class PodWatchTests
{
    private const string Reads = """[{"apiGroups":[""],"resources":["nodes","pods"],"verbs":["list","watch"]}]""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pods_that_are_bound_are_drawn_for_and_what_they_no_longer_need_is_given_back()
    {
        await using var world = await World.StartAsync();
        for (var pod = 0; pod < 5; pod++)
        {
            world.Bind($"p{pod}");
        }

        world.Bind("on-the-host", """ "hostNetwork":true, """);
        world.Bind("elsewhere", node: "n9");
        await GrainWorld.UntilAsync(world.Executor, orders => orders.Lease.Length == 6, "one for each of the five, and the warm one");

        world.Bind("p0", status: """ "podIP":"10.0.0.9", """); // It has one: by another's rows than these.
        world.Cluster.Api.Objects.Remove(Pods, "default", "p1");
        world.Bind("p2", phase: "Failed");
        await GrainWorld.UntilAsync(world.Executor, orders => orders.Lease.Length == 3, "two, and the warm one");
    }

    [Fact]
    public async Task After_an_outage_of_the_API_server_what_was_bound_meanwhile_is_drawn_for()
    {
        await using var world = await World.StartAsync();
        world.Cluster.Api.GoDown();
        world.Bind("p0");
        world.Cluster.Api.Objects.Compact(); // Its changes are no longer kept: all is listed.
        world.Cluster.Api.ComeUp();
        await GrainWorld.UntilAsync(world.Executor, orders => orders.Lease.Length == 2, "one for the pod, and the warm one");
    }

    private static ResourceType Pods => ResourceType.Of("v1", "Pod")!;

    /// <summary>One node, whose grain is on the only silo, and that silo's watches.</summary>
    private sealed class World : IAsyncDisposable
    {
        private readonly GrainWorld _grains;
        private readonly ApiServer _api;
        private readonly NodeWatch _nodeWatch;
        private readonly PodWatch _podWatch;

        private World(Cluster cluster, GrainWorld grains)
        {
            (Cluster, _grains) = (cluster, grains);
            var settings = cluster.Settings.ToDictionary(setting => setting.Name, setting => setting.Value);
            var options = Options.Create(new KubernetesOptions { Enabled = true, ApiServer = settings["Kubernetes:ApiServer"], TokenPath = settings["Kubernetes:TokenPath"] });
            var nodes = new NodeTable();
            _api = new ApiServer(options);
            _nodeWatch = new NodeWatch(_api, nodes, options, TimeProvider.System, new Random(1), NullLogger<NodeWatch>.Instance);
            _podWatch = new PodWatch(_api, nodes, grains.Metrics, grains.Grains, options, TimeProvider.System, new Random(1), NullLogger<PodWatch>.Instance);
        }

        public Cluster Cluster { get; }

        public FakeExecutor Executor { get; private set; } = null!;

        public static async Task<World> StartAsync()
        {
            var world = new World(await Cluster.StartAsync(), await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 }));
            world.Cluster.Allow(Kubernetes.Cluster.Silo, Reads);
            var instance = world._grains.Launch();
            world.Cluster.Api.PutNode("n1", instance);
            world.Executor = await world._grains.JoinAsync(instance);
            await GrainWorld.UntilAsync(world.Executor, orders => orders.Lease.Length == 1, "the first address");
            await world._nodeWatch.StartAsync(Cancellation);
            await world._podWatch.StartAsync(Cancellation);
            await Kubernetes.Cluster.UntilAsync(() => Task.FromResult(world.Cluster.Api.Calls.Count(call => call.Verb == "watch") == 2), "both watches");
            return world;
        }

        public void Bind(string name, string spec = "", string node = "n1", string phase = "Pending", string status = "") => Cluster.Api.Put(
            $$$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}","namespace":"default"},"spec":{ {{{spec}}} "nodeName":"{{{node}}}"},"status":{ {{{status}}} "phase":"{{{phase}}}"}}""");

        public async ValueTask DisposeAsync()
        {
            await _podWatch.StopAsync(CancellationToken.None);
            await _nodeWatch.StopAsync(CancellationToken.None);
            _podWatch.Dispose();
            _nodeWatch.Dispose();
            _api.Dispose();
            await _grains.DisposeAsync();
            await Cluster.DisposeAsync();
        }
    }
}
