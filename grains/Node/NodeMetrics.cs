using System.Diagnostics.Metrics;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Grains.Node;

/// <summary>What the node grains of one silo tell for graphs and alarms. One series a reason, however many nodes and pods there are.</summary>
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
    private readonly int[] _waiting = new int[Codes.Length];

    /// <summary>Its series are there from the start, at 0.</summary>
    public NodeMetrics()
    {
        _meter = new Meter(new MeterOptions(MeterName) { Scope = this });
        _meter.CreateObservableUpDownCounter(
            WaitingPods, () => Codes.Select(code => new Measurement<int>(Volatile.Read(ref _waiting[(int)code]), new KeyValuePair<string, object?>("reason", code.ToString()))),
            "{pod}", "Pods that wait for an address, by reason.");
        _retired = _meter.CreateCounter<long>(RetiredNodes, "{node}", "Nodes whose instance is gone and that have been retired.");
    }

    /// <summary>So many more, or fewer, wait for this reason.</summary>
    public void Waiting(ReasonCode reason, int more) => Interlocked.Add(ref _waiting[(int)reason], more);

    /// <summary>One more.</summary>
    public void Retired() => _retired.Add(1);

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
