using System.Text.Json.Nodes;
using Xunit;

namespace AwsVpcCni.Tests.Chart;

/// <summary>The stored renderings, one after the other: Kubernetes' types, and what we promise of them. They need no Helm.</summary>
public sealed class ManifestTests
{
    private const string Operator = "monitoring.coreos.com/"; // Prometheus operator's kinds have no types here.

    public static TheoryData<string> Sets => [.. Repository.Sets];

    [Theory]
    [MemberData(nameof(Sets))]
    public void No_field_is_unknown_to_Kubernetes_or_of_another_type(string set) =>
        Assert.All(Read(set).Where(manifest => !Manifests.Kind(manifest).StartsWith(Operator, StringComparison.Ordinal)), manifest => Assert.Null(Manifests.Fault(manifest)));

    [Theory]
    [InlineData("replicas", "replicaz")]
    [InlineData("containerPort: 8440", "containerPort: \"8440\"")]
    [InlineData("value: \"prod\"", "value: true")]
    [InlineData("runAsNonRoot: true", "runAsNonRoot: \"true\"")]
    [InlineData("kind: StatefulSet", "kind: StatefullSet")]
    public void The_check_finds_what_is_wrong(string right, string wrong)
    {
        var text = File.ReadAllText(Repository.Rendering("sqlite"));
        Assert.Contains(right, text, StringComparison.Ordinal);
        Assert.Contains(Manifests.Read(text.Replace(right, wrong, StringComparison.Ordinal)), manifest => Manifests.Fault(manifest) is not null);
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public void Workloads_select_their_own_pods_and_mount_what_they_have(string set) => Assert.All(Pods(set), pod =>
    {
        if (pod.Owner["spec"]!["selector"]?["matchLabels"] is JsonObject selector)
        {
            Assert.All(selector, label => Assert.Equal(label.Value!.ToString(), pod.Labels[label.Key]!.ToString()));
        }

        var volumes = Names(pod.Spec["volumes"]).Concat(Names(pod.Owner["spec"]!["volumeClaimTemplates"], claim => claim["metadata"]!)).ToArray();
        Assert.Equal(volumes.Distinct(), volumes);
        var mounted = Containers(pod.Spec).SelectMany(container => Names(container["volumeMounts"])).Distinct();
        Assert.Equal(volumes.Order(), mounted.Order());
        Assert.All(Containers(pod.Spec), container =>
        {
            var variables = Names(container["env"]).ToArray();
            Assert.Equal(variables.Distinct(), variables);
        });
    });

    [Fact]
    public void With_privileged_all_containers_of_the_executors_are() =>
        Assert.All(Pods("everything-set").Where(pod => pod.Owner["kind"]!.ToString() == "DaemonSet").SelectMany(pod => Containers(pod.Spec)), container => Assert.True(container["securityContext"]!["privileged"]?.GetValue<bool>()));

    [Fact] // In order, which is the default, a pod that does not get ready keeps a rollback from replacing it.
    public void A_rollback_replaces_a_silo_that_does_not_get_ready() => Assert.Equal("Parallel", Pods("sqlite").Single(pod => pod.Owner["kind"]!.ToString() == "StatefulSet").Owner["spec"]!["podManagementPolicy"]?.ToString());

    [Theory]
    [MemberData(nameof(Sets))]
    public void Nothing_has_more_rights_than_it_needs(string set) => Assert.All(Pods(set).SelectMany(pod => Containers(pod.Spec).Select(container => (pod.Spec, Container: container))), one =>
    {
        var rights = one.Container["securityContext"]!;
        Assert.True(rights["readOnlyRootFilesystem"]!.GetValue<bool>());
        Assert.NotNull(one.Container["resources"]!["limits"] ?? one.Container["resources"]!["requests"]);
        if (rights["privileged"] is not null)
        {
            Assert.Equal("everything-set", set); // executor.privileged is set there: for what writes into the node's folders, the plugin's installation too.
            Assert.Contains(one.Container["name"]!.ToString(), new[] { "executor", "install" });
            return;
        }

        Assert.Equal("ALL", Assert.Single(rights["capabilities"]!["drop"]!.AsArray())!.ToString());
        Assert.Equal("RuntimeDefault", (rights["seccompProfile"] ?? one.Spec["securityContext"]!["seccompProfile"])!["type"]!.ToString());
        var added = rights["capabilities"]!["add"]?.AsArray().Select(capability => capability!.ToString()) ?? [];
        if (one.Container["name"]!.ToString() == "executor")
        {
            Assert.Equal(["NET_ADMIN", "SYS_ADMIN"], added);
            return;
        }

        Assert.Empty(added);
        Assert.False(rights["allowPrivilegeEscalation"]!.GetValue<bool>());
        Assert.True(one.Container["name"]!.ToString() == "install" || one.Spec["securityContext"]!["runAsNonRoot"]!.GetValue<bool>());
    });

    /// <summary>A kubelet is given all of each secret that its pods mount, so one of the executors is every node's.</summary>
    [Theory]
    [MemberData(nameof(Sets))]
    public void No_pod_but_a_silos_and_the_one_that_is_tried_beside_it_mounts_a_secret(string set) => Assert.Equal(set == "dynamodb" ? ["Deployment", "Pod"] : [],
        Pods(set).Where(pod => pod.Spec["volumes"]?.AsArray().Any(volume => volume!["secret"] is not null) == true).Select(pod => pod.Owner["kind"]!.ToString()).Order());

    /// <summary>What the code asks of the API server (silo/README.md, node-executor/README.md), and not a verb more.</summary>
    [Theory]
    [MemberData(nameof(Sets))]
    public void Silos_follow_pods_and_nodes_and_mark_those_write_events_and_ask_who_is_asking_and_executors_read_where_the_silos_are(string set) => Assert.Equal(
        [
            "executor: discovery.k8s.io/endpointslices list", .. set == "everything-off" ? [] : (string[])["reader: /aws-vpc-cni/*,/metrics get", "silo: /events create,patch"],
            "silo: /nodes list,watch", .. set == "everything-off" ? [] : (string[])["silo: /nodes,nodes/status patch", "silo: /pods list,watch", "silo: authentication.k8s.io/tokenreviews create", "silo: authorization.k8s.io/subjectaccessreviews create"],
            .. set == "custom-networking" ? (string[])["silo: crd.k8s.amazonaws.com/eniconfigs list,watch"] : [],
        ],
        Read(set).Where(manifest => manifest["rules"] is not null).SelectMany(manifest => manifest["rules"]!.AsArray().Select(rule =>
            $"{manifest["metadata"]!["name"]!.ToString().Split('-')[^1]}: {(rule!["nonResourceURLs"] is null ? $"{Of(rule, "apiGroups")}/{Of(rule, "resources")}" : Of(rule, "nonResourceURLs"))} {Of(rule, "verbs")}")).Order(StringComparer.Ordinal));

    /// <summary>Who may read is for the cluster's operators to say.</summary>
    [Theory]
    [MemberData(nameof(Sets))]
    public void Nobody_is_a_reader_by_the_chart(string set) => Assert.DoesNotContain(Read(set), manifest => manifest["roleRef"]?["name"]!.ToString().EndsWith("-reader", StringComparison.Ordinal) == true);

    private static string Of(JsonNode rule, string list) => string.Join(',', rule[list]!.AsArray().Select(item => item!.ToString()));

    private static JsonObject[] Read(string set) => Manifests.Read(File.ReadAllText(Repository.Rendering(set)));

    private static IEnumerable<(JsonObject Owner, JsonNode Labels, JsonNode Spec)> Pods(string set) => Read(set).Where(manifest => manifest["kind"]!.ToString() is "Pod" or "DaemonSet" or "Deployment" or "StatefulSet")
        .Select(manifest => manifest["spec"]!["template"] is { } template ? (manifest, template["metadata"]!["labels"]!, template["spec"]!) : (manifest, manifest["metadata"]!["labels"]!, manifest["spec"]!));

    private static IEnumerable<JsonNode> Containers(JsonNode spec) => (spec["initContainers"]?.AsArray() ?? []).Concat(spec["containers"]!.AsArray()).Select(container => container!);

    private static IEnumerable<string> Names(JsonNode? list, Func<JsonNode, JsonNode>? of = null) => (list?.AsArray() ?? []).Select(item => (of is null ? item! : of(item!))["name"]!.ToString());
}
