using System.Buffers.Text;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.KubeletLite;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Images;
using AwsVpcCni.VpcEmulator.Fabric;
using k8s.Models;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>The chart with custom networking, from ENIConfigs that are not there yet to pods in their subnet, as kubectl shows it; and strangers at the node API from another node.</summary>
/// <remarks>As <see cref="ChartTests"/>. That EC2 enforces groups is imitated nowhere. kubectl is Kubernetes' own; of the API server's tables (READY, STATUS) the emulator makes none, so `get` shows names and ages, or the columns that are asked for.</remarks>
public sealed class CustomNetworkingTests
{
    private const string Tag = "test", OtherTag = "next", Condition = "PodAddressesUnavailable";
    private const int MostPods = 18; // Of an m5.large: (3 interfaces - 1) x (10 addresses - 1).
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task Pods_are_where_ENIConfigs_say_kubectl_shows_it_and_strangers_get_nothing_from_the_node_API()
    {
        await ShippedImage.MadeOrSkipAsync();
        var chart = await Helm.RenderOrSkipAsync(Tag, "custom-networking.yaml");
        await using var cluster = await ChartCluster.StartAsync("avcchartcn", ["nodea", "nodeb"], OtherTag, podSubnetCidr: "100.64.1.0/24");
        var (a, b, kubectl) = (cluster.Nodes[0], cluster.Nodes[1], new Kubectl(cluster));
        cluster.PrepareAsTheGuideSays(chart);
        await kubectl.SaysAsync("create", "--validate=false", "-f", Path.Combine(Repository.Root, "charts", "aws-vpc-cni-distributed", "crds")); // As Helm does; the emulator has no schema of anything.
        await cluster.InstallAsync(chart);

        await SaysThatTheENIConfigIsMissingAsync(cluster, kubectl);
        await kubectl.SaysAsync("create", "--validate=false", "-f", EniConfig(cluster));
        await Task.WhenAll(cluster.Nodes.Select(cluster.NodeReadyAsync));
        var pods = await Task.WhenAll(Enumerable.Range(0, MostPods).Select(pod => pod < 2 ? a.Cri.RunPodAsync($"pod-{pod}") : a.Cri.RunSandboxAsync($"pod-{pod}")));
        var other = await b.Cri.RunPodAsync("other");

        Assert.All(pods.Append(other), pod => Assert.StartsWith("100.64.1.", pod.Address, StringComparison.Ordinal));
        Assert.Equal(MostPods, pods.Select(pod => pod.Address).Distinct().Count());
        await InterfacesAreOfTheENIConfigAsync(cluster);
        foreach (var to in new[] { pods[1].Address, other.Address, b.Kubelet.Node.Address })
        {
            Assert.Contains("1 packets received", await a.Cri.ExecAsync(pods[0], "ping", "-c", "1", "-W", "5", to), StringComparison.Ordinal);
        }

        await KubectlShowsWhatTheDocsSayAsync(cluster, kubectl);
        await StrangersGetNothingFromTheNodeApiAsync(cluster, chart);
        Assert.Equal(pods.Select(pod => pod.Address), await Task.WhenAll(pods.Select(pod => a.Cri.AddressAsync(pod.Sandbox))));
        Assert.DoesNotContain(cluster.Api.Calls, call => call.Status is 401 or 403);
    }

    private static async Task SaysThatTheENIConfigIsMissingAsync(ChartCluster cluster, Kubectl kubectl)
    {
        foreach (var node in cluster.Nodes)
        {
            var said = "";
            await Eventually.HoldsAsync($"{node.Name} to say which ENIConfig it lacks", Patience, async _ =>
                Regex.IsMatch(said = await kubectl.SaysAsync("describe", "node", node.Name), $"{Condition} +True .*SubnetExcluded .*ENIConfig eu-west-1a, which does not exist, names none") ? null : said);
        }

        await Eventually.HoldsAsync("an event of it", Patience, async _ => await kubectl.SaysAsync("events") is var said && Regex.IsMatch(said, "Warning +SubnetExcluded +Node/nodea +.*ENIConfig eu-west-1a, which does not exist") ? null : said);
        Assert.Equal(2, (await cluster.Emulator.StateAsync()).Interfaces.Count(eni => eni.Instance is not null && eni.Addresses.Count == 1)); // The primary ones, with nothing for pods.
    }

