using System.Collections.Immutable;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>What single nodes should hold: by the policy that operators have set for the node or for a label that it bears, and, with custom networking, in the subnet of its ENIConfig.</summary>
internal sealed class NodePolicies(NodeTable nodes, EniConfigTable configs, IOptions<KubernetesOptions> options)
{
    /// <summary>Wins over all else that names a node's ENIConfig, as in amazon-vpc-cni-k8s.</summary>
    public const string ExternalLabel = "vpc.amazonaws.com/externalEniConfig";

    private const string DefaultConfig = "default";

    /// <summary>A node or an ENIConfig is another than before.</summary>
    public event Action? Changed
    {
        add
        {
            nodes.Changed += value;
            configs.Changed += value;
        }

        remove
        {
            nodes.Changed -= value;
            configs.Changed -= value;
        }
    }

    /// <summary>By instance id, for those that have another than all.</summary>
    /// <param name="ofAll">Of nodes without one of their own.</param>
    /// <param name="set">As operators have set them: for instances, and for labels.</param>
    public ImmutableSortedDictionary<string, PoolPolicy> Of(PoolPolicy ofAll, ImmutableSortedDictionary<string, PoolPolicy> set)
    {
        if (!options.Value.Enabled || (!ofAll.CustomNetworking && !set.Any(one => one.Value.CustomNetworking || PolicyLabels.IsTarget(one.Key))))
        {
            return set;
        }

        var all = set.RemoveRange(set.Keys.Where(PolicyLabels.IsTarget)).ToBuilder();
        foreach (var node in nodes.All)
        {
            if (node.InstanceId is not { } instance || nodes.InstanceOf(node.Name) is null)
            {
                continue;
            }

            var own = set.GetValueOrDefault(instance) ?? PolicyLabels.Find(set, node.Labels)?.Policy;
            if ((own ?? ofAll).CustomNetworking)
            {
                all[instance] = InItsNetwork(own ?? ofAll, node);
            }
            else if (own is not null)
            {
                all[instance] = own;
            }
        }

        return all.ToImmutable();
    }

    /// <summary>Until the API server has shown the nodes, nobody knows whose label has which policy: nothing is given back meanwhile, and where networks are at stake nothing is drawn either. Null: it is known, or there are no such policies.</summary>
    public OperatorSwitch? WhileUnknown(PoolPolicy ofAll, ImmutableSortedDictionary<string, PoolPolicy> set)
    {
        var ofLabels = set.Where(one => PolicyLabels.IsTarget(one.Key)).Select(one => one.Value).ToArray();
        return !options.Value.Enabled || nodes.IsFilled || ofLabels is [] ? null : new OperatorSwitch(
            OperatorSwitches.All, ofLabels.Any(policy => policy.CustomNetworking != ofAll.CustomNetworking || !policy.Subnets.SequenceEqual(ofAll.Subnets) || !policy.SecurityGroups.SequenceEqual(ofAll.SecurityGroups)) ? SwitchMode.Frozen : SwitchMode.Hold,
            "the silo itself", "there are policies by label, and the API server has not shown yet which node bears which", default);
    }

    /// <summary>Whose policy a node has: its own, by its instance id, or that of a label; null for that of all.</summary>
    public string? SourceOf(string instanceId, ImmutableSortedDictionary<string, PoolPolicy> set) =>
        set.ContainsKey(instanceId) ? instanceId : nodes.OfInstance(instanceId) is { } node ? PolicyLabels.Find(set, node.Labels)?.Target : null;

    // A policy that names subnets itself needs no ENIConfig.
    private PoolPolicy InItsNetwork(PoolPolicy policy, KnownNode node)
    {
        if (!policy.Subnets.IsEmpty || !configs.IsFilled)
        {
            return policy.Subnets.IsEmpty ? policy with { NetworkFrom = "its ENIConfig, which the API server has not shown yet," } : policy;
        }

        var name = node.Labels.GetValueOrDefault(ExternalLabel) ?? node.EniConfig ?? node.Labels.GetValueOrDefault(options.Value.EniConfigLabel) ?? DefaultConfig;
        return configs.Find(name) is not { } config ? policy with { NetworkFrom = $"ENIConfig {name}, which does not exist," }
            : policy with
            {
                NetworkFrom = ReferenceEquals(config, EniConfigSpec.Unread) ? $"ENIConfig {name}, whose spec cannot be read," : $"ENIConfig {name}", Subnets = string.IsNullOrEmpty(config.Subnet) ? [] : [config.Subnet],
                SecurityGroups = config.SecurityGroups is { Count: > 0 } groups ? [.. groups] : policy.SecurityGroups,
            };
    }
}
