using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Grains.Subnet;

/// <summary>How a ledger is told of what a node takes over while it may be on a silo of an older build (ADR 0011).</summary>
internal static class LedgerOfEachBuild
{
    /// <summary>As <see cref="ISubnetGrain.TakeOverAsync"/>; one that does not know that is asked what others hold, and hears of the rest with the node's share.</summary>
    public static async Task<ImmutableArray<Block>> TakeOverOfEachBuildAsync(this ISubnetGrain ledger, string nodeId, long change, ImmutableArray<Block> blocks)
    {
        try
        {
            return await ledger.TakeOverAsync(nodeId, change, blocks);
        }
        catch (TypeLoadException)
        {
            return await ledger.HeldByOursAsync(blocks);
        }
    }
}