    private static string EniConfig(ChartCluster cluster)
    {
        var file = Path.Combine(cluster.Work.Root, "eniconfig.json");
        File.WriteAllText(file, $$$"""{"apiVersion":"crd.k8s.amazonaws.com/v1alpha1","kind":"ENIConfig","metadata":{"name":"eu-west-1a"},"spec":{"subnet":"{{{ClusterSettings.PodSubnetId}}}","securityGroups":["{{{ClusterSettings.PodGroup}}}"]}}""");
        return file;
    }

    private static async Task InterfacesAreOfTheENIConfigAsync(ChartCluster cluster)
    {
        var instances = cluster.Nodes.Select(node => cluster.ObjectOf(node).Spec.ProviderID.Split('/')[^1]).ToArray();
        Assert.All((await cluster.Emulator.StateAsync()).Interfaces.Where(eni => instances.Contains(eni.Instance)), eni =>
            Assert.Equal(eni.DeviceIndex == 0 ? (ClusterSettings.SubnetId, 1) : (ClusterSettings.PodSubnetId, eni.Addresses.Count), (eni.Subnet, eni.Addresses.Count)));
        Assert.All((await cluster.Emulator.CallsAsync()).Where(call => call.Action == "CreateNetworkInterface"), call =>
            Assert.Contains(call.Parameters, one => one is { Key: "SecurityGroupId.1", Value: ClusterSettings.PodGroup }));
    }

    private static async Task KubectlShowsWhatTheDocsSayAsync(ChartCluster cluster, Kubectl kubectl)
    {
        const string Columns = "custom-columns=NAME:.metadata.name,MAX:.metadata.annotations.aws-vpc-cni-distributed/max-pods";
        await Eventually.HoldsAsync("the annotation of both nodes", Patience, async _ => await kubectl.SaysAsync("get", "nodes", "--no-headers", "-o", Columns) is var said
            && Regex.IsMatch(said, $@"^nodea +{MostPods + 2}\nnodeb +{MostPods + 2}\s*$") ? null : said);
        foreach (var node in cluster.Nodes)
        {
            await Eventually.HoldsAsync($"{node.Name} to take its condition back", Patience, async _ =>
                await kubectl.SaysAsync("describe", "node", node.Name) is var said && Regex.IsMatch(said, $"{Condition} +False ") ? null : said);
        }

        Assert.Matches($@"^eu-west-1a +{ClusterSettings.PodSubnetId} +\[{ClusterSettings.PodGroup}\]", await kubectl.SaysAsync("get", "eniconfigs", "--no-headers", "-o", "custom-columns=NAME:.metadata.name,SUBNET:.spec.subnet,GROUPS:.spec.securityGroups"));
        Assert.Contains("eniconfigs.crd.k8s.amazonaws.com", await kubectl.SaysAsync("get", "crd"), StringComparison.Ordinal);
        var pods = await kubectl.SaysAsync("-n", "kube-system", "get", "pods", "-l", "app.kubernetes.io/instance=cni", "-o", "custom-columns=NAME:.metadata.name,NODE:.spec.nodeName"); // As NOTES.txt says.
        Assert.Equal(3, pods.Trim().Split('\n').Length - 1);
    }

