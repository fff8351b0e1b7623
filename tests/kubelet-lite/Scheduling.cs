using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>Whether a pod may go to a node, as the scheduler and the DaemonSet controller decide: required node affinity, nodeSelector, taints.</summary>
/// <remarks>Not looked at: affinity to pods, spread, resources that are left.</remarks>
public static class Scheduling
{
    // What a DaemonSet's pods are given beyond their own.
    private static readonly string[] DaemonsTolerate = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/disk-pressure", "node.kubernetes.io/memory-pressure", "node.kubernetes.io/pid-pressure", "node.kubernetes.io/unschedulable", "node.kubernetes.io/network-unavailable"];

    /// <summary>Null when it may; else why not.</summary>
    public static string? WhyNot(V1PodSpec pod, V1Node node, bool isDaemon = false)
    {
        var labels = node.Metadata.Labels ?? new Dictionary<string, string>();
        if (pod.NodeSelector?.FirstOrDefault(wanted => labels.TryGetValue(wanted.Key, out var has) is false || has != wanted.Value) is { Key: { } missing })
        {
            return $"nodeSelector {missing}";
        }

        if (pod.Affinity?.NodeAffinity?.RequiredDuringSchedulingIgnoredDuringExecution?.NodeSelectorTerms is { Count: > 0 } terms && !terms.Any(term => term.MatchExpressions.All(expression => Matches(expression, labels))))
        {
            return "its node affinity";
        }

        return node.Spec.Taints?.Where(taint => taint.Effect is "NoSchedule" or "NoExecute").FirstOrDefault(taint => !(isDaemon && DaemonsTolerate.Contains(taint.Key)) && pod.Tolerations?.Any(toleration => Tolerates(toleration, taint)) != true) is { } taint
            ? $"the taint {taint.Key}:{taint.Effect}" : null;
    }

    private static bool Matches(V1NodeSelectorRequirement wanted, IDictionary<string, string> labels) => (wanted.OperatorProperty, labels.TryGetValue(wanted.Key, out var value)) switch
    {
        ("In", var has) => has && wanted.Values.Contains(value!),
        ("NotIn", var has) => !has || !wanted.Values.Contains(value!),
        ("Exists", var has) => has,
        ("DoesNotExist", var has) => !has,
        var (other, _) => throw new NotSupportedException($"the operator {other} is not known to kubelet-lite."),
    };

    private static bool Tolerates(V1Toleration toleration, V1Taint taint) =>
        (string.IsNullOrEmpty(toleration.Effect) || toleration.Effect == taint.Effect)
        && (toleration.OperatorProperty == "Exists" ? string.IsNullOrEmpty(toleration.Key) || toleration.Key == taint.Key : toleration.Key == taint.Key && (toleration.Value ?? "") == (taint.Value ?? ""));
}
