using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Core.Pool;

/// <summary>How a node gives back what it has too much of, so that whole prefixes and whole interfaces become free. Pure.</summary>
internal static class PoolRelease
{
    /// <summary>What is of the other kind, or beyond the target; when neither, an interface that could be done without is made superfluous.</summary>
    public static ImmutableArray<PoolAction> Plan(NodeState node, PoolTarget target, bool prefixes, PoolNeed need)
    {
        ImmutableArray<Block> blocks = [.. Leftovers(node, prefixes, need), .. Surplus(node, target, prefixes, need)];
        if (!blocks.IsEmpty)
        {
            return [new PoolAction.GiveUp(blocks)];
        }

        var removals = RemoveEmpty(node, need);
        return removals.IsEmpty && need.Short == 0 ? Gather(node, target, prefixes) : removals;
    }

    /// <summary>An interface without anything for pods serves nobody and keeps its own address from others. While the node is short it may serve soon, but for one that
    /// gives pods nothing: its place can be another's.</summary>
    public static ImmutableArray<PoolAction> RemoveEmpty(NodeState node, PoolNeed need) =>
        [.. node.Enis.Where(eni => (need.Short == 0 || !eni.ForPods) && eni is { MayGo: true, Blocks.IsEmpty: true, Leaving: 0, Drawing: 0 }).Select(eni => new PoolAction.RemoveInterface(eni.EniId))];

    /// <summary>Free blocks of the kind that is not drawn any more. While the node is short they serve as warm ones; but where only their
    /// slots keep a prefix out, one prefix is worth more.</summary>
    public static IEnumerable<Block> Leftovers(NodeState node, bool prefixes, PoolNeed need)
    {
        var leftovers = node.Enis.Where(eni => need.Short == 0 || (prefixes && eni is { ForPods: true, Room: 0, Subnet.HasPrefixes: true }))
            .SelectMany(eni => eni.Blocks).Where(block => block.Block.IsPrefix != prefixes && block.Ripe && block.IsFree).Select(block => block.Block);
        return need.Short == 0 ? leftovers : leftovers.Take(need.Short / Block.PrefixSize);
    }

    /// <summary>Of the kind that is drawn, what is beyond the need: whole interfaces first.</summary>
    public static List<Block> Surplus(NodeState node, PoolTarget target, bool prefixes, PoolNeed need)
    {
        var over = need.Over;
        var given = new List<Block>();
        // Interfaces that can go as a whole, the smallest first so that the most can, and of equal ones the last.
        var enis = node.Enis.Select((eni, index) => (Eni: eni, Index: index, Kept: eni.Blocks.Where(block => block.Block.IsPrefix == prefixes).ToArray())).ToList();
        foreach (var one in enis.Where(one => one.Eni.MayGo && one.Kept.Length > 0 && one.Eni.Blocks.All(block => block.IsFree && block.Ripe))
            .OrderBy(one => one.Kept.Length).ThenByDescending(one => one.Index).ToArray())
        {
            var size = one.Kept.Sum(block => block.Block.Size);
            if (size <= over)
            {
                given.AddRange(one.Kept.Select(block => block.Block));
                over -= size;
                enis.Remove(one);
            }
        }

        if (target is PoolTarget.OfInterfaces)
        {
            return given; // Its surplus goes by whole interfaces only.
        }

        // Then from the interface that is nearest to being empty. What is free there and has not rested for long enough is waited for,
        // else the others would be emptied instead.
        foreach (var one in enis.OrderByDescending(one => one.Eni.MayGo).ThenBy(one => one.Eni.Blocks.Sum(block => block.OnPods)).ThenByDescending(one => one.Index))
        {
            var free = one.Kept.Where(block => block.IsFree).OrderByDescending(block => block.Block).ToArray();
            foreach (var block in free.Where(block => block.Ripe && block.Block.Size <= over))
            {
                given.Add(block.Block);
                over -= block.Block.Size;
            }

            if (free.Any(block => !block.Ripe))
            {
                break;
            }
        }

        return given;
    }

    /// <summary>Draws on the other interfaces what an idle one holds, when they have room: then that one is surplus, and goes. Not on an empty
    /// one, which is about to go itself.</summary>
    private static ImmutableArray<PoolAction> Gather(NodeState node, PoolTarget target, bool prefixes)
    {
        foreach (var idle in target is PoolTarget.OfInterfaces ? [] : node.Enis.Reverse())
        {
            if (idle is not { MayGo: true, Leaving: 0, Blocks.IsEmpty: false, Subnet.Mode: SwitchMode.Normal } || !idle.Blocks.All(block => block.IsFree && block.Ripe))
            {
                continue;
            }

            var without = node with { Enis = node.Enis.RemoveAll(eni => eni == idle || eni is { MayGo: true, Blocks.IsEmpty: true }), NewInterfaces = 0 };
            var need = PoolPlanner.Need(without, target, prefixes);
            var draws = PoolGrowth.Plan(without, target, prefixes, need, default, fromShort: 0);
            if (draws.OfType<PoolAction.Draw>().Where(draw => draw.Prefixes == prefixes).Sum(draw => draw.Count) * (prefixes ? Block.PrefixSize : 1) >= need.Short && need.Short > 0)
            {
                return draws;
            }
        }

        return [];
    }
}
