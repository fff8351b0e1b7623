using System.Globalization;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.KubeletLite;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Images;
using AwsVpcCni.VpcEmulator.Fabric;
using AwsVpcCni.VpcEmulator.Model;
using k8s;
using k8s.Models;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>The chart as a cluster runs it: Helm renders it, kubelet-lite turns its pods into calls of containerd, and the images are the shipped ones.</summary>
/// <remarks>
/// What stands for something else: nodes are network namespaces of one kernel, and folders for their file systems; the API server is kube-emulator, with the rendered Roles
/// enforced; scheduler and controllers are a few lines (ChartCluster), one order of many; EC2 is the emulator, reached with keys from <c>silo.extraEnv</c> in place of Pod Identity.
/// What is not there: a real kubelet (restarts, liveness probes, token renewal, evictions), Helm's own install and its hooks, SELinux and AppArmor, <c>oom_score_adj</c>, other builds of the images.
/// </remarks>
public sealed class ChartTests
{
    private const string Tag = "test", OtherTag = "next";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_cluster_is_installed_upgraded_and_back_and_uninstalled_and_its_pods_go_on()
    {
        await ShippedImage.MadeOrSkipAsync();
        var (chart, next) = (await Helm.RenderOrSkipAsync(Tag), await Helm.RenderOrSkipAsync(OtherTag));
        await using var cluster = await ChartCluster.StartAsync("avcchart", ["nodea", "nodeb"], OtherTag);
        var (a, b) = (cluster.Nodes[0], cluster.Nodes[1]);
        var onThePodNetwork = chart.Of<V1Pod>().Single(pod => pod.Spec.HostNetwork != true); // Of `helm test`.

        // Before: no network, so pods of the pod network are let on no node.
        Assert.NotNull(await a.Cri.WhyNotReadyAsync(network: true, TestContext.Current.CancellationToken));
        Assert.Contains("not-ready", (await Assert.ThrowsAsync<InvalidOperationException>(() => cluster.RunAsync(onThePodNetwork, a))).Message, StringComparison.Ordinal);
        cluster.PrepareAsTheGuideSays(chart);

        await InstalledBeforeItsRoleIsRightAsync(cluster, chart);
        foreach (var node in cluster.Nodes)
        {
            await cluster.NodeReadyAsync(node);
            Assert.True(File.Exists(node.PathOf("/opt/cni/bin/aws-vpc-cni")) && File.Exists(node.PathOf("/etc/cni/net.d/10-aws.conflist")));
        }

        var pod = await b.Cri.RunPodAsync("pod");
        var pings = await Pings.StartAsync(a.Cri, pod.Address);
        await OperatorsAreAnsweredAsync(cluster, pod);
        await WhoHasNoRightIsRefusedOnTheHealthPortAsync(cluster, chart);
        await LivenessProbesAreAnsweredAsync(cluster);
        await cluster.HelmTestsPassAsync(chart);
        await Eventually.HoldsAsync("what EC2 goes on refusing to be counted in its event", TimeSpan.FromSeconds(90), _ => Task.FromResult(NodeEvents(cluster).Any(one => one.Count > 1) ? null : "each told once"));

        await PodsThatAreBoundAreDrawnForAsync(cluster);
        foreach (var (to, number) in new[] { (next, 1), (chart, 2) })
        {
            await cluster.UpgradeAsync(to, whileOneIsAway: async () => await b.Cri.RunPodAsync($"without-silo-{number}"));
            Assert.Equal(ShippedImage.NameOf("node-executor", number == 1 ? OtherTag : Tag), cluster.Executors["nodeb"].Pod.Spec.Containers[0].Image);
            await pings.GoesOnAsync();
            Assert.Contains("1 packets received", await a.Cri.ExecAsync(pings.Pod, "ping", "-c", "1", "-W", "5", (await b.Cri.RunPodAsync($"after-{number}")).Address), StringComparison.Ordinal);
        }

        OnlyWhatIsGrantedIsAskedAndAllOfIt(cluster, chart);
        Assert.Equal(("0", "0"), (await a.DnsPacketsAsync(), await b.DnsPacketsAsync())); // There is no DNS, and nobody has asked for it.

        await cluster.UninstallAsync(chart);
        await pings.GoesOnAsync();
        Assert.Equal(pod.Address, await b.Cri.AddressAsync(pod.Sandbox));
        await WhatTheGuideNamesStaysAsync(a);
        Assert.Contains("executor", (await Assert.ThrowsAsync<Grpc.Core.RpcException>(() => a.Cri.RunPodAsync("too-late"))).Status.Detail, StringComparison.Ordinal);
        var (sent, answered) = await pings.EndAsync();
        Assert.InRange(sent - answered, 0, 1);
    }

