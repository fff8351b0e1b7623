using System.Globalization;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using k8s.Models;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>What a Node object is to say of pods' addresses, beside what it says. Pure but for since when a node has none.</summary>
internal sealed class NodeMarks
{
    /// <summary>The condition: True while no pod of the node can get an address.</summary>
    public const string Condition = "PodAddressesUnavailable";

    /// <summary>The annotation: how many pods the instance can run, those on the host's network included, as EC2's limits are.</summary>
    public const string MaxPods = "aws-vpc-cni-distributed/max-pods";

    private const string Fine = "AddressesAvailable";
    private const int LongestText = 1024;

    /// <summary>What passes sooner is no condition.</summary>
    private static readonly TimeSpan Settles = TimeSpan.FromSeconds(10);

    private readonly Dictionary<string, DateTimeOffset> _since = new(StringComparer.Ordinal);

    /// <summary>The annotation's new value; null when it is right, or not known.</summary>
    public static string? AnnotationFor(NodeNow node, KnownNode known) =>
        node.MaxPods > 0 && node.MaxPods.ToString(CultureInfo.InvariantCulture) is var text && text != known.MaxPods ? text : null;

    /// <summary>The condition as it is to be; null when it is right. Nothing is written of a node that has always been fine.</summary>
    /// <param name="now">UTC.</param>
    public V1NodeCondition? ConditionFor(NodeNow node, KnownNode known, DateTimeOffset now)
    {
        var why = Why(node);
        if (why is null)
        {
            _since.Remove(node.InstanceId);
        }
        else if (_since.TryAdd(node.InstanceId, now) || now - _since[node.InstanceId] < Settles)
        {
            return null;
        }

        var (status, reason, text) = why is null ? ("False", Fine, "Pods of the node get addresses.") : ("True", why.Code.ToString(), why.Text);
        if ((known.Mark ?? ("False", Fine)) == (status, reason))
        {
            return null;
        }

        return new V1NodeCondition
        {
            Type = Condition, Status = status, Reason = reason, Message = text.Length > LongestText ? text[..LongestText] : text,
            LastHeartbeatTime = now.UtcDateTime, LastTransitionTime = known.Mark?.Status == status ? null : now.UtcDateTime,
        };
    }

    /// <summary>Forgets nodes that are not here any more.</summary>
    public void Keep(IEnumerable<string> instances)
    {
        foreach (var gone in _since.Keys.Except(instances).ToArray())
        {
            _since.Remove(gone);
        }
    }

    // A node on which every place is taken has nothing ready either; that is no trouble until a pod waits.
    private static Reason? Why(NodeNow node) => node.Ready > 0 ? null : News.Trouble(node);
}
