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

    /// <summary>Addresses that the node would draw besides, were there plenty.</summary>
    public static int Withheld(NodeState node, PoolPolicy policy)
    {
        var prefixes = PoolPlanner.DrawsPrefixes(node, policy);
        return Math.Max(0, PoolPlanner.Need(node, policy.Target(prefixes), prefixes).Short - PoolPlanner.Need(node, Drawn(node, policy), prefixes).Short);
    }

    /// <summary>What is free and has rested goes, down to what is kept, on interfaces in such subnets; of what is asked back, the rest, too. Others' pods
    /// need it sooner than all of the node's own have rested.</summary>
    internal static ImmutableArray<PoolAction> Release(NodeState node, PoolPolicy policy, bool prefixes, PoolNeed need)
    {
        if (node.WaitingPods > 0 || node.Enis.Any(eni => eni.Drawing > 0))
        {
            return PoolRelease.RemoveEmpty(node, need);
        }

        // What is beyond the policy goes wherever it is.
        var target = policy.Target(prefixes);
        ImmutableArray<Block> beyond = [.. PoolRelease.Leftovers(node, prefixes, need), .. PoolRelease.Surplus(node, target, prefixes, PoolPlanner.Need(node, target, prefixes))];
        if (!beyond.IsEmpty)
        {
            return [new PoolAction.GiveUp(beyond)];
        }

        var recalled = prefixes ? (node.Recalled + Block.PrefixSize - 1) / Block.PrefixSize * Block.PrefixSize : node.Recalled;
        var kept = LevelOf(node, policy) == SubnetLevel.Plenty ? target : Least(target);
        var over = Math.Max(PoolPlanner.Need(node, kept, prefixes).Over, Math.Min(recalled, PoolPlanner.Need(node, OnlyForPods, prefixes).Over));
        var low = node with { Enis = node.Enis.RemoveAll(eni => eni.Subnet.Level == SubnetLevel.Plenty) };
        ImmutableArray<Block> given = [.. PoolRelease.Surplus(low, kept, prefixes, need with { Over = over })];
        return given.IsEmpty ? PoolRelease.RemoveEmpty(node, need) : [new PoolAction.GiveUp(given)];
    }

    /// <summary>One address, or none where none is to be kept ready.</summary>
    private static PoolTarget Least(PoolTarget target) => target is PoolTarget.OfAddresses(0, var minimum) ? new PoolTarget.OfAddresses(0, Math.Min(1, minimum)) : One;
}