    /// <summary>Row 21 of the acceptance list: EC2 refuses the silo's calls, and the cluster says which it is, where people look. Once it may draw addresses the nodes get ready; new
    /// interfaces stay refused, which no pod here needs.</summary>
    private static async Task InstalledBeforeItsRoleIsRightAsync(ChartCluster cluster, Manifests chart)
    {
        var (draw, make) = (Refused("AssignPrivateIpAddresses"), Refused("CreateNetworkInterface"));
        await cluster.Emulator.AddFaultAsync(draw);
        await cluster.Emulator.AddFaultAsync(make);
        var install = cluster.InstallAsync(chart);
        await Eventually.HoldsAsync("each node to say that no pod can get an address, and why", TimeSpan.FromSeconds(90), _ => Task.FromResult(
            cluster.Nodes.Select(node => ConditionOf(cluster, node)).ToArray() is var conditions && conditions.All(one => one is { Status: "True", Reason: "NotAuthorized" })
                ? null : string.Join("; ", conditions.Select(one => $"{one?.Status} {one?.Reason} {one?.Message}")) + (install.IsFaulted ? install.Exception.Message : "")));
        await Eventually.HoldsAsync("an event of each that says which call", Patience, _ => Task.FromResult(
            NodeEvents(cluster).Where(one => one.Reason == "NotAuthorized").Select(one => one.InvolvedObject.Name).Distinct().Count() == cluster.Nodes.Length ? null : string.Join("; ", NodeEvents(cluster).Select(one => one.Message))));
        foreach (var node in cluster.Nodes)
        {
            Assert.NotNull(await node.Cri.WhyNotReadyAsync(network: true, TestContext.Current.CancellationToken)); // The scheduler sends it no pod.
        }

        Assert.Contains(NodeEvents(cluster), one => one.Message.Contains("ec2:AssignPrivateIpAddresses", StringComparison.Ordinal) || one.Message.Contains("ec2:CreateNetworkInterface", StringComparison.Ordinal));
        Assert.All(cluster.Nodes, node => Assert.Equal("29", cluster.ObjectOf(node).Metadata.Annotations["aws-vpc-cni-distributed/max-pods"])); // An m5.large's.

        await cluster.Emulator.ClearFaultsAsync();
        await cluster.Emulator.AddFaultAsync(make);
        await install;
        await Eventually.HoldsAsync("each node to take it back", TimeSpan.FromSeconds(90), _ => Task.FromResult(
            cluster.Nodes.Select(node => ConditionOf(cluster, node)?.Status).FirstOrDefault(status => status != "False")));

        static Fault Refused(string action) => new() { Action = action, Code = "UnauthorizedOperation" };
    }

