using System.Collections.Immutable;
using System.Text.RegularExpressions;
using k8s.Models;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>What the silo keeps of a Node object.</summary>
/// <param name="Uid">Another one for each Node object of this name: a replaced instance's tokens bear the old one.</param>
/// <param name="Mark">Status and reason of our condition (<see cref="NodeMarks"/>); null where there is none.</param>
/// <param name="MaxPods">Our annotation; null where there is none.</param>
/// <param name="EniConfig">What the annotation of custom networking says; null where there is none.</param>
/// <param name="InstanceId">By <c>spec.providerID</c>, which cannot be changed once it is set; null as long as there is none, or none of EC2.</param>
internal sealed partial record KnownNode(string Name, string Uid, string? InstanceId, DateTime? Since, ImmutableSortedDictionary<string, string> Labels,
    (string Status, string Reason)? Mark = null, string? MaxPods = null, string? EniConfig = null)
{
    /// <summary>Of the object.</summary>
    /// <param name="eniConfigAnnotation">The key of the annotation of custom networking.</param>
    public static KnownNode Of(V1Node node, string eniConfigAnnotation) => new(
        node.Metadata.Name, node.Metadata.Uid, InstanceOf(node.Spec?.ProviderID), node.Metadata.CreationTimestamp, (node.Metadata.Labels ?? new Dictionary<string, string>()).ToImmutableSortedDictionary(StringComparer.Ordinal),
        node.Status?.Conditions?.FirstOrDefault(condition => condition.Type == NodeMarks.Condition) is { } mark ? (mark.Status, mark.Reason ?? "") : null, AnnotationOf(node, NodeMarks.MaxPods), AnnotationOf(node, eniConfigAnnotation));

    private static string? AnnotationOf(V1Node node, string key) => node.Metadata.Annotations?.TryGetValue(key, out var value) == true ? value : null;

    /// <summary>The instance of a provider id such as <c>aws:///eu-west-1a/i-0123456789abcdef0</c>; null when it names none.</summary>
    public static string? InstanceOf(string? providerId) => providerId is not null && ProviderIdForm().Match(providerId) is { Success: true } match ? match.Groups[1].Value : null;

    [GeneratedRegex("^aws:///[^/]*/(i-[0-9a-f]{8,17})$")]
    private static partial Regex ProviderIdForm();
}
