using System.Diagnostics.Metrics;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>Why a request on the node API, or a connection, was not let in, or not read.</summary>
internal enum NodeApiRefusal
{
    /// <summary>401: it bears no token.</summary>
    NoToken,

    /// <summary>401: its token is over.</summary>
    ExpiredToken,

    /// <summary>401: another issuer, audience, key, account or node, or none that can be read.</summary>
    BadToken,

    /// <summary>503: the signing keys or the nodes have not been read yet.</summary>
    NotKnownYet,

    /// <summary>403: a genuine token that names no node.</summary>
    NoNode,

    /// <summary>429: more than one node may ask.</summary>
    TooMany,

    /// <summary>413: a body beyond its bound.</summary>
    TooLarge,

    /// <summary>400, 408: a body that is not the call's, or that did not come.</summary>
    Unreadable,

    /// <summary>404: no call of the node API.</summary>
    NoSuchCall,

    /// <summary>Closed before its handshake: its address has, or is waiting for, as many connections as one may.</summary>
    TooManyConnections,
}

/// <summary>What the node API has refused. By the reason only: who asked is nobody's to choose labels of.</summary>
internal sealed class NodeApiMetrics : IDisposable
{
    private readonly Meter _meter;
    private readonly long[] _refused = new long[Enum.GetValues<NodeApiRefusal>().Length];

    /// <summary>Its scope is this instance.</summary>
    public NodeApiMetrics()
    {
        _meter = new Meter(new MeterOptions("AwsVpcCni.NodeApi") { Scope = this });
        _meter.CreateObservableCounter(
            "aws_vpc_cni.refused_node_calls", () => Enum.GetValues<NodeApiRefusal>().Select(reason => new Measurement<long>(Volatile.Read(ref _refused[(int)reason]), new KeyValuePair<string, object?>("reason", reason))),
            "{request}", "Requests on the node API that were not let in, or whose body was not taken, and connections closed before their handshake, by the reason.");
    }

    /// <summary>One more.</summary>
    public void Refused(NodeApiRefusal reason) => Interlocked.Increment(ref _refused[(int)reason]);

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
