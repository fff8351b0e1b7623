using System.Text.RegularExpressions;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using k8s.Models;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Something that people are to know of a pod or a node, as an event. Pure.</summary>
/// <param name="Reason">UpperCamelCase; one of few.</param>
/// <param name="At">When it happened, in UTC; null for what goes on.</param>
internal sealed partial record News(V1ObjectReference About, string Reason, string Text, DateTimeOffset? At = null, bool IsNormal = false)
{
    /// <summary>Of a node at most so many pods are named; the others wait for the same.</summary>
    public const int MostPods = 10;

    /// <summary>All of a node.</summary>
    /// <param name="known">Its Node object; null where the cluster has none of this instance, and then only its pods are told of.</param>
    public static IEnumerable<News> Of(NodeNow node, KnownNode? known)
    {
        foreach (var pod in node.Waiting.Where(pod => IsNamed(pod.Pod)).Take(MostPods))
        {
            yield return new News(ObjectOf(pod.Pod), pod.Why.Code.ToString(), pod.Why.Text);
        }

        foreach (var (address, pod) in node.Lost.Where(lost => IsNamed(lost.Pod)))
        {
            yield return new News(ObjectOf(pod), "AddressLost", $"EC2 no longer shows {address} on {node.InstanceId}: somebody has taken it, and the pod cannot rely on it. Delete the pod, so that it gets another one.");
        }

        if (known is null)
        {
            yield break;
        }

        if (Trouble(node) is { } why)
        {
            yield return new News(ObjectOf(known), why.Code.ToString(), why.Text);
        }

        if (node.LastRecall is { } recall)
        {
            yield return new News(
                ObjectOf(known), "AddressesRecalled", $"{recall.SubnetId} is dry: {node.InstanceId} was asked for {recall.Addresses} of its free addresses there, for pods that wait on other nodes.", recall.At, IsNormal: true);
        }
    }

    /// <summary>What the node's operator is to know: why its first pod waits, or why it has not what it wants.</summary>
    public static Reason? Trouble(NodeNow node) => node.Waiting is [var first, ..] ? first.Why : node.Trouble;

    /// <summary>What events are of the same thing.</summary>
    public string Key => $"{About.Kind}/{About.NamespaceProperty}/{About.Name}/{About.Uid}/{Reason}";

    // What an executor says, nobody has checked before.
    private static bool IsNamed(PodName pod) => pod.Namespace.Length <= 63 && pod.Name.Length <= 253 && pod.Uid.Length <= 63 && NameForm().IsMatch(pod.Namespace) && NameForm().IsMatch(pod.Name);

    [GeneratedRegex(@"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?\z")]
    private static partial Regex NameForm();

    private static V1ObjectReference ObjectOf(PodName pod) => new()
    {
        Kind = "Pod", ApiVersion = "v1", NamespaceProperty = pod.Namespace, Name = pod.Name, Uid = pod.Uid.Length > 0 ? pod.Uid : null,
    };

    private static V1ObjectReference ObjectOf(KnownNode node) => new() { Kind = "Node", ApiVersion = "v1", Name = node.Name, Uid = node.Uid };
}
