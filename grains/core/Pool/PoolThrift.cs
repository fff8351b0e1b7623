using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Core.Pool;

/// <summary>What a node keeps ready while all its subnets are low or dry: one address; and what it gives to others. Pure.</summary>
public static class PoolThrift
{
    private static readonly PoolTarget One = new PoolTarget.OfAddresses(1, 0);

    /// <summary>A node without any address would not be ready for kubelet.</summary>
    private static readonly PoolTarget OnlyForPods = new PoolTarget.OfAddresses(0, 1);

    /// <summary>The best of the subnets in which it could draw; plenty where the policy knows no thrift.</summary>
    public static SubnetLevel LevelOf(NodeState node, PoolPolicy policy) => !policy.Thrift ? SubnetLevel.Plenty
        : node.Enis.Where(eni => eni.ForPods).Select(eni => eni.Subnet.Level).Concat(node.NewInterfaces > 0 ? node.NewIn.Select(subnet => subnet.Level) : []).DefaultIfEmpty().Min();

    /// <summary>The target for which addresses are drawn.</summary>
    public static PoolTarget Drawn(NodeState node, PoolPolicy policy) => LevelOf(node, policy) switch
    {
        SubnetLevel.Plenty => policy.Target(PoolPlanner.DrawsPrefixes(node, policy)),
        SubnetLevel.Low => Least(policy.Target(PoolPlanner.DrawsPrefixes(node, policy))),
        _ => OnlyForPods,
    };

    /// <summary>Addresses that the node would take besides, were there plenty: those for pods, and the own ones of new interfaces. What is on its way out would come again.</summary>
    public static int Withheld(NodeState node, PoolPolicy policy)
    {
        var prefixes = PoolPlanner.DrawsPrefixes(node, policy);
        var open = node with
        {
            Enis = [.. node.Enis.Select(eni => eni with { Room = eni.Room + eni.Leaving, Subnet = WithPlenty(eni.Subnet) })], NewIn = [.. node.NewIn.Select(WithPlenty)],
            NewInterfaces = node.NewInterfaces + node.Removing,
        };
        return Math.Max(0, Taken(open, policy.Target(prefixes), prefixes) - Taken(open, Drawn(node, policy), prefixes));
    }

    private static SubnetRoom WithPlenty(SubnetRoom subnet) => subnet with { HasAddresses = true, Level = SubnetLevel.Plenty };

    private static int Taken(NodeState node, PoolTarget target, bool prefixes)
    {
        var need = PoolPlanner.Need(node, target, prefixes);
        return need.Short == 0 ? 0 : PoolGrowth.Plan(node, target, prefixes, need, default, PoolGrowth.Any).Sum(action => action switch
        {
            PoolAction.Draw draw => draw.Count * (draw.Prefixes ? Block.PrefixSize : 1),
            PoolAction.AddInterface add => 1 + (add.Count * (add.Prefixes ? Block.PrefixSize : 1)),
            _ => 0,
        });
    }

    /// <summary>Addresses beyond what pods need, of those that are free and have rested on interfaces in this subnet: what it gives if it is asked.</summary>
    public static int Spare(NodeState node, PoolPolicy policy, string subnetId)
    {
        var prefixes = PoolPlanner.DrawsPrefixes(node, policy);
        return policy.Thrift && !IsBusy(node) ? Surplus(node, prefixes, subnetId, int.MaxValue).Sum(block => block.Size) : 0;
    }

    /// <summary>Addresses that pods wait for, what is free of either kind and what is on its way left out; and one for a node that has nothing.</summary>
    public static int ShortForPods(NodeState node, PoolPolicy policy)
    {
        var prefixes = PoolPlanner.DrawsPrefixes(node, policy);
        var counts = PoolPlanner.Count(node with { BoundPods = 0 }, prefixes); // Others give for what waits.
        // What it could not take, nobody need give.
        var room = node.Enis.Where(eni => eni.ForPods).Sum(eni => eni.Room) + (node.NewInterfaces * node.Slots);
        return Math.Min(room * (prefixes ? Block.PrefixSize : 1), Math.Max(counts.Waiting - counts.Free, node.Enis.All(eni => eni.Blocks.IsEmpty && eni.Drawing == 0) ? 1 : 0));
    }