    /// <summary>By the silo's port, from the other node's place in the fabric, and from another process of the silo's own node. Each is refused, and counted.</summary>
    private static async Task StrangersGetNothingFromTheNodeApiAsync(ChartCluster cluster, Manifests chart)
    {
        var (silosNode, elsewhere) = (cluster.SilosNode, cluster.Nodes[1]);
        var executors = $"kube-system/{chart.Single<V1DaemonSet>().Spec.Template.Spec.ServiceAccountName}";
        (string, string) here = (elsewhere.Name, cluster.ObjectOf(elsewhere).Metadata.Uid);
        var tokens = cluster.Api.Tokens;
        using var others = new TokenIssuer(TimeProvider.System); // Another cluster's, of the same name.
        var own = tokens.Issue(executors, here, "aws-vpc-cni"); // Root on the node has such a one, and can do no more with it than its executor.
        (string What, string? Token, string Reason)[] strangers =
        [
            ("no token", null, "NoToken"),
            ("nonsense", "abc", "BadToken"),
            ("another account, bound to its node", tokens.Issue("default/default", here, "aws-vpc-cni"), "BadToken"),
            ("the executors' account for another audience", tokens.Issue(executors, here), "BadToken"),
            ("the executors' account, bound to no node", tokens.Issue(executors, null, "aws-vpc-cni"), "BadToken"),
            ("another issuer's, under this one's key", tokens.Issue(executors, here, "aws-vpc-cni", change: claims => claims["iss"] = "https://elsewhere"), "BadToken"),
            ("another cluster's key", others.Issue(executors, here, "aws-vpc-cni"), "BadToken"),
            ("a node that has been replaced", tokens.Issue(executors, (elsewhere.Name, Guid.Empty.ToString()), "aws-vpc-cni"), "BadToken"),
            ("expired", tokens.Issue(executors, here, "aws-vpc-cni", age: TimeSpan.FromHours(3)), "ExpiredToken"),
            ("unsigned", $"{Base64Url.EncodeToString("{\"alg\":\"none\",\"typ\":\"JWT\"}"u8)}.{own.Split('.')[1]}.", "BadToken"),
            ("the other node's claims under the own signature", $"{own.Split('.')[0]}.{tokens.Issue(executors, (silosNode.Name, cluster.ObjectOf(silosNode).Metadata.Uid), "aws-vpc-cni").Split('.')[1]}.{own.Split('.')[2]}", "BadToken"),
        ];
        var before = await RefusedAsync(cluster);
        using var port = new NodeApiPort(NetworkNamespace.PathOf(elsewhere.NetnsName), silosNode.Kubelet.Node.Address);
        using var local = new NodeApiPort(NetworkNamespace.PathOf(silosNode.NetnsName), "127.0.0.1");
        foreach (var (what, token, reason) in strangers)
        {
            foreach (var path in new[] { "/node/v1/assign", "/node/v1/release", "/node/v1/sync" })
            {
                Assert.Equal((what, path, 401, 401), (what, path, await port.PostAsync(path, token), await local.PostAsync(path, token)));
            }
        }

        foreach (var noHttp in new[] { RandomNumberGenerator.GetBytes(4096), [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0] }) // The latter: data of no stream.
        {
            await port.EndsAfterAsync(noHttp);
        }

        using var health = new HealthPort(NetworkNamespace.PathOf(elsewhere.NetnsName), silosNode.Kubelet.Node.Address);
        Assert.IsType<SocketException>((await Assert.ThrowsAsync<HttpRequestException>(() => health.AskAsync("GET", "/api/v1/nodes", tokens.Issue("default/default")))).InnerException);

        Assert.Equal((400, 413), (await port.PostAsync("/node/v1/sync", own), await port.PostAsync("/node/v1/assign", own, new byte[(128 << 10) + 1])));
        var wanted = strangers.GroupBy(one => one.Reason).ToDictionary(one => one.Key, one => 2 * 3 * one.Count());
        (wanted["Unreadable"], wanted["TooLarge"]) = (1, 1); // At least: an executor's body may be cut off meanwhile.
        await Eventually.HoldsAsync("each to be counted", Patience, async _ => await RefusedAsync(cluster) is var now
            && wanted.All(one => now[one.Key] - before[one.Key] is var counted && (one.Key == "Unreadable" ? counted >= one.Value : counted == one.Value)) ? null : string.Join(' ', now));
    }

    /// <summary>As the silo's /metrics has it, which is asked on its node with a token that may.</summary>
    private static async Task<Dictionary<string, int>> RefusedAsync(ChartCluster cluster)
    {
        cluster.Api.Put("""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"scrapes"},"rules":[{"nonResourceURLs":["/metrics"],"verbs":["get"]}]}""");
        cluster.Api.Put("""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"scrapes"},"roleRef":{"kind":"ClusterRole","name":"scrapes"},"subjects":[{"kind":"ServiceAccount","namespace":"monitoring","name":"prometheus"}]}""");
        using var health = new HealthPort(NetworkNamespace.PathOf(cluster.SilosNode.NetnsName));
        var text = await health.ReadAsync("/metrics", cluster.Api.Tokens.Issue("monitoring/prometheus"));
        return Regex.Matches(text, "aws_vpc_cni_refused_node_calls_total\\{reason=\"(\\w+)\"\\} (\\d+)").ToDictionary(one => one.Groups[1].Value, one => int.Parse(one.Groups[2].Value, System.Globalization.CultureInfo.InvariantCulture));
    }
}
