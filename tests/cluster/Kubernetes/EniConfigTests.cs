using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.Grains;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>From the emulated API server's nodes and ENIConfigs to what the real grains make in EC2.</summary>
public sealed class EniConfigTests
{
    private const string Reads = """[{"apiGroups":[""],"resources":["nodes"],"verbs":["list","watch"]},{"apiGroups":["crd.k8s.amazonaws.com"],"resources":["eniconfigs"],"verbs":["list","watch"]}]""";
    private static readonly PoolPolicy Custom = new() { WarmIps = 1, CustomNetworking = true };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_node_follows_its_ENIConfig_when_it_comes_changes_and_goes()
    {
        await using var world = await World.StartAsync(Custom);
        var executor = await world.JoinAsync();
        Assert.Contains("ENIConfig default, which does not exist, names none", await World.WhyAsync(executor), StringComparison.Ordinal);

        world.Cluster.Api.Put("""{"apiVersion":"crd.k8s.amazonaws.com/v1alpha1","kind":"ENIConfig","metadata":{"name":"another"},"spec":{"subnet":"subnet-a","securityGroups":"sg-1"}}"""); // Not a list.
        world.Put("default", "subnet-b");
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address of subnet-b");
        Assert.Equal(("subnet-b", "sg-1"), world.Newest());

        world.Put("default", "subnet-b", "sg-2");
        await GrainWorld.UntilAsync(executor, _ => world.Newest() == ("subnet-b", "sg-2"), "its group");

        world.Put("default", "subnet-a", "sg-2");
        await GrainWorld.UntilAsync(executor, _ => world.Newest() == ("subnet-a", "sg-2"), "an interface in the other subnet");

        world.Cluster.Api.Objects.Remove(ResourceType.Of("crd.k8s.amazonaws.com/v1alpha1", "ENIConfig")!, null, "default");
        await GrainWorld.UntilAsync(executor, _ => world.PolicyText().Contains("ENIConfig default, which does not exist", StringComparison.Ordinal), "the silo to know that it is gone");
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Any(one => one.Address.ToString().StartsWith("10.0.0.", StringComparison.Ordinal)), "what there is to serve on");
    }

    [Fact]
    public async Task Operators_turn_it_on_at_run_time_for_the_nodes_with_a_label()
    {
        await using var world = await World.StartAsync(new PoolPolicy { WarmIps = 1 }, """ "pool":"gpu" """);
        var executor = await world.JoinAsync();
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address of its own subnet");
        Assert.DoesNotContain(world.Cluster.Api.Calls, call => call.Resource == "eniconfigs");

        world.Put("default", "subnet-b");
        await world.ChangeAsync(new PolicyChange(0, "label:pool=gpu", Custom, "ada", "a test"));
        await GrainWorld.UntilAsync(executor, _ => executor.Leased.Any(address => address.ToString().StartsWith("10.0.16.", StringComparison.Ordinal)), "an address of subnet-b");
    }

    /// <summary>One node, and a silo's watches and policy over real grains.</summary>
    private sealed class World : IAsyncDisposable
    {
        private readonly ApiServer _api;
        private readonly NodeWatch _nodeWatch;
        private readonly EniConfigWatch _configWatch;
        private readonly PolicyFollower _follower;
        private string _instance = "";

        private World(Cluster cluster, GrainWorld grains)
        {
            (Cluster, Grains) = (cluster, grains);
            var settings = cluster.Settings.ToDictionary(setting => setting.Name, setting => setting.Value);
            var options = Options.Create(new KubernetesOptions { Enabled = true, ApiServer = settings["Kubernetes:ApiServer"], TokenPath = settings["Kubernetes:TokenPath"] });
            var (nodes, configs) = (new NodeTable(), new EniConfigTable());
            _api = new ApiServer(options);
            _nodeWatch = new NodeWatch(_api, nodes, options, TimeProvider.System, new Random(1), NullLogger<NodeWatch>.Instance);
            _configWatch = new EniConfigWatch(_api, configs, grains.Settings, options, TimeProvider.System, new Random(1), NullLogger<EniConfigWatch>.Instance);
            var pool = new ConfigureOptions<PoolOptions>(it => (it.WarmIps, it.CustomNetworking) = (1, grains.Settings.Pool.CustomNetworking));
            _follower = new PolicyFollower(
                new ConfigurationBuilder().Build(), new OptionsFactory<PoolOptions>([pool], []), grains.Grains, grains.Settings, TimeProvider.System, NullLogger<PolicyFollower>.Instance, new NodePolicies(nodes, configs, options));
        }

        public Cluster Cluster { get; }

        public GrainWorld Grains { get; }

        public static async Task<World> StartAsync(PoolPolicy policy, string labels = "")
        {
            var world = new World(await Cluster.StartAsync(), await GrainWorld.StartAsync(policy));
            world.Cluster.Allow(Kubernetes.Cluster.Silo, Reads);
            world._instance = world.Grains.Launch();
            world.Cluster.Api.Put($$$"""{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1","labels":{ {{{labels}}} }},"spec":{"providerID":"aws:///eu-west-1a/{{{world._instance}}}"}}""");
            await world._follower.StartAsync(Cancellation);
            await world._nodeWatch.StartAsync(Cancellation);
            await world._configWatch.StartAsync(Cancellation);
            return world;
        }

        /// <summary>As the API does.</summary>
        public async Task ChangeAsync(PolicyChange change) => _follower.Follow((await Grains.Grains.GetGrain<IClusterGrain>("test").ChangeAsync(change)).Now);

        public Task<FakeExecutor> JoinAsync() => Grains.JoinAsync(_instance);

        /// <summary>Why a pod waits for its first address.</summary>
        public static async Task<string> WhyAsync(FakeExecutor executor)
        {
            var text = "";
            await GrainWorld.UntilAsync(executor, async _ => await executor.AddAsync("waits") is AssignReply.NotYet { Why: { Code: ReasonCode.SubnetExcluded } why } && (text = why.Text).Contains("exist", StringComparison.Ordinal), "the reason");
            return text;
        }

        public void Put(string name, string subnet, params string[] groups) => Cluster.Api.Put(
            $$$"""{"apiVersion":"crd.k8s.amazonaws.com/v1alpha1","kind":"ENIConfig","metadata":{"name":"{{{name}}}"},"spec":{"subnet":"{{{subnet}}}","securityGroups":[{{{string.Join(',', groups.Select(group => $"\"{group}\""))}}}]}}""");

        /// <summary>Of the interface that was made last: its subnet and its groups.</summary>
        public (string Subnet, string Groups) Newest() => Grains.Ec2.ByHand(vpc => vpc.Enis.Where(eni => eni.Attachment?.DeviceIndex > 0).OrderBy(eni => eni.Attachment!.DeviceIndex).Select(eni => (eni.Subnet.Id, string.Join(',', eni.Groups))).LastOrDefault());

        public string PolicyText() => Grains.Settings.PolicyOf(_instance).ToString();

        public async ValueTask DisposeAsync()
        {
            foreach (var part in new Microsoft.Extensions.Hosting.BackgroundService[] { _configWatch, _nodeWatch, _follower })
            {
                await part.StopAsync(CancellationToken.None);
                part.Dispose();
            }

            _api.Dispose();
            await Grains.DisposeAsync();
            await Cluster.DisposeAsync();
        }
    }
}
