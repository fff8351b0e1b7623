using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Core.Pool;

/// <summary>What the planner needs to know of a node.</summary>
/// <param name="Enis">The interfaces that we manage.</param>
/// <param name="OnPods">Addresses on pods.</param>
/// <param name="WaitingPods">ADDs without an address.</param>
/// <param name="NewInterfaces">How many interfaces more it could get, those under way counted as there.</param>
/// <param name="RoomOnNew">Addresses for pods that a new interface holds.</param>
public sealed record NodeState(ImmutableArray<EniState> Enis, int OnPods, int WaitingPods, int NewInterfaces, int RoomOnNew);

/// <summary>One interface. All counts are addresses, the primary one apart.</summary>
/// <param name="EniId">Which; empty for one that is being made.</param>
/// <param name="IsPrimary">It stays as long as the instance.</param>
/// <param name="Held">Addresses for pods that it holds, those being returned included.</param>
/// <param name="Room">How many more it could hold, those being drawn and those being returned counted as held.</param>
/// <param name="Drawing">On their way from EC2.</param>
/// <param name="Free">Leased, on no pod, rested: ready.</param>
/// <param name="Cooling">How many rest.</param>
/// <param name="Surrenderable">Those of <paramref name="Free"/> that have not been on a pod for a good while, best to give up first.</param>
public sealed record EniState(string EniId, bool IsPrimary, int Held, int Room, int Drawing, int Free, int Cooling, ImmutableArray<Block> Surrenderable);

/// <summary>Decides what one node asks of EC2 next. Pure: the same arguments give the same actions.</summary>
public static class PoolPlanner
{
    /// <summary>Waiting pods come first, then the warm target; room on the interfaces caps both.</summary>
    /// <remarks>A cooling address is not free, so it does not count: a pod that waits gets a new one at once (field report F5).
    /// Giving up starts only when nothing is being drawn and nothing cools, so that a burst does not draw and return in turn.</remarks>
    /// <returns>Actions in the order in which to run them; empty when the node has what it needs.</returns>
    public static ImmutableArray<PoolAction> Plan(NodeState node, PoolPolicy policy)
    {
        var wanted = node.WaitingPods + Math.Max(policy.WarmIps, policy.MinimumIps - node.OnPods);
        var missing = wanted - node.Enis.Sum(eni => eni.Free + eni.Drawing);
        return missing switch
        {
            > 0 => Grow(node, missing),
            < 0 when node.Enis.All(eni => eni is { Drawing: 0, Cooling: 0 }) => Shrink(node, -missing),
            _ => RemoveIdle(node),
        };
    }

    private static ImmutableArray<PoolAction> Grow(NodeState node, int missing)
    {
        var actions = ImmutableArray.CreateBuilder<PoolAction>();
        foreach (var eni in node.Enis)
        {
            var count = Math.Min(missing, eni.Room);
            if (count > 0)
            {
                actions.Add(new PoolAction.DrawAddresses(eni.EniId, count));
                missing -= count;
            }
        }

        for (var left = node.NewInterfaces; left > 0 && missing > 0 && node.RoomOnNew > 0; left--)
        {
            var count = Math.Min(missing, node.RoomOnNew);
            actions.Add(new PoolAction.AddInterface(count));
            missing -= count;
        }

        return actions.ToImmutable();
    }

    private static ImmutableArray<PoolAction> Shrink(NodeState node, int surplus)
    {
        // From the last interface backwards: the later ones are those that can go as a whole. What is free there and has not
        // rested for long enough is waited for, else the earlier ones would be emptied instead.
        var addresses = ImmutableArray.CreateBuilder<Block>();
        foreach (var eni in node.Enis.Reverse())
        {
            addresses.AddRange(eni.Surrenderable.Take(surplus - addresses.Count));
            if (addresses.Count == surplus || eni.Free > eni.Surrenderable.Length)
            {
                break;
            }
        }

        return addresses.Count == 0 ? RemoveIdle(node) : [new PoolAction.GiveUp(addresses.ToImmutable())];
    }

    /// <summary>An interface without addresses serves nobody and keeps its primary address from others.</summary>
    private static ImmutableArray<PoolAction> RemoveIdle(NodeState node) =>
        [.. node.Enis.Where(eni => eni is { IsPrimary: false, Held: 0, Drawing: 0 }).Select(eni => new PoolAction.RemoveInterface(eni.EniId))];
}

/// <summary>One step towards the policy. Closed: nobody outside can add a case.</summary>
public abstract record PoolAction
{
    private PoolAction()
    {
    }

    /// <summary>Draw <paramref name="Count"/> addresses from EC2 for an attached interface, in one call.</summary>
    public sealed record DrawAddresses(string EniId, int Count) : PoolAction;

    /// <summary>Make and attach an interface that holds <paramref name="Count"/> addresses for pods, in one call each.</summary>
    public sealed record AddInterface(int Count) : PoolAction;

    /// <summary>Detach and delete an interface that holds no address for pods.</summary>
    public sealed record RemoveInterface(string EniId) : PoolAction;

    /// <summary>Ask the executor to leave these out of its lease, so that they can be returned.</summary>
    public sealed record GiveUp(ImmutableArray<Block> Blocks) : PoolAction;
}