    /// <summary>25 pods are bound to a node at once: what they need is drawn before the runtime asks for the first.</summary>
    private static async Task PodsThatAreBoundAreDrawnForAsync(ChartCluster cluster)
    {
        const int Bound = 25;
        await cluster.Emulator.ClearFaultsAsync();
        var node = cluster.SilosNode;
        var instance = cluster.ObjectOf(node).Spec.ProviderID.Split('/')[^1];
        async Task<int> HeldAsync() => (await cluster.Emulator.StateAsync()).Interfaces.Where(eni => eni.Instance == instance).Sum(eni => eni.Addresses.Count - 1);
        Assert.InRange(await HeldAsync(), 1, Bound);
        foreach (var pod in Enumerable.Range(0, Bound))
        {
            cluster.Api.Put($$$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bound-{{{pod}}}","namespace":"default"},"spec":{"nodeName":"{{{node.Name}}}","containers":[]},"status":{"phase":"Pending"}}""");
        }

        var pause = TimeSpan.FromMinutes(2); // The longest after EC2 has refused to make an interface, as it did until now.
        await Eventually.HoldsAsync("an address for each pod that is bound, and one for that which runs there", pause + Patience, async _ => await HeldAsync() is var held && held > Bound ? null : $"{held}");
        for (var (tries, before) = (0, 0); before != await HeldAsync(); tries++) // One that rests after its pod counts as held, and is drawn for, too.
        {
            Assert.True(tries < 10, $"The node still draws, and holds {before}.");
            before = await HeldAsync();
            await Task.Delay(TimeSpan.FromSeconds(3), TestContext.Current.CancellationToken);
        }

        var drawn = (await cluster.Emulator.CallsAsync()).Length;
        var pods = await Task.WhenAll(Enumerable.Range(0, Bound).Select(pod => node.Cri.RunSandboxAsync($"bound-{pod}")));
        Assert.Equal(Bound, pods.Select(pod => pod.Address).Distinct().Count());
        var own = (await cluster.Emulator.StateAsync()).Interfaces.Where(eni => eni.Instance == instance).Select(eni => eni.Id).ToArray(); // The other node may draw what EC2 refused it until now.
        Assert.DoesNotContain((await cluster.Emulator.CallsAsync()).Skip(drawn), call => (call.Action == "AssignPrivateIpAddresses" && own.Contains(call.Parameters["NetworkInterfaceId"]))
            || (call.Action == "AttachNetworkInterface" && call.Parameters["InstanceId"] == instance));
        await Task.WhenAll(pods.Select(node.Cri.StopAndRemoveAsync));
        foreach (var pod in Enumerable.Range(0, Bound))
        {
            cluster.Api.Objects.Remove(ResourceType.Of("v1", "Pod")!, "default", $"bound-{pod}");
        }
    }

    private static Corev1Event[] NodeEvents(ChartCluster cluster) =>
        [.. cluster.Api.Objects.List(ResourceType.Of("v1", "Event")!, "default").Items.Select(entry => KubernetesJson.Deserialize<Corev1Event>(entry.Item.ToJsonString()))];

    private static V1NodeCondition? ConditionOf(ChartCluster cluster, ChartNode node) => cluster.ObjectOf(node).Status.Conditions.FirstOrDefault(one => one.Type == "PodAddressesUnavailable");

    /// <summary>What the guide has operators ask: `kubectl exec` of `ipam nodes` without an option, and an executor's own status.</summary>
    private static async Task OperatorsAreAnsweredAsync(ChartCluster cluster, Pod pod)
    {
        var (code, nodes) = await cluster.SilosNode.Kubelet.ExecAsync(cluster.Silos[cluster.SilosNode.Name], "silo", Patience, "/app/silo", "ipam", "nodes");
        Assert.True(code == 0, nodes);
        Assert.All(cluster.Nodes, node => Assert.Contains(cluster.ObjectOf(node).Spec.ProviderID.Split('/')[^1], nodes, StringComparison.Ordinal));

        (code, var status) = await cluster.Nodes[1].Kubelet.ExecAsync(cluster.Executors["nodeb"], "executor", Patience, "/app/node-executor", "status");
        Assert.True(code == 0, status);
        Assert.Contains(pod.Address, status, StringComparison.Ordinal);
        Assert.Contains($"silo     https://{cluster.SilosNode.Kubelet.Node.Address}:8440", status, StringComparison.Ordinal);
    }

