using System.Collections.Immutable;
using System.Text.Json.Nodes;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.KubeletLite;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;
using k8s;
using k8s.Models;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>A cluster with nothing on it: the emulated VPC, the emulated Kubernetes API, nodes; and what its controllers make of the chart.</summary>
internal sealed class ChartCluster : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> parts = []; // In the order of their starts.
    private readonly ClusterSettings settings;
    private readonly HashSet<string> ready = []; // Silos that are, by their nodes' names.
    private int made; // Pods of DaemonSets and Deployments.

    private ChartCluster(ClusterSettings settings, WorkFolder work) => (this.settings, Work) = (settings, work);

    public WorkFolder Work { get; }

    public EmulatorProcess Emulator { get; private set; } = null!;

    public ApiServer Server { get; private set; } = null!;

    public KubeApi Api => Server.Api;

    public ImmutableArray<ChartNode> Nodes { get; private set; } = [];

    /// <summary>Where the first silo is.</summary>
    public ChartNode SilosNode => Nodes[0];

    /// <summary>The silo's pod of each node that has one, by the node's name.</summary>
    public IDictionary<string, RunningPod> Silos { get; } = new SortedDictionary<string, RunningPod>(StringComparer.Ordinal);

    /// <summary>The executor's pod of each node that has one, by the node's name.</summary>
    public IDictionary<string, RunningPod> Executors { get; } = new Dictionary<string, RunningPod>();

    /// <summary>Starts all that is there before an install; images are in the runtimes under both tags.</summary>
    /// <param name="clusterName">As the chart's values have it; null: the tests' usual one.</param>
    /// <param name="silos">On so many of the first nodes, from which alone EC2 is to be reached.</param>
    /// <param name="podSubnetCidr">Of a second CIDR of the VPC; null: there is none.</param>
    /// <param name="isNext">The images under the other tag are of the next build (scripts/next-build.sh); else the same as under the first.</param>
    public static async Task<ChartCluster> StartAsync(string name, ImmutableArray<string> nodes, string otherTag, string? clusterName = null, int silos = 1, string? podSubnetCidr = null, bool isNext = false)
    {
        var settings = new ClusterSettings(name) { Nodes = nodes, NodesWithSilos = silos, PodSubnetCidr = podSubnetCidr };
        settings = clusterName is null ? settings : settings with { ClusterName = clusterName };
        var cluster = new ChartCluster(settings, await WorkFolder.ClaimAsync(name));
        try
        {
            cluster.parts.Add(cluster.Work);
            cluster.parts.Add(cluster.Emulator = await EmulatorProcess.StartAsync(cluster.Work, settings));
            cluster.parts.Add(cluster.Server = await ApiServer.StartAsync(nodes.Select(node => $"{name}-{node}")));
            var addresses = (await cluster.Emulator.StateAsync()).Interfaces.Where(eni => eni.DeviceIndex == 0).ToDictionary(eni => eni.Instance!, eni => eni.Addresses[0]);
            for (var index = 0; index < nodes.Length; index++)
            {
                var node = await ChartNode.StartAsync(cluster.Work, settings, index, addresses[settings.InstanceIdOf(index)], ApiReads.Of(cluster.Server.Client));
                cluster.parts.Add(node);
                cluster.Nodes = cluster.Nodes.Add(node);
                cluster.Report(node, isReady: false);
                await node.LoadImageAsync("node-executor", otherTag, isNext);
                if (index < silos)
                {
                    await node.LoadImageAsync("silo", otherTag, isNext);
                }
            }

            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Step 4 of the quick start: a certificate for the node API, the key for silos alone.</summary>
    public void PrepareAsTheGuideSays(Manifests chart)
    {
        using var authority = new Authority("node-api");
        var (certificate, key) = authority.Issue($"{chart.Single<V1Service>().Metadata.Name}.kube-system.svc");
        Server.PutTlsSecret("node-api", certificate, key);
        Server.PutConfigMap("node-api-ca", "ca.crt", authority.Pem);
    }

    /// <summary>`helm install`, as far as the API server goes, and then the controllers: silos and executors start at the same time, wherever the scheduler lets them. Ends when all are ready.</summary>
    public async Task InstallAsync(Manifests chart)
    {
        Put(chart);
        await Task.WhenAll([.. Nodes.Select(node => StartExecutorAsync(chart, node)), .. NodesWithSilos.Select(node => StartSiloAsync(chart, node))]);
    }

    /// <summary>`helm upgrade`: the silos are replaced one after the other, and then the executors, each ready before the next.</summary>
    /// <param name="whileOneIsAway">Runs when an old silo's pod is gone and the new one is not there yet.</param>
    public async Task UpgradeAsync(Manifests chart, Func<Task> whileOneIsAway)
    {
        Put(chart);
        foreach (var node in NodesWithSilos)
        {
            await StopSiloAsync(chart, node);
            await whileOneIsAway();
            await StartSiloAsync(chart, node);
        }

        foreach (var node in Nodes)
        {
            await StopExecutorAsync(node);
            await StartExecutorAsync(chart, node);
        }
    }

    /// <summary>`helm uninstall`: all that was rendered goes, and so do the pods.</summary>
    public async Task UninstallAsync(Manifests chart)
    {
        foreach (var item in chart.All.Where(item => ResourceType.Of(item.ApiVersion, item.Kind) is not null && item is not V1Pod))
        {
            Api.Objects.Remove(ResourceType.Of(item.ApiVersion, item.Kind)!, item.Metadata.NamespaceProperty, item.Metadata.Name);
        }

        await Task.WhenAll([.. Nodes.Select(StopExecutorAsync), .. NodesWithSilos.Select(node => StopSiloAsync(chart, node))]);
    }

    /// <summary>A pod, such as those of `helm test`, on a node that the scheduler lets it go to.</summary>
    public Task<RunningPod> RunAsync(V1Pod pod, ChartNode node) => RunAsync(Workloads.Of(pod, node.Name), node, isDaemon: false);

    /// <summary>The node's object as the API server has it.</summary>
    public V1Node ObjectOf(ChartNode node) => KubernetesJson.Deserialize<V1Node>(Api.Objects.Get(ResourceType.Of("v1", "Node")!, null, node.Name)!.ToJsonString());

    /// <summary>Until the runtime has a network, which is when its kubelet says that the node is ready.</summary>
    public async Task NodeReadyAsync(ChartNode node)
    {
        await node.Containerd.NetworkReadyAsync();
        Report(node, isReady: true);
    }

    /// <summary>Ends all parts, the last one first.</summary>
    public async ValueTask DisposeAsync()
    {
        List<Exception> failures = [];
        foreach (var part in Enumerable.Reverse(parts))
        {
            try
            {
                await part.DisposeAsync();
            }
            catch (Exception e)
            {
                failures.Add(e);
            }
        }

        if (failures.Count > 0)
        {
            throw new AggregateException("The cluster was not taken down in order.", failures);
        }
    }

    // As a kubelet, which changes its own: what others have written stays.
    private void Report(ChartNode node, bool isReady) => Api.Objects.Change(ResourceType.Of("v1", "Node")!, null, node.Name, before =>
    {
        var now = node.Object(settings.InstanceIdOf(Nodes.IndexOf(node)), isReady);
        if (before?["metadata"]?["annotations"] is { } annotations)
        {
            now["metadata"]!["annotations"] = annotations.DeepClone();
        }

        foreach (var condition in before?["status"]?["conditions"]?.AsArray().Where(one => one!["type"]!.GetValue<string>() != "Ready") ?? [])
        {
            now["status"]!["conditions"]!.AsArray().Add(condition!.DeepClone());
        }

        return now;
    });

    private void Put(Manifests chart)
    {
        foreach (var item in chart.All.Where(item => ResourceType.Of(item.ApiVersion, item.Kind) is not null && item is not V1Pod)) // Pods of `helm test` come when it is asked for.
        {
            Api.Objects.Put(JsonNode.Parse(KubernetesJson.Serialize((object)item))!.AsObject());
        }
    }

    private IEnumerable<ChartNode> NodesWithSilos => Nodes.Take(settings.NodesWithSilos);

    private async Task StartSiloAsync(Manifests chart, ChartNode node)
    {
        var pod = chart.Of<V1Deployment>().SingleOrDefault() is { } deployment
            ? Workloads.Of(deployment, node.Name, Interlocked.Increment(ref made)) : Workloads.Of(chart.Single<V1StatefulSet>(), 0, node.Name);
        var silo = await RunAsync(pod, node, isDaemon: false);
        Change(() => Silos[node.Name] = silo);
        await node.Kubelet.ReadyAsync(silo);
        Change(() => ready.Add(node.Name));

        void Change(Action change)
        {
            lock (Silos)
            {
                change();
                Publish(chart);
            }
        }
    }

    private async Task StopSiloAsync(Manifests chart, ChartNode node)
    {
        RunningPod old;
        lock (Silos)
        {
            old = Silos[node.Name];
            Silos.Remove(node.Name);
            ready.Remove(node.Name);
            Publish(chart);
        }

        await StopAsync(old, node);
    }

    private async Task StartExecutorAsync(Manifests chart, ChartNode node)
    {
        var pod = await RunAsync(Workloads.Of(chart.Single<V1DaemonSet>(), node.Name, Interlocked.Increment(ref made)), node, isDaemon: true);
        await node.Kubelet.ReadyAsync(pod);
        lock (Executors)
        {
            Executors[node.Name] = pod;
        }
    }

    /// <summary>`helm test`: the rendered hook pods, one beside a silo and one on the pod network, end well.</summary>
    public async Task HelmTestsPassAsync(Manifests chart)
    {
        var pods = chart.Of<V1Pod>().OrderBy(pod => pod.Spec.HostNetwork == true).ToArray();
        Assert.Equal([false, true], pods.Select(pod => pod.Spec.HostNetwork == true));
        foreach (var pod in pods)
        {
            var running = await RunAsync(pod, SilosNode);
            var (code, said) = await SilosNode.Kubelet.EndAsync(running);
            Assert.True(code == 0, $"{pod.Metadata.Name}: {said}");
            await SilosNode.Kubelet.StopAsync(running);
        }
    }

    private async Task StopExecutorAsync(ChartNode node)
    {
        await StopAsync(Executors[node.Name], node);
        lock (Executors)
        {
            Executors.Remove(node.Name);
        }
    }

    private async Task<RunningPod> RunAsync(V1Pod pod, ChartNode node, bool isDaemon)
    {
        if (Scheduling.WhyNot(pod.Spec, ObjectOf(node), isDaemon) is { } why)
        {
            throw new InvalidOperationException($"{pod.Metadata.Name} is not let onto {node.Name}: {why}");
        }

        var stored = Api.Objects.Put(JsonNode.Parse(KubernetesJson.Serialize(pod))!.AsObject()); // It gets its UID there.
        return await node.Kubelet.StartAsync(KubernetesJson.Deserialize<V1Pod>(stored.ToJsonString()));
    }

    private async Task StopAsync(RunningPod pod, ChartNode node)
    {
        await node.Kubelet.StopAsync(pod);
        Api.Objects.Remove(ResourceType.Of("v1", "Pod")!, pod.Pod.Metadata.NamespaceProperty, pod.Pod.Metadata.Name);
    }

    private void Publish(Manifests chart) => Api.Objects.Put(JsonNode.Parse(KubernetesJson.Serialize(
        Workloads.EndpointsOf(chart.Single<V1Service>(), Silos.Select(silo => (silo.Value, ready.Contains(silo.Key))))))!.AsObject());
}
