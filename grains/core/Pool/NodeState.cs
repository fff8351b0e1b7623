using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Core.Pool;

/// <summary>What the planner needs to know of a node.</summary>
public sealed record NodeState
{
    /// <summary>The interfaces that we manage, in the order in which they are filled, those being made included.</summary>
    public required ImmutableArray<EniState> Enis { get; init; }

    /// <summary>What an interface of this type holds besides its own address: addresses and prefixes alike.</summary>
    public required int Slots { get; init; }

    /// <summary>Whether its type takes prefixes.</summary>
    public bool TakesPrefixes { get; init; } = true;

    /// <summary>How many interfaces more it could get, by type and policy.</summary>
    public int NewInterfaces { get; init; }

    /// <summary>Interfaces that are being detached and deleted: their places are free again soon.</summary>
    public int Removing { get; init; }

    /// <summary>Where a new interface could be, the best first.</summary>
    public ImmutableArray<SubnetRoom> NewIn { get; init; } = [];

    /// <summary>ADDs without an address.</summary>
    public int WaitingPods { get; init; }

    /// <summary>Pods whose ADDs are about to come. They are drawn for as those that wait, and keep nothing from being given back beyond.</summary>
    public int BoundPods { get; init; }

    /// <summary>ADDs that 15 s bring, at the rate of the last minute.</summary>
    public int RecentAdds { get; init; }

    /// <summary>Pods that kubelet would run; null when nobody told. Nothing is kept warm beyond.</summary>
    public int? MaxPods { get; init; }
}

/// <summary>One interface.</summary>
public sealed record EniState
{
    /// <summary>Which; empty for one that is being made.</summary>
    public required string EniId { get; init; }

    /// <summary>Whether it may be detached and deleted when it is empty: not the primary one, nor a trunk or EFA interface.</summary>
    public bool MayGo { get; init; }

    /// <summary>Whether it gives pods addresses: not the primary one with custom networking, nor a trunk, nor one in a subnet that is excluded.</summary>
    public bool ForPods { get; init; } = true;

    /// <summary>What it holds and keeps.</summary>
    public ImmutableArray<BlockState> Blocks { get; init; } = [];

    /// <summary>Slots that could take more, what is being drawn and what is leaving counted as there.</summary>
    public int Room { get; init; }

    /// <summary>Addresses on their way from EC2.</summary>
    public int Drawing { get; init; }

    /// <summary>Whether those on their way are prefixes.</summary>
    public bool DrawingPrefixes { get; init; }

    /// <summary>Of one whose subnet is excluded: rested blocks that no pod will get. They are in no other figure but <see cref="Leaving"/>.</summary>
    public ImmutableArray<Block> Excluded { get; init; } = [];

    /// <summary>Blocks that were asked back or are being returned, or will be.</summary>
    public int Leaving { get; init; }

    /// <summary>What its subnet has, as far as is known.</summary>
    public SubnetRoom Subnet { get; init; } = new("");
}

/// <summary>A block that an interface holds and keeps.</summary>
/// <param name="OnPods">Of its addresses.</param>
/// <param name="Cooling">Of its addresses.</param>
/// <param name="Ripe">None of its addresses has been on a pod for the preferred rest: it may go.</param>
public readonly record struct BlockState(Block Block, int OnPods, int Cooling, bool Ripe)
{
    /// <summary>Addresses that a pod could get now.</summary>
    public int Free => Block.Size - OnPods - Cooling;

    /// <summary>Whether nothing of it is used or cools.</summary>
    public bool IsFree => Free == Block.Size;
}

/// <summary>What a subnet was last seen to have.</summary>
/// <param name="SubnetId">Which.</param>
/// <param name="HasAddresses">False: it is dry.</param>
/// <param name="HasPrefixes">False: no /28 of it is whole.</param>
/// <param name="Level">As its ledger has said.</param>
/// <param name="Recalled">Addresses that the ledger asks back for other nodes' pods.</param>
/// <param name="Mode">What operators let the node change there.</param>
public readonly record struct SubnetRoom(string SubnetId, bool HasAddresses = true, bool HasPrefixes = true, SubnetLevel Level = SubnetLevel.Plenty, int Recalled = 0, SwitchMode Mode = SwitchMode.Normal);

/// <summary>How long EC2's budget lets a pod's calls wait until it is their turn.</summary>
/// <param name="Draw">AssignPrivateIpAddresses.</param>
/// <param name="NewInterface">CreateNetworkInterface, AttachNetworkInterface and the time that attaching takes.</param>
public readonly record struct ExpectedWaits(TimeSpan Draw, TimeSpan NewInterface);
