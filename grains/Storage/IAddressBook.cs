using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Grains.Storage;

/// <summary>Who holds an address of a node, one row an address, changed by conditional writes only; and who has had it.</summary>
/// <remarks>A write is durable before the task ends. Every method throws <see cref="StoreException"/> when the store does not
/// answer in its time; whether the write happened is then unknown, and the same call again finds out.</remarks>
public interface IAddressBook
{
    /// <summary>Every row of the node, by address.</summary>
    Task<ImmutableArray<AddressRow>> ReadNodeAsync(string nodeId, CancellationToken cancellation);

    /// <summary>Writes the row if its address has none, or a released one.</summary>
    /// <param name="row">Not released.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>Null when written, or when the row that stands there carries the same stamp and sandbox (our own write, whose
    /// answer was lost); else the row that stands there.</returns>
    Task<AddressRow?> TryAssignAsync(AddressRow row, CancellationToken cancellation);

    /// <summary>Writes who has had the address into its history, and then marks the row as released, if it is still of this sandbox and not younger
    /// than the stamp.</summary>
    /// <remarks>An assignment that is in the history already stays there as it is: its end was known before.</remarks>
    /// <param name="ended">With the moment of its release.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>True when the row is now released (also when it was before); false when there is no such row.</returns>
    Task<bool> TryReleaseAsync(AddressRow ended, CancellationToken cancellation);

    /// <summary>The same for an offer that its executor has not used: it was nobody's, and is in no history.</summary>
    /// <param name="offer">With the moment of its end.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>As of <see cref="TryReleaseAsync"/>.</returns>
    Task<bool> TryWithdrawAsync(AddressRow offer, CancellationToken cancellation);

    /// <summary>Takes the row of an address that is returned to EC2 away, if it is released.</summary>
    /// <returns>True when there is no row any more.</returns>
    Task<bool> TryRemoveAsync(string nodeId, Ip address, CancellationToken cancellation);

    /// <summary>Who has had the address on any node, and has it no more: what ended at or after <paramref name="from"/>, began at or before
    /// <paramref name="to"/>, and is not older than the history goes back.</summary>
    /// <returns>By beginning.</returns>
    Task<ImmutableArray<AddressRow>> ReadHistoryAsync(Ip address, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellation);
}

/// <summary>One item of <c>addresses</c>, or of its history.</summary>
[GenerateSerializer, Immutable]
public sealed record AddressRow
{
    /// <summary>The instance; the hash key.</summary>
    [Id(0)]
    public required string NodeId { get; init; }

    /// <summary>The range key.</summary>
    [Id(1)]
    public required Ip Address { get; init; }

    /// <summary>Who has it, or had it last.</summary>
    [Id(2)]
    public required SandboxKey Sandbox { get; init; }

    /// <summary>What people call the pod.</summary>
    [Id(3)]
    public required PodName Pod { get; init; }

    /// <summary>Of the ADD.</summary>
    [Id(4)]
    public required Stamp Stamp { get; init; }

    /// <summary>When it was assigned. UTC, the silo's clock.</summary>
    [Id(5)]
    public required DateTimeOffset Since { get; init; }

    /// <summary>When it became free. UTC, the silo's clock. Null while the sandbox has it.</summary>
    [Id(6)]
    public DateTimeOffset? Released { get; init; }
}

/// <summary>The store did not answer, refused, or is damaged.</summary>
/// <remarks>An Orleans exception, since Orleans wraps every other one that a document's storage throws.</remarks>
/// <param name="message">What was tried, which row or document, what to do.</param>
/// <param name="inner">What the provider threw.</param>
[GenerateSerializer]
public sealed class StoreException(string message, Exception? inner = null) : OrleansException(message, inner!);
