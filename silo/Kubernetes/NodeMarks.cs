using System.Globalization;
using System.Runtime.InteropServices;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using k8s.Models;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>What a Node object is to say of pods' addresses, beside what it says. Pure but for its memory: what passes at once is not written, and nothing twice while the watch lags.</summary>
internal sealed class NodeMarks
{
    /// <summary>The condition: True while no pod of the node can get an address.</summary>
    public const string Condition = "PodAddressesUnavailable";

    /// <summary>The annotation: how many pods the instance can run, those on the host's network included, as EC2's limits are.</summary>
    public const string MaxPods = "aws-vpc-cni-distributed/max-pods";

    private const string Fine = "AddressesAvailable";
    private const int LongestText = 1024;

    /// <summary>What passes sooner is no condition, and the end of one.</summary>
    private static readonly TimeSpan Settles = TimeSpan.FromSeconds(10);

    /// <summary>The same node is not written again sooner, but to turn its condition: what is right is judged by the watch, which may lag, and causes take turns.</summary>
    private static readonly TimeSpan LeastBetween = TimeSpan.FromMinutes(1);

    private readonly Dictionary<string, State> _states = new(StringComparer.Ordinal);

    /// <summary>The annotation's new value; null when it is right, or not known.</summary>
    /// <param name="now">UTC.</param>
    public string? AnnotationFor(NodeNow node, KnownNode known, DateTimeOffset now)
    {
        var (text, state) = (node.MaxPods.ToString(CultureInfo.InvariantCulture), Of(node, now));
        if (node.MaxPods == 0 || text == known.MaxPods || (state.MaxPods == text && now - state.MaxPodsAt < LeastBetween))
        {
            return null;
        }

        (state.MaxPods, state.MaxPodsAt) = (text, now);
        return text;
    }

    /// <summary>The condition as it is to be; null when it is right. Nothing is written of a node that has always been fine.</summary>
    /// <param name="now">UTC.</param>
    public V1NodeCondition? ConditionFor(NodeNow node, KnownNode known, DateTimeOffset now)
    {
        var (why, state) = (Why(node), Of(node, now));
        if (why is null != state.IsFine)
        {
            (state.IsFine, state.Since) = (why is null, now);
        }

        var (status, reason, text) = why is null ? ("False", Fine, "Pods of the node get addresses.") : ("True", why.Code.ToString(), why.Text);
        if ((known.Mark ?? ("False", Fine)) == (status, reason) || now - state.Since < Settles || (state.Status == status && now - state.StatusAt < LeastBetween))
        {
            return null;
        }

        (state.Status, state.StatusAt) = (status, now);
        return new V1NodeCondition
        {
            Type = Condition, Status = status, Reason = reason, Message = text.Length > LongestText ? text[..LongestText] : text,
            LastHeartbeatTime = now.UtcDateTime, LastTransitionTime = known.Mark?.Status == status ? null : now.UtcDateTime,
        };
    }

    /// <summary>Forgets nodes that are not here any more.</summary>
    public void Keep(IEnumerable<string> instances)
    {
        foreach (var gone in _states.Keys.Except(instances).ToArray())
        {
            _states.Remove(gone);
        }
    }

    private State Of(NodeNow node, DateTimeOffset now) => CollectionsMarshal.GetValueRefOrAddDefault(_states, node.InstanceId, out _) ??= new State { Since = now };

    // A node on which every place is taken has nothing ready either; that is no trouble until a pod waits. What is on its way or rests comes by itself.
    private static Reason? Why(NodeNow node) => node.Ready == 0 && News.Trouble(node) is { Code: not (ReasonCode.Drawing or ReasonCode.Cooling) } why ? why : null;

    /// <summary>Of one node: since when it is fine or not, and what was written last.</summary>
    private sealed class State
    {
        public bool IsFine { get; set; } = true;

        public DateTimeOffset Since { get; set; }

        public string? Status { get; set; }

        public DateTimeOffset StatusAt { get; set; }

        public string? MaxPods { get; set; }

        public DateTimeOffset MaxPodsAt { get; set; }
    }
}
