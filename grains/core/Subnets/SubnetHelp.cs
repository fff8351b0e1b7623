using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Core.Subnets;

/// <summary>What would help a subnet of which little is left.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SubnetHelpCode>))]
public enum SubnetHelpCode
{
    /// <summary>Nodes keep addresses ready.</summary>
    LowerTargets,

    /// <summary>What is no node's of ours holds addresses.</summary>
    FreeOthers,

    /// <summary>Draws under way, or given up, have addresses set aside.</summary>
    AwaitReservations,

    /// <summary>Free addresses are no whole /28.</summary>
    WholeBlocks,

    /// <summary>More addresses.</summary>
    FurtherSubnet,
}

/// <summary>One thing that would help.</summary>
/// <param name="Addresses">So many it would bring at most; 0 when that cannot be told.</param>
/// <param name="Text">For people, with the numbers and what to do.</param>
public sealed record SubnetHelp(SubnetHelpCode Code, int Addresses, string Text)
{
    /// <summary>What would help, that which brings most first. Pure.</summary>
    /// <param name="free">Addresses.</param>
    /// <param name="freeBlocks">Whole /28s among them.</param>
    /// <param name="warm">Addresses that nodes of ours hold free and rested.</param>
    /// <param name="others">Addresses that no node of ours holds.</param>
    /// <param name="reserved">Addresses that are set aside.</param>
    /// <param name="dry">When nothing will be free; null while that cannot be told.</param>
    /// <param name="level">What nodes are told of it.</param>
    /// <returns>Empty while there is plenty: some address is free, nodes are not kept from drawing, and it does not run dry within <see cref="ExhaustionForecast.Horizon"/>.</returns>
    public static ImmutableArray<SubnetHelp> For(long free, int freeBlocks, int warm, int others, int reserved, DryTime? dry, SubnetLevel level)
    {
        var isLow = free == 0 || level != SubnetLevel.Plenty || dry?.Median is not null;
        SubnetHelp?[] found =
        [
            isLow && warm > 0 ? new(SubnetHelpCode.LowerTargets, warm, $"{warm} addresses are kept ready on nodes: lower the policy's targets (warmIps, minimumIps, warmEnis, warmPrefixes).") : null,
            isLow && others > 0 ? new(SubnetHelpCode.FreeOthers, others, $"{others} addresses are on interfaces of others: load balancers, endpoints, instances without our executor. EC2's list of the subnet's interfaces names them.") : null,
            isLow && reserved > 0 ? new(SubnetHelpCode.AwaitReservations, reserved, $"{reserved} addresses are set aside for draws under way; what is given up is free again within an hour.") : null,
            freeBlocks == 0 && free >= Addressing.Block.PrefixSize ? new(SubnetHelpCode.WholeBlocks, 0, $"{free} addresses are free, and no whole /28: nodes with prefixes draw single addresses meanwhile. A further subnet, or one with a CIDR reservation for prefixes, has whole ones.") : null,
            isLow ? new(SubnetHelpCode.FurtherSubnet, 0, $"A further subnet of the zone, tagged {SubnetRoles.RoleTag}=1; or a further CIDR of the VPC for one.") : null,
        ];
        return [.. found.OfType<SubnetHelp>().OrderByDescending(one => one.Addresses)]; // Stable: those that cannot be told stay in the order above.
    }
}
