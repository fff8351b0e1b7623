using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Grains.Subnet;

/// <summary>How a ledger is told of what a node takes over, and of what EC2 shows, while it may be on a silo of an older build (ADR 0011).</summary>
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

    /// <summary>As <see cref="ISubnetGrain.LookedAsync"/>; one that does not know that is told all of it each time.</summary>
    /// <returns>Null: it does not know what it was told against.</returns>
    public static async Task<LookEffect?> LookedOfEachBuildAsync(this ISubnetGrain ledger, SubnetSweep look)
    {
        try
        {
            return await ledger.LookedAsync(look);
        }
        catch (TypeLoadException) when (look.Since is null)
        {
            await ledger.SweptAsync(look);
            return null;
        }
        catch (TypeLoadException)
        {
            return LookEffect.TellAll;
        }
    }
}
