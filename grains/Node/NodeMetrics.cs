using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Grains.Node;

/// <summary>What the node grains of one silo tell for graphs, alarms and events. One series a reason, however many nodes and pods there are.</summary>
public sealed class NodeMetrics : IDisposable
{
    /// <summary>Of the meter; its scope is the instance of this class.</summary>
    public const string MeterName = "AwsVpcCni.Node";

    /// <summary>ADDs without an address; its tag <c>reason</c> is a <see cref="ReasonCode"/>.</summary>
    public const string WaitingPods = "aws_vpc_cni.waiting_pods";

    /// <summary>Nodes whose instance is gone and that have been retired.</summary>
    public const string RetiredNodes = "aws_vpc_cni.retired_nodes";

    private static readonly ReasonCode[] Codes = Enum.GetValues<ReasonCode>();

    private readonly Meter _meter;
    private readonly Counter<long> _retired;
    private readonly ConcurrentDictionary<string, NodeNow> _nodes = new(StringComparer.Ordinal);

    /// <summary>Its series are there from the start, at 0.</summary>
    public NodeMetrics()
    {
        _meter = new Meter(new MeterOptions(MeterName) { Scope = this });
        _meter.CreateObservableUpDownCounter(
            WaitingPods, ReadWaiting,
            "{pod}", "Pods that wait for an address, by reason.");
        _retired = _meter.CreateCounter<long>(RetiredNodes, "{node}", "Nodes whose instance is gone and that have been retired.");
    }

    /// <summary>The nodes whose grains are on this silo, in no order.</summary>
    public ICollection<NodeNow> Nodes => _nodes.Values;

    /// <summary>Whether a node's grain is on this silo.</summary>
    public bool Has(string instanceId) => _nodes.ContainsKey(instanceId);

    /// <summary>A node is so now.</summary>
    public void Is(NodeNow node) => _nodes[node.InstanceId] = node;

    /// <summary>Its grain goes; another silo's may tell of it.</summary>
    public void Gone(string instanceId) => _nodes.TryRemove(instanceId, out _);

    /// <summary>One more.</summary>
    public void Retired() => _retired.Add(1);

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private IEnumerable<Measurement<int>> ReadWaiting()
    {
        var waiting = Nodes.SelectMany(node => node.Waiting).CountBy(pod => pod.Why.Code).ToDictionary();
        return Codes.Select(code => new Measurement<int>(waiting.GetValueOrDefault(code), new KeyValuePair<string, object?>("reason", code.ToString())));
    }
}
