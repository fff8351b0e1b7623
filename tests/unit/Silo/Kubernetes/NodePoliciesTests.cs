using System.Collections.Immutable;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using k8s.Models;
using Microsoft.Extensions.Options;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo.Kubernetes;

/// <summary>What a node should hold, by labels and by ENIConfigs.</summary>
public sealed class NodePoliciesTests
{
    private const string Instance = "i-00000001";
    private static readonly PoolPolicy OfAll = new() { WarmIps = 1 };
    private static readonly PoolPolicy Custom = OfAll with { CustomNetworking = true };
    private readonly NodeTable _nodes = new();
    private readonly EniConfigTable _configs = new();

    [Theory]
    [InlineData("none bears it", "team=net", 1, null)]
    [InlineData("a label", "pool=gpu", 8, "label:pool=gpu")]
    [InlineData("another value", "pool=cpu", 1, null)]
    [InlineData("two: the first by name", "pool=gpu a/big=", 5, "label:a/big=")]
    [InlineData("its own wins", "pool=gpu own=yes", 9, Instance)]
    public void A_nodes_own_policy_wins_then_that_of_a_label_then_that_of_all(string what, string labels, int warmIps, string? source)
    {
        _nodes.Reset([Node(labels)]);
        var set = Set(("label:pool=gpu", 8), ("label:a/big=", 5), ("i-00000002", 7));
        set = labels.Contains("own=yes", StringComparison.Ordinal) ? set.Add(Instance, new PoolPolicy { WarmIps = 9 }) : set;

        var all = Policies().Of(OfAll, set);

        Assert.True(warmIps == (all.GetValueOrDefault(Instance) ?? OfAll).WarmIps, what);
        Assert.Equal(7, all["i-00000002"].WarmIps); // A node that the API server does not show.
        Assert.DoesNotContain(all.Keys, PolicyLabels.IsTarget);
        Assert.Equal(source, Policies().SourceOf(Instance, set));
    }