    /// <summary>Another process in the host network of the silo's node, by loopback; and who was bound to the chart's role.</summary>
    private static async Task WhoHasNoRightIsRefusedOnTheHealthPortAsync(ChartCluster cluster, Manifests chart)
    {
        var role = chart.Of<V1ClusterRole>().Single(role => role.Rules.Any(rule => rule.NonResourceURLs is not null)).Metadata.Name;
        cluster.Api.Put($$$"""
            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"readers"},"roleRef":{"kind":"ClusterRole","name":"{{{role}}}"},
             "subjects":[{"kind":"ServiceAccount","namespace":"monitoring","name":"prometheus"}]}
            """);
        var (stranger, reader) = (cluster.Api.Tokens.Issue("default/default"), cluster.Api.Tokens.Issue("monitoring/prometheus"));
        using var port = new HealthPort(NetworkNamespace.PathOf(cluster.SilosNode.NetnsName));
        foreach (var path in new[] { "/api/v1/nodes", "/v1/waiting", "/v1/policy", "/metrics" })
        {
            Assert.Equal((path, 401, 403, 200), (path, await port.AskAsync("GET", path, null), await port.AskAsync("GET", path, stranger), await port.AskAsync("GET", path, reader)));
        }

        Assert.Equal((401, 403, 403), (await port.AskAsync("PUT", "/v1/policy", null), await port.AskAsync("PUT", "/v1/policy", stranger), await port.AskAsync("PUT", "/v1/policy", reader)));
        Assert.Equal(200, await port.AskAsync("GET", "/readyz", null));
    }

    /// <summary>A real kubelet would end what does not answer.</summary>
    private static async Task LivenessProbesAreAnsweredAsync(ChartCluster cluster)
    {
        foreach (var (node, pod) in cluster.Nodes.Select(node => (node, cluster.Executors[node.Name])).Append((cluster.SilosNode, cluster.Silos[cluster.SilosNode.Name])))
        {
            var container = Assert.Single(pod.Pod.Spec.Containers);
            Assert.Null(await node.Kubelet.AskAsync(pod, container, container.LivenessProbe));
        }
    }

    /// <summary>"On a node that stays", docs/install.md.</summary>
    private static async Task WhatTheGuideNamesStaysAsync(ChartNode node)
    {
        Assert.All(["/opt/cni/bin/aws-vpc-cni", "/etc/cni/net.d/10-aws.conflist", "/var/lib/aws-vpc-cni"], path => Assert.True(Path.Exists(node.PathOf(path)), path));
        await Shell.RunAsync("nsenter", "--net=/run/netns/" + node.NetnsName, "nft", "list", "table", "ip", "aws-vpc-cni");
    }

    /// <summary>Each verb of the rendered Roles is used by its account, and no other one is asked for.</summary>
    private static void OnlyWhatIsGrantedIsAskedAndAllOfIt(ChartCluster cluster, Manifests chart)
    {
        Assert.DoesNotContain(cluster.Api.Calls, call => call.Status is 401 or 403);
        var granted = chart.Of<V1Role>().SelectMany(role => role.Rules.Select(rule => (role.Metadata.Name, rule))).Concat(chart.Of<V1ClusterRole>().SelectMany(role => role.Rules.Select(rule => (role.Metadata.Name, rule))));
        var used = cluster.Api.Calls.Select(call => string.Create(CultureInfo.InvariantCulture, $"{call.User} {call.Verb} {call.Resource}")).ToHashSet();
        Assert.Empty(granted.Where(entry => entry.rule.Resources is not null).SelectMany(entry => entry.rule.Resources.SelectMany(resource => entry.rule.Verbs.Select(verb => $"system:serviceaccount:kube-system:{entry.Name} {verb} {resource}"))).Except(used));
    }
}
