using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Grains.Node;

/// <content>Pods that kubelet is about to start: demand from the moment when they are bound.</content>
public sealed partial class NodeGrain
{
    private static readonly TimeSpan BoundLapses = TimeSpan.FromMinutes(1); // Three tellings: who told may have gone, or may not see the API server.

    private (HashSet<(string Namespace, string Name)> Pods, DateTimeOffset At) _bound = ([], default);

    /// <inheritdoc/>
    public Task BoundAsync(ImmutableArray<PodName> pods)
    {
        var told = pods.Take(MostPods).Select(KeyOf).ToHashSet();
        var isMore = !told.IsSubsetOf(_bound.Pods);
        _bound = (told, time.GetUtcNow());
        if (isMore)
        {
            Gather(isNew: true);
            Kick();
        }

        return Task.CompletedTask;
    }

    /// <summary>Those whose ADD is still to come: it neither waits nor has an address. By name: a claim need not know its pod's UID.</summary>
    private int BoundPods(DateTimeOffset now) => _bound.Pods.Count == 0 || (now - _bound.At).Duration() >= BoundLapses ? 0
        : _bound.Pods.Except(_use.Pods.Concat(_waiters.Values.Select(waiter => waiter.Pod)).Select(KeyOf)).Count();

    /// <summary>Whether more are to come than there are addresses ready.</summary>
    private bool IsShortForBound() => time.GetUtcNow() is var now && BoundPods(now) is > 0 and var bound && bound > Free().Count(one => IsRested(one.Held.Address, now));

    private static (string Namespace, string Name) KeyOf(PodName pod) => (pod.Namespace, pod.Name);
}
