using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Core.Pool;

/// <summary>How a node gets what it is short of: the present interfaces first, then new ones. Pure.</summary>
internal static class PoolGrowth
{
    /// <summary>More than any node draws.</summary>
    public const int Any = int.MaxValue / 2;

    /// <summary>Prefixes where they are wanted; single addresses where no /28 is whole, and only as many as are needed just now.</summary>
    /// <param name="fromShort">Addresses at most that may come from subnets that are low or dry.</param>
    public static ImmutableArray<PoolAction> Plan(NodeState node, PoolTarget target, bool prefixes, PoolNeed need, ExpectedWaits waits, int fromShort)
    {
        var actions = ImmutableArray.CreateBuilder<PoolAction>();
        var size = prefixes ? Block.PrefixSize : 1;
        // The interface's own target is filled by whole interfaces.
        var fills = target is PoolTarget.OfInterfaces;
        var left = new Left(node) { FromShort = fromShort };
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
            var count = Math.Min(left.MostIn(eni.Subnet, prefixes), fills ? eni.Room : Math.Min(missing, eni.Room));
            if (eni.ForPods && eni.EniId.Length > 0 && count > 0 && left.MayDrawIn(eni.Subnet) && (prefixes ? eni.Subnet.HasPrefixes : eni.Subnet.HasAddresses))
            {
                actions.Add(new PoolAction.Draw(eni.EniId, count, prefixes));
                left.Enis[i] = eni with { Room = 0 }; // One call an interface.
                left.Took(eni.Subnet, count, prefixes);
                missing -= count;
            }
        }

        return Math.Max(0, missing);
    }

    private static int Add(NodeState node, Left left, int missing, bool prefixes, bool fills, ImmutableArray<PoolAction>.Builder actions, int most = int.MaxValue)
    {
        var subnet = node.NewIn.OrderBy(subnet => subnet.Level).FirstOrDefault(subnet => left.MayDrawIn(subnet) && left.MostIn(subnet, prefixes) > 0 && (prefixes ? subnet.HasPrefixes : subnet.HasAddresses));
        for (; subnet.SubnetId is not null && most > 0 && left.NewInterfaces > 0 && missing > 0 && node.Slots > 0 && left.MostIn(subnet, prefixes) > 0; most--, left.NewInterfaces--)
        {
            var count = Math.Min(left.MostIn(subnet, prefixes), fills ? node.Slots : Math.Min(missing, node.Slots));
            actions.Add(new PoolAction.AddInterface(subnet.SubnetId, count, prefixes));
            left.Took(subnet, count, prefixes);
            missing -= count;
        }

        return Math.Max(0, missing);
    }

    /// <summary>What is left of the node's room while the plan is made.</summary>
    private sealed class Left(NodeState node)
    {
        /// <summary>Where there is plenty first.</summary>
        public EniState[] Enis { get; } = [.. node.Enis.OrderBy(eni => eni.Subnet.Level)];

        /// <summary>What a dry subnet has left, or gets back, is for pods that wait; or for a node that has nothing. A frozen one gives nothing.</summary>
        public bool MayDrawIn(SubnetRoom subnet) => subnet.Mode != SwitchMode.Frozen && (subnet.Level != SubnetLevel.Dry || node.WaitingPods > 0 || node.Enis.All(eni => eni.Blocks.IsEmpty));

        /// <summary>Addresses that may come from subnets that are low or dry still.</summary>
        public int FromShort { get; set; }

        public int NewInterfaces { get; set; } = node.NewInterfaces;

        /// <summary>Addresses or prefixes.</summary>
        public int MostIn(SubnetRoom subnet, bool prefixes) => subnet.Level == SubnetLevel.Plenty ? Any : prefixes ? (FromShort + Block.PrefixSize - 1) / Block.PrefixSize : FromShort;

        public void Took(SubnetRoom subnet, int count, bool prefixes)
        {
            FromShort = subnet.Level == SubnetLevel.Plenty ? FromShort : Math.Max(0, FromShort - (prefixes ? count * Block.PrefixSize : count));
        }
    }
}
