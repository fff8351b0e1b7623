using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.History;

/// <summary>Who has an address, and who has had it. Key: the VPC's id.</summary>
public interface IAddressHistoryGrain : IGrainWithStringKey
{
    /// <summary>Who has or had the address on a node of ours.</summary>
    /// <param name="address">Of any subnet of the VPC, also of one that is no more.</param>
    /// <param name="at">Only who had it at this moment, by the silos' clocks. Null: who has it now, and the latest before.</param>
    /// <exception cref="StoreException">The store does not answer.</exception>
    Task<AddressHolders> WhoAsync(Ip address, DateTimeOffset? at);
}

/// <summary>Who has or had an address.</summary>
/// <param name="SubnetId">Null when no subnet of the VPC contains it.</param>
/// <param name="Holders">The latest first; at most <see cref="Most"/>.</param>
/// <param name="NotHeard">Nodes that may have given it to a pod of which nobody here knows; at most <see cref="Most"/>. Empty: the holders are all there are. Null from a silo of before it was told.</param>
[GenerateSerializer, Immutable]
public sealed record AddressHolders([property: Id(0)] string? SubnetId, [property: Id(1)] ImmutableArray<AddressRow> Holders, [property: Id(2)] ImmutableArray<NotHeard>? NotHeard = null)
{
    /// <summary>Of one answer.</summary>
    public const int Most = 20;
}

/// <summary>A node that could not be asked.</summary>
/// <param name="Since">When its executor reported last, or its grain began; null: its grain does not answer, or is on a silo that does not know. UTC.</param>
[GenerateSerializer, Immutable]
public sealed record NotHeard([property: Id(0)] string NodeId, [property: Id(1)] DateTimeOffset? Since);
