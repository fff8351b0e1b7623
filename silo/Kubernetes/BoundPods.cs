using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using k8s.Models;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>The pods that are bound to a node and have no address yet, as last seen, and whom to tell of them. Values in, values out; <see cref="PodWatch"/> fills it.</summary>
internal sealed class BoundPods
{
    /// <summary>So long a pod counts: what has not begun by then waits for something else, such as a volume.</summary>
    public static readonly TimeSpan Counts = TimeSpan.FromMinutes(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, ImmutableArray<PodName>> _told = new(StringComparer.Ordinal); // By instance; what is empty is not kept.
    private Dictionary<(string Namespace, string Name), Bound> _pods = [];

    private sealed record Bound(string Node, PodName Pod, DateTimeOffset Since);

    /// <summary>These are all.</summary>
    public void Reset(IEnumerable<V1Pod> pods, DateTimeOffset now)
    {
        lock (_lock)
        {
            var before = _pods;
            _pods = [];
            foreach (var pod in pods)
            {
                Put(pod, now, before);
            }
        }
    }

    /// <summary>One that is new or has changed.</summary>
    public void Put(V1Pod pod, DateTimeOffset now)
    {
        lock (_lock)
        {
            Put(pod, now, _pods);
        }
    }

    /// <summary>One that is gone, or is bound and pending no more.</summary>
    public void Remove(V1Pod pod)
    {
        lock (_lock)
        {
            _pods.Remove(KeyOf(pod));
        }
    }

    /// <summary>What instances are to be told: each all of its pods.</summary>
    /// <param name="instanceOf">The instance of a node; null for none.</param>
    /// <param name="isHere">Whether an instance is this silo's to tell.</param>
    /// <param name="again">Also those to whom it is no news, but for those without pods.</param>
    public ImmutableArray<(string InstanceId, ImmutableArray<PodName> Pods)> Due(Func<string, string?> instanceOf, Func<string, bool> isHere, bool again, DateTimeOffset now)
    {
        lock (_lock)
        {
            var all = (from pod in _pods.Values
                       where now - pod.Since < Counts
                       group pod.Pod by pod.Node into node
                       let instance = instanceOf(node.Key)
                       where instance is not null && isHere(instance)
                       group node by instance into one
                       select (InstanceId: one.Key, Pods: one.SelectMany(node => node).OrderBy(pod => pod.ToString(), StringComparer.Ordinal).ToImmutableArray())).ToDictionary(one => one.InstanceId, one => one.Pods, StringComparer.Ordinal);
            ImmutableArray<(string, ImmutableArray<PodName>)> due =
            [
                .. from one in all where again || !_told.TryGetValue(one.Key, out var before) || !before.SequenceEqual(one.Value) select (one.Key, one.Value),
                .. from gone in _told.Keys where !all.ContainsKey(gone) && isHere(gone) select (gone, ImmutableArray<PodName>.Empty),
            ];
            _told.Clear();
            foreach (var (instance, pods) in all)
            {
                _told[instance] = pods;
            }

            return due;
        }
    }

    private void Put(V1Pod pod, DateTimeOffset now, Dictionary<(string Namespace, string Name), Bound> before)
    {
        var (key, uid) = (KeyOf(pod), pod.Metadata.Uid);
        if (!IsToCome(pod))
        {
            _pods.Remove(key);
            return;
        }

        var since = before.TryGetValue(key, out var known) && known.Pod.Uid == uid ? known.Since : now;
        _pods[key] = new Bound(pod.Spec.NodeName, new PodName(key.Namespace, key.Name, uid), since);
    }

    /// <summary>Bound, not ended or ending, of the pod network, and without an address.</summary>
    private static bool IsToCome(V1Pod pod) => pod is { Metadata.DeletionTimestamp: null, Spec: { NodeName: { Length: > 0 }, HostNetwork: not true } } && pod.Status is null or { Phase: null or "Pending", PodIP: null or "" };

    private static (string Namespace, string Name) KeyOf(V1Pod pod) => (pod.Metadata.NamespaceProperty, pod.Metadata.Name);
}
