using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>The node's door to its grain: over HTTP/2, or inside a simulation. Any call may be lost, late, or served twice.</summary>
/// <remarks>All throw <see cref="NodeApiException"/> when no silo has answered, or one has refused.</remarks>
public interface INodeApi
{
    /// <summary>The silo that answered last, for people; null: none yet, or there is only one.</summary>
    string? Silo => null;

    /// <summary>An ADD.</summary>
    Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation);

    /// <summary>A DEL, or an ADD that was undone.</summary>
    Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation);

    /// <summary>The node's whole state for the grain's whole wish.</summary>
    Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation);

    /// <summary>Listens until the stream ends.</summary>
    /// <param name="hint">Called, on the caller's scheduler, when the stream is open and when a sync would bring news.</param>
    Task ListenAsync(Action hint, CancellationToken cancellation);
}

/// <summary>No silo has done what was asked. The message says which were tried, what they said, and what to do.</summary>
public sealed class NodeApiException(string message, Exception? inner = null) : Exception(message, inner);
