using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Core.Pool;

/// <summary>Decides what one node asks of EC2 next. Pure: the same arguments give the same actions.</summary>
/// <remarks>It thinks in blocks of one kind: prefixes where policy and type want them, else addresses. What the node holds of the other
/// kind serves on until it is free, and then goes. How much is wanted is reckoned in <see cref="PoolNeed"/>, growing in
/// <see cref="PoolGrowth"/>, giving back in <see cref="PoolRelease"/>.</remarks>
public static class PoolPlanner
{
    /// <summary>Waiting pods come first, then the target; room on the interfaces caps both.</summary>
    /// <remarks>Giving up starts only when nothing is being drawn and nothing cools, so that a burst does not draw and return in turn.</remarks>
    /// <returns>Actions in the order in which to run them; empty when the node has what it needs.</returns>
    public static ImmutableArray<PoolAction> Plan(NodeState node, PoolPolicy policy, ExpectedWaits waits = default) => OperatorSwitches.Left(PlanFreely(node, policy, waits), node);

    private static ImmutableArray<PoolAction> PlanFreely(NodeState node, PoolPolicy policy, ExpectedWaits waits)
    {
        if (!policy.Provisions)
        {
            return [];
        }

        var prefixes = DrawsPrefixes(node, policy);
        var target = PoolThrift.Drawn(node, policy);
        var need = Need(node, target, prefixes);
        if (need.Short > 0)
        {
            var grown = PoolGrowth.Plan(node, target, prefixes, need, waits, PoolThrift.FromShort(node, policy, target, prefixes));
            if (!grown.IsEmpty)
            {
                return grown;
            }
        }

        // Once what is to serve instead is there, or cannot be had: without any address the node would not be ready.
        ImmutableArray<Block> excluded = [.. node.Enis.SelectMany(eni => eni.Excluded)];
        if (!excluded.IsEmpty && node.Enis.All(eni => eni.Drawing == 0))
        {
            return [new PoolAction.GiveUp(excluded)];
        }

        if (PoolThrift.LevelOf(node, policy) != SubnetLevel.Plenty || PoolThrift.IsRecalled(node, policy))
        {
            return PoolThrift.Release(node, policy, prefixes, need);
        }

        var isQuiet = node.Enis.All(eni => eni.Drawing == 0 && (!eni.ForPods || eni.Blocks.All(block => block.Cooling == 0)));
        return isQuiet && node.WaitingPods == 0 ? PoolRelease.Plan(node, target, prefixes, need) : PoolRelease.RemoveEmpty(node, need);
    }

    /// <summary>Whether a pod waits that could be served by one way or another, so that how long each takes decides what is planned.</summary>
    public static bool HasChoice(NodeState node, PoolPolicy policy) => node.WaitingPods > 0
        && !Plan(node, policy).SequenceEqual(Plan(node, policy, new ExpectedWaits(Draw: TimeSpan.MaxValue, NewInterface: TimeSpan.Zero)));

    /// <summary>Whether this node is to hold prefixes.</summary>
    public static bool DrawsPrefixes(NodeState node, PoolPolicy policy) => policy.Prefixes && node.TakesPrefixes;

    /// <summary>Whether the node is short of nothing.</summary>
    public static bool IsServed(NodeState node, PoolPolicy policy) => Need(node, PoolThrift.Drawn(node, policy), DrawsPrefixes(node, policy)).Short == 0;

    /// <summary>How far the node is from its target.</summary>
    public static PoolNeed Need(NodeState node, PoolTarget target, bool prefixes)
    {
        var counts = Count(node, prefixes);
        var need = PoolNeed.Of(target, counts, prefixes, node.Slots);
        // Beyond kubelet's own limit nothing is kept warm; a pod that waits is no forecast.
        return counts.Total >= node.MaxPods && counts.Waiting == 0 ? need with { Short = 0, Missing = 0 } : need;
    }

    /// <summary>Addresses that are missing when what is free of the other kind counts in full, too.</summary>
    public static int MissingOfEither(NodeState node, PoolTarget target, bool prefixes)
    {
        var held = Count(node, prefixes);
        held = held with { Total = held.Total + held.OtherFree, Free = held.Free + held.OtherFree, Waiting = node.WaitingPods + node.BoundPods };
        return PoolNeed.Of(target, held, prefixes, node.Slots).Missing;
    }

    /// <summary>What the node holds of the kind that it draws. Pods that wait take what is free of the other kind first.</summary>
    public static PoolCounts Count(NodeState node, bool prefixes)
    {
        var blocks = node.Enis.SelectMany(eni => eni.Blocks).ToArray();
        var ours = blocks.Where(block => block.Block.IsPrefix == prefixes).ToArray();
        var drawing = node.Enis.Where(eni => eni.DrawingPrefixes == prefixes).Sum(eni => eni.Drawing);
        var otherFree = blocks.Where(block => block.Block.IsPrefix != prefixes).Sum(block => block.Free) + node.Enis.Sum(eni => eni.Drawing) - drawing;
        return new PoolCounts(
            ours.Sum(block => block.Block.Size) + drawing, ours.Sum(block => block.OnPods), ours.Sum(block => block.Free) + drawing,
            ours.Count(block => block.Block.IsPrefix && block.IsFree) + (prefixes ? drawing / Block.PrefixSize : 0),
            Math.Max(0, node.WaitingPods + node.BoundPods - otherFree), node.RecentAdds, otherFree);
    }
}
