using System.Collections.Immutable;
using System.Text.RegularExpressions;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.Grains.Cluster;

/// <summary>Policies of nodes that bear a label: beside those of single nodes, under <c>label:KEY=VALUE</c>. A silo of before there were such takes it for a node that is not there.</summary>
public static partial class PolicyLabels
{
    private const string Prefix = "label:";

    /// <summary>What it is kept under; null when it is no label, such as <c>eks.amazonaws.com/nodegroup=gpu</c>.</summary>
    public static string? TargetOf(string label) => Form().IsMatch(label) ? Prefix + label : null;

    /// <summary>Whether a policy is that of a label.</summary>
    public static bool IsTarget(string target) => target.StartsWith(Prefix, StringComparison.Ordinal) && Form().IsMatch(target[Prefix.Length..]);

    /// <summary>The label of a policy's target; null when it is not a label's.</summary>
    public static string? LabelOf(string target) => IsTarget(target) ? target[Prefix.Length..] : null;

    /// <summary>The labels that have a policy.</summary>
    public static IEnumerable<string> In(ImmutableSortedDictionary<string, PoolPolicy> policies) => policies.Keys.Select(LabelOf).OfType<string>();

    /// <summary>The first one, by the label's name, that a node bears; null for none.</summary>
    public static (string Target, PoolPolicy Policy)? Find(ImmutableSortedDictionary<string, PoolPolicy> policies, IReadOnlyDictionary<string, string> labels)
    {
        foreach (var (target, policy) in policies)
        {
            if (LabelOf(target) is { } label && label.IndexOf('=', StringComparison.Ordinal) is var end && labels.TryGetValue(label[..end], out var value) && value == label[(end + 1)..])
            {
                return (target, policy);
            }
        }

        return null;
    }

    // Kubernetes' rules for label keys and values.
    [GeneratedRegex("^(?=[^=/]{1,253}/|[^/]*$)([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?=([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
    private static partial Regex Form();
}