    /// <summary>Where only some of the subnets have plenty, addresses that may come from the others: for pods, and the one that is kept ready. What is wanted beyond would
    /// be given back there, and drawn again, in turn.</summary>
    internal static int FromShort(NodeState node, PoolPolicy policy, PoolTarget target, bool prefixes) =>
        !policy.Thrift || LevelOf(node, policy) != SubnetLevel.Plenty ? PoolGrowth.Any
        : prefixes ? PoolPlanner.MissingOfEither(node, Least(target), prefixes) : PoolPlanner.Need(node, Least(target), prefixes).Missing;

    /// <summary>What is asked back goes first; then what is beyond the policy, wherever it is; then, on interfaces in such subnets, what is free and has rested, down
    /// to what is kept. Others' pods need it sooner than all of the node's own have rested.</summary>
    internal static ImmutableArray<PoolAction> Release(NodeState node, PoolPolicy policy, bool prefixes, PoolNeed need)
    {
        if (IsBusy(node))
        {
            return PoolRelease.RemoveEmpty(node, need);
        }

        var target = policy.Target(prefixes);
        ImmutableArray<Block> given = [.. from subnet in Recalls(node) from block in Surplus(node, prefixes, subnet.SubnetId, subnet.Recalled) select block];
        if (given.IsEmpty)
        {
            given = [.. PoolRelease.Leftovers(node, prefixes, need), .. PoolRelease.Surplus(node, target, prefixes, PoolPlanner.Need(node, target, prefixes))];
        }

        if (given.IsEmpty && LevelOf(node, policy) != SubnetLevel.Plenty)
        {
            var (low, kept) = (node with { Enis = node.Enis.RemoveAll(eni => eni.Subnet.Level == SubnetLevel.Plenty) }, Least(target));
            given = [.. PoolRelease.Surplus(low, kept, prefixes, PoolPlanner.Need(node, kept, prefixes)), .. OfOtherKind(node, low, prefixes, int.MaxValue, keepsFree: kept is PoolTarget.OfAddresses(0, _) ? 0 : 1)];
        }

        return given.IsEmpty ? PoolRelease.RemoveEmpty(node, need) : [new PoolAction.GiveUp(given)];
    }

    /// <summary>Whether something is asked back from it.</summary>
    internal static bool IsRecalled(NodeState node, PoolPolicy policy) => policy.Thrift && Recalls(node).Any();

    private static IEnumerable<SubnetRoom> Recalls(NodeState node) => node.Enis.Select(eni => eni.Subnet).Where(subnet => subnet.Recalled > 0).DistinctBy(subnet => subnet.SubnetId).Take(1); // One at a time: each would count the node's last address.

    private static bool IsBusy(NodeState node) => node.WaitingPods > 0 || node.Enis.Any(eni => eni.Drawing > 0);

    private static List<Block> Surplus(NodeState node, bool prefixes, string subnetId, int most)
    {
        var here = node with { Enis = node.Enis.RemoveAll(eni => eni.Subnet.SubnetId != subnetId) };
        var given = OfOtherKind(node, here, prefixes, most, keepsFree: 0);
        var (need, left) = (PoolPlanner.Need(node, OnlyForPods, prefixes), most - given.Sum(block => block.Size));
        var whole = prefixes && left < int.MaxValue - Block.PrefixSize ? (left + Block.PrefixSize - 1) / Block.PrefixSize * Block.PrefixSize : left;
        return left <= 0 ? given : [.. given, .. PoolRelease.Surplus(here, OnlyForPods, prefixes, need with { Over = Math.Min(whole, need.Over) })];
    }

    /// <summary>Single addresses where prefixes are drawn, which a scattered subnet has given instead; or a prefix of before. One address of either kind is kept.</summary>
    private static List<Block> OfOtherKind(NodeState node, NodeState here, bool prefixes, int most, int keepsFree)
    {
        var (given, left) = (new List<Block>(), most);
        var (total, free) = (node.Enis.Sum(eni => eni.Blocks.Sum(block => block.Block.Size)), node.Enis.Sum(eni => eni.Blocks.Sum(block => block.Free)));
        foreach (var block in here.Enis.SelectMany(eni => eni.Blocks).Where(block => block.Block.IsPrefix != prefixes && block is { IsFree: true, Ripe: true }).Select(block => block.Block))
        {
            if (left > 0 && total - block.Size >= 1 && free - block.Size >= keepsFree)
            {
                given.Add(block);
                (left, total, free) = (left - block.Size, total - block.Size, free - block.Size);
            }
        }

        return given;
    }

    /// <summary>One address, or none where none is to be kept ready.</summary>
    private static PoolTarget Least(PoolTarget target) => target is PoolTarget.OfAddresses(0, var minimum) ? new PoolTarget.OfAddresses(0, Math.Min(1, minimum)) : One;
}
