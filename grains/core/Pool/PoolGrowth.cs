using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Core.Pool;

/// <summary>How a node gets what it is short of: the present interfaces first, then new ones. Pure.</summary>
internal static class PoolGrowth
{
    /// <summary>Prefixes where they are wanted; single addresses where no /28 is whole, and only as many as are needed just now.</summary>
    public static ImmutableArray<PoolAction> Plan(NodeState node, PoolTarget target, bool prefixes, PoolNeed need, ExpectedWaits waits)
    {
        var actions = ImmutableArray.CreateBuilder<PoolAction>();
        var size = prefixes ? Block.PrefixSize : 1;
        // The interface's own target is filled by whole interfaces.
        var fills = target is PoolTarget.OfInterfaces;
        var left = new Left(node);
        var missing = need.Short / size;
        // A queue for drawing is passed by on another way, when a pod waits.
        if (node.WaitingPods > 0 && waits.Draw > waits.NewInterface)
        {
            missing = Add(node, left, missing, prefixes, fills, actions, most: 1);
        }

        missing = Draw(left, missing, prefixes, fills, actions);
        // An interface that is on its way can be drawn for before yet another one would be there.
        missing = Math.Max(0, missing - node.Enis.Where(eni => eni.EniId.Length == 0 && (prefixes ? eni.Subnet.HasPrefixes : eni.Subnet.HasAddresses)).Sum(eni => eni.Room));
        missing = Add(node, left, missing, prefixes, fills, actions);
        if (prefixes && missing > 0)
        {
            // The prefixes that could be had count in full; free single addresses that are there already count too.
            var stillMissing = PoolPlanner.MissingOfEither(node, target, prefixes) - (need.Short - (missing * size));
            stillMissing = Draw(left, stillMissing, prefixes: false, fills, actions);
            Add(node, left, stillMissing, prefixes: false, fills, actions);
        }

        return actions.ToImmutable();
    }

    private static int Draw(Left left, int missing, bool prefixes, bool fills, ImmutableArray<PoolAction>.Builder actions)
    {
        for (var i = 0; i < left.Enis.Length && missing > 0; i++)
        {
            var eni = left.Enis[i];
            var count = fills ? eni.Room : Math.Min(missing, eni.Room);
            if (eni.ForPods && eni.EniId.Length > 0 && count > 0 && left.MayDrawIn(eni.Subnet) && (prefixes ? eni.Subnet.HasPrefixes : eni.Subnet.HasAddresses))
            {
                actions.Add(new PoolAction.Draw(eni.EniId, count, prefixes));
                left.Enis[i] = eni with { Room = 0 }; // One call an interface.
                missing -= count;
            }
        }

        return Math.Max(0, missing);
    }

    private static int Add(NodeState node, Left left, int missing, bool prefixes, bool fills, ImmutableArray<PoolAction>.Builder actions, int most = int.MaxValue)
    {
        var subnet = node.NewIn.FirstOrDefault(subnet => left.MayDrawIn(subnet) && (prefixes ? subnet.HasPrefixes : subnet.HasAddresses));
        for (; subnet.SubnetId is not null && most > 0 && left.NewInterfaces > 0 && missing > 0 && node.Slots > 0; most--, left.NewInterfaces--)
        {
            var count = fills ? node.Slots : Math.Min(missing, node.Slots);
            actions.Add(new PoolAction.AddInterface(subnet.SubnetId, count, prefixes));
            missing -= count;
        }

        return Math.Max(0, missing);
    }

    /// <summary>What is left of the node's room while the plan is made.</summary>
    private sealed class Left(NodeState node)
    {
        public EniState[] Enis { get; } = [.. node.Enis];

        /// <summary>What a dry subnet has left, or gets back, is for pods that wait; or for a node that has nothing. A frozen one gives nothing.</summary>
        public bool MayDrawIn(SubnetRoom subnet) => subnet.Mode != SwitchMode.Frozen && (subnet.Level != SubnetLevel.Dry || node.WaitingPods > 0 || node.Enis.All(eni => eni.Blocks.IsEmpty));

        public int NewInterfaces { get; set; } = node.NewInterfaces;
    }
}
