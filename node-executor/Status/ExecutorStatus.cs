using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.NodeExecutor.Status;

/// <summary>How it stands with one executor: the document of <c>node-executor status --json</c>.</summary>
internal sealed record ExecutorStatus
{
    /// <summary>Its instance id.</summary>
    public required string Node { get; init; }

    public required long Incarnation { get; init; }

    public required double UpSeconds { get; init; }

    public required SiloStatus Silo { get; init; }

    public required HostStatus Host { get; init; }

    public required LeaseStatus Lease { get; init; }

    public required ImmutableArray<InterfaceStatus> Interfaces { get; init; }

    /// <summary>What it knows of, sandboxes' first, by address. No more than fit: <see cref="AddressesLeftOut"/>.</summary>
    public required ImmutableArray<AddressStatus> Addresses { get; init; }

    public required int AddressesLeftOut { get; init; }

    /// <summary>ADDs without an address, the one that has waited longest first. No more than fit: <see cref="WaitingLeftOut"/>.</summary>
    public required ImmutableArray<WaitingStatus> Waiting { get; init; }

    public required int WaitingLeftOut { get; init; }

    /// <summary>Every kind, those without a repair too.</summary>
    public required ImmutableArray<RepairStatus> Repairs { get; init; }
}

/// <summary>The talk with the silos.</summary>
/// <param name="Address">Of the silo that answered last; null for none yet.</param>
/// <param name="ContactSeconds">How long ago one has answered; null: never since the start.</param>
/// <param name="Failure">What the last question brought; null: an answer.</param>
/// <param name="Failures">How many have failed since the start.</param>
internal sealed record SiloStatus(string? Address, double? ContactSeconds, string? Failure, long Failures);

/// <summary>What the node has once for all pods.</summary>
/// <param name="IsReady">Rules and table have been in place, so pods may start.</param>
/// <param name="Waiting">ADDs that wait until they are. They have not asked for an address yet, and are not among <see cref="ExecutorStatus.Waiting"/>.</param>
/// <param name="LookedSeconds">How long ago it was looked at; null: not yet.</param>
/// <param name="Failure">What the last look could not do; null: all is as it should be.</param>
internal sealed record HostStatus(bool IsReady, int Waiting, double? LookedSeconds, string? Failure);

/// <summary>The lease in figures.</summary>
/// <param name="Version">Of the node document that it comes from.</param>
/// <param name="Untold">Ended assignments that no silo has acknowledged.</param>
/// <param name="IsFileWritten">False: the last write of the lease file has failed, so no address can be claimed.</param>
/// <param name="Addresses">How many are known, and each of them in one of the next five.</param>
internal sealed record LeaseStatus(long Version, int Untold, bool IsFileWritten, int Addresses, int InUse, int Leaving, int Cooling, int Free, int NotUsable);

/// <summary>An interface that was ordered.</summary>
/// <param name="IsLeaving">Its rule and routes are being taken away.</param>
/// <param name="Addresses">How many of it are known.</param>
/// <param name="InUse">How many of those sandboxes have.</param>
internal sealed record InterfaceStatus(string EniId, string Mac, int NetworkCard, int Device, string PrimaryAddress, bool IsSetUp, bool IsLeaving, int Addresses, int InUse);

/// <summary>One address.</summary>
/// <param name="IsLeased">False: it goes back once it is free and has rested.</param>
/// <param name="Pod">Namespace/name of who has it; null for nobody.</param>
/// <param name="Sandbox">The container's id.</param>
/// <param name="IfName">The interface in the pod.</param>
/// <param name="Network">That the runtime asked it for; null: nobody has it, or the lease file that knew it was lost.</param>
/// <param name="Link">The host's end; null: there is none, or it is being made.</param>
/// <param name="HeldSeconds">Since the claim.</param>
/// <param name="RestsSeconds">Until it may be used again.</param>
internal sealed record AddressStatus(
    string Address, string EniId, AddressState State, bool IsLeased, string? Pod, string? Sandbox, string? IfName, string? Network, string? Link, double? HeldSeconds, double? RestsSeconds);

/// <summary>Where an address stands, in the order in which they are listed.</summary>
internal enum AddressState
{
    /// <summary>A sandbox has it.</summary>
    InUse,

    /// <summary>Its sandbox is over; the link has not gone yet.</summary>
    Leaving,

    /// <summary>It rests before the next pod may have it.</summary>
    Cooling,

    /// <summary>The next pod may have it.</summary>
    Free,

    /// <summary>No pod may have it: not leased (any more), or its interface is not set up.</summary>
    NotUsable,
}

/// <summary>An ADD without an address.</summary>
/// <param name="Seconds">How long.</param>
/// <param name="Code">A <see cref="Core.Contracts.ReasonCode"/>; null: it has not been told yet.</param>
/// <param name="Reason">The text beside it.</param>
internal sealed record WaitingStatus(string Pod, string Sandbox, string IfName, double Seconds, string? Code, string? Reason);

/// <summary>Repairs of one kind since the start.</summary>
/// <param name="LastSeconds">How long ago the last one was; null for none.</param>
internal sealed record RepairStatus(string Kind, long Count, double? LastSeconds);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(ExecutorStatus))]
internal sealed partial class ExecutorStatusJson : JsonSerializerContext;