    [Theory]
    [InlineData("default", "", null, "subnet-default")]
    [InlineData("the label", "k8s.amazonaws.com/eniConfig=zone-a", null, "subnet-a")]
    [InlineData("the annotation before the label", "k8s.amazonaws.com/eniConfig=zone-a", "zone-b", "subnet-b")]
    [InlineData("the external label before both", "k8s.amazonaws.com/eniConfig=zone-a vpc.amazonaws.com/externalEniConfig=zone-c", "zone-b", "subnet-c")]
    [InlineData("a name that is none's", "k8s.amazonaws.com/eniConfig=zone-z", null, null)]
    public void An_ENIConfig_is_found_as_amazon_vpc_cni_k8s_finds_it(string what, string labels, string? annotation, string? subnet)
    {
        _nodes.Reset([Node(labels, annotation)]);
        _configs.Reset([Config("default", "subnet-default"), Config("zone-a", "subnet-a"), Config("zone-b", "subnet-b"), Config("zone-c", "subnet-c")]);

        var policy = Policies().Of(Custom, Set())[Instance];

        Assert.True(subnet == policy.Subnets.SingleOrDefault(), what);
        Assert.StartsWith($"ENIConfig {(subnet is null ? "zone-z, which does not exist," : what == "default" ? "default" : $"zone-{subnet[^1]}")}", policy.NetworkFrom, StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_of_ones_own_choice_names_it()
    {
        _nodes.Reset([Node("topology.kubernetes.io/zone=eu-west-1a")]);
        _configs.Reset([Config("eu-west-1a", "subnet-a", "sg-1", "sg-2")]);
        var policy = Policies(label: "topology.kubernetes.io/zone").Of(Custom, Set())[Instance];
        Assert.Equal(("subnet-a", "sg-1,sg-2"), (policy.Subnets.Single(), string.Join(',', policy.SecurityGroups)));
    }

    [Fact]
    public void Until_ENIConfigs_are_listed_none_is_missing()
    {
        _nodes.Reset([Node("")]);
        Assert.Equal("its ENIConfig, which the API server has not shown yet,", Policies().Of(Custom, Set())[Instance].NetworkFrom);
    }

    [Fact]
    public void A_policy_that_names_subnets_itself_needs_none()
    {
        _nodes.Reset([Node("")]);
        var own = Custom with { Subnets = ["subnet-own"] };
        Assert.Same(own, Policies().Of(own, Set())[Instance]);
    }

    [Fact]
    public void Custom_networking_can_be_of_nodes_with_a_label_alone()
    {
        _nodes.Reset([Node("pool=gpu"), Node("", instance: "i-00000002", name: "n2")]);
        _configs.Reset([Config("default", "subnet-default")]);
        var all = Policies().Of(OfAll, Set().Add("label:pool=gpu", Custom));
        Assert.Equal("subnet-default", Assert.Single(all[Instance].Subnets));
        Assert.DoesNotContain("i-00000002", all.Keys);
    }

    [Theory]
    [InlineData("", false, null)]
    [InlineData("label:pool=gpu", false, SwitchMode.Hold)]
    [InlineData("i-00000002", false, null)]
    [InlineData("label:pool=gpu", true, SwitchMode.Frozen)]
    public void Until_nodes_are_listed_policies_by_label_hold_and_those_of_another_network_freeze(string target, bool isCustom, SwitchMode? mode)
    {
        var set = target.Length == 0 ? Set() : Set().Add(target, OfAll with { CustomNetworking = isCustom });
        Assert.Equal(mode, Policies().WhileUnknown(OfAll, set)?.Mode);
        _nodes.Reset([]);
        Assert.Null(Policies().WhileUnknown(OfAll, set));
    }

    [Fact] // A kubelet writes the provider id of its own Node: it must not choose another's network.
    public void Of_two_nodes_with_one_instance_the_first_counts()
    {
        _nodes.Reset([Node("pool=gpu", since: 2, name: "late"), Node("", since: 1)]);
        Assert.Empty(Policies().Of(OfAll, Set(("label:pool=gpu", 8))));
    }

    [Fact]
    public void Changed_is_raised_for_what_policies_go_by_alone()
    {
        var (policies, raised) = (Policies(), 0);
        policies.Changed += () => raised++;
        _nodes.Put(Node("pool=gpu"));
        _nodes.Put(Node("pool=gpu") with { MaxPods = "29" });
        Assert.Equal(1, raised);
        _nodes.Put(Node("pool=cpu"));
        _nodes.Put(Node("pool=cpu", "zone-b"));
        _configs.Put(Config("zone-b", "subnet-b"));
        _configs.Remove("zone-b");
        _nodes.Remove("n1");
        Assert.Equal(6, raised);
    }

    [Theory]
    [InlineData("pool=gpu", true)]
    [InlineData("eks.amazonaws.com/nodegroup=a-b_c.d", true)]
    [InlineData("empty=", true)]
    [InlineData("pool", false)]
    [InlineData("=gpu", false)]
    [InlineData("label:pool=gpu", false)]
    [InlineData("a/b/c=d", false)]
    [InlineData("Upper/key=d", false)]
    [InlineData("pool=gpu card", false)]
    [InlineData("pool=-gpu", false)]
    public void A_label_is_one_of_Kubernetes(string text, bool isOne) => Assert.Equal(isOne ? $"label:{text}" : null, PolicyLabels.TargetOf(text));

    private NodePolicies Policies(string label = "k8s.amazonaws.com/eniConfig") => new(_nodes, _configs, Options.Create(new KubernetesOptions { Enabled = true, EniConfigLabel = label }));

    private static ImmutableSortedDictionary<string, PoolPolicy> Set(params (string Target, int WarmIps)[] set) =>
        set.ToImmutableSortedDictionary(one => one.Target, one => new PoolPolicy { WarmIps = one.WarmIps }, StringComparer.Ordinal);

    private static KnownNode Node(string labels, string? eniConfig = null, string name = "n1", string instance = Instance, int since = 1) => new(
        name, $"uid-{name}", instance, new DateTime(2026, 1, since, 0, 0, 0, DateTimeKind.Utc),
        labels.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(label => label.Split('=')).ToImmutableSortedDictionary(label => label[0], label => label[1], StringComparer.Ordinal), EniConfig: eniConfig);

    private static EniConfig Config(string name, string subnet, params string[] groups) => new() { Metadata = new V1ObjectMeta { Name = name }, Spec = new EniConfigSpec(subnet, groups) };
}
