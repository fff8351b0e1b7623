using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Report and orders: how the lease and the node document follow each other.</summary>
public sealed partial record NodeLease
{
    /// <summary>The node's whole state, under a number of its own.</summary>
    public (NodeLease Lease, NodeReport Report) Report(TimeSpan now)
    {
        var settled = SettledNumber;
        var next = Rested(now) with { LastNumber = LastNumber + 1 };
        return (next, new NodeReport
        {
            Stamp = new Stamp(Incarnation, next.LastNumber),
            SettledNumber = settled,
            LeaseVersion = Version,
            // What a link has not left yet counts, too: nobody else may have it.
            Leased = [.. next.Slots.Where(slot => slot.Value.Leased || slot.Value.Hold is { Leaving: true }).Select(slot => slot.Key)],
            Claims = [.. next.Claims.Select(claim => ClaimOf(claim.Value, next.Slots[claim.Value], now))],
            Waiting = [.. Adds.Where(add => add.Value.Waits).Select(add => new Waiter(
                add.Key, add.Value.Pod, new Stamp(Incarnation, add.Value.Number), (now - add.Value.Since).TotalSeconds))],
            Freed = [.. next.Slots.Where(slot => slot.Value.FreedAt is not null || slot.Value.Hold is { Leaving: true })
                .Select(slot => new Resting(slot.Key, Age(slot.Value.FreedAt, now)))],
            Ended = [.. Ended.Select(ended => new EndedAssignment(ended.Value.Sandbox, ended.Value.Address, ended.Key, Age(ended.Value.FreedAt, now)) { Had = ended.Value.HadFor(now) })],
            InterfacesSetUp = [.. InterfacesSetUp],
        });
    }

    /// <summary>Follows the grain's wish: only a newer document adds, and taking away is always ours to do.</summary>
    /// <remarks>What was leased before and is missing from the orders stays: only <see cref="NodeOrders.GiveUp"/> asks for it.</remarks>
    public (NodeLease Lease, Applied Applied) Apply(NodeOrders orders, TimeSpan now)
    {
        var next = Acknowledge(orders.Answers);
        if (orders.Incarnation > Incarnation)
        {
            next = next.Adopt(orders.Incarnation);
        }

        if (orders.LeaseVersion < Version)
        {
            return (next, new Applied(next.Incarnation != Incarnation, 0, 0)); // An older wish: all it adds may have moved away.
        }

        var (slots, givenUp, added) = (next.Slots.ToBuilder(), 0, 0);
        foreach (var address in orders.GiveUp)
        {
            // What rests stays ours until it has rested: nobody else would wait for it.
            if (slots.TryGetValue(address, out var slot) && slot is { Leased: true, Hold: null } && !IsResting(slot, now))
            {
                slots.Remove(address);
                givenUp++;
            }
        }

        if (orders.LeaseVersion > Version)
        {
            var unwanted = orders.GiveUp.ToImmutableHashSet();
            foreach (var leased in orders.Lease.Where(leased => !unwanted.Contains(leased.Address)))
            {
                var slot = slots.GetValueOrDefault(leased.Address);
                added += slot is { Leased: true } ? 0 : 1;
                slots[leased.Address] = slot is null
                    ? new Slot(leased.EniId, Leased: true, null, FreedUnknownUntil)
                    : slot with { Leased = true, EniId = slot.Hold is null || slot.EniId.Length == 0 ? leased.EniId : slot.EniId };
            }
        }

        next = next with
        {
            Version = orders.LeaseVersion, // Nothing older adds from now on.
            Slots = slots.ToImmutable(),
            Policy = orders.Policy,
        };
        next = next.WithInterfaces(orders.Interfaces);
        var mustSave = givenUp + added > 0 || next.Version != Version || next.Incarnation != Incarnation || next.Policy != Policy
            || !Interfaces.SequenceEqual(next.Interfaces); // In the file before the kernel has anything of it: the next start must know.
        return (next, new Applied(mustSave, givenUp, added));
    }

    /// <summary>Whether the other lease has the same interfaces, and the same of them are to go.</summary>
    public bool HasInterfacesOf(NodeLease other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Interfaces.SequenceEqual(other.Interfaces) && InterfacesLeaving.SetEquals(other.InterfacesLeaving);
    }

    /// <summary>The kernel has nothing more of an interface that was to go.</summary>
    public NodeLease WithoutLeaving(InterfaceOrder order)
    {
        ArgumentNullException.ThrowIfNull(order);
        return this with { Interfaces = Interfaces.Remove(order.EniId), InterfacesLeaving = InterfacesLeaving.Remove(order.EniId) };
    }

    /// <summary>A silo has stored this one release.</summary>
    public NodeLease AcknowledgeRelease(Stamp stamp) => this with { Ended = Ended.Remove(stamp) };

    private NodeLease Acknowledge(Stamp report) => report.Incarnation != Incarnation
        ? this
        : this with { Ended = Ended.RemoveRange(Ended.Keys.TakeWhile(stamp => stamp.CompareTo(report) < 0).ToArray()) };

    /// <summary>The first incarnation of a node without a lease file, or a later one: a late duplicate of its first report has raised the
    /// document's, and a grain hears no lower one. Numbers go on, so what is open keeps its own.</summary>
    private NodeLease Adopt(long incarnation)
    {
        Stamp Now(Stamp stamp) => stamp.Incarnation == Incarnation ? stamp with { Incarnation = incarnation } : stamp;
        return this with
        {
            Incarnation = incarnation,
            Ended = Ended.ToImmutableSortedDictionary(
                ended => Now(ended.Key), ended => ended.Value.Had is { } had ? ended.Value with { Had = had with { Stamp = Now(had.Stamp) } } : ended.Value),
            Slots = Slots.ToImmutableSortedDictionary(
                slot => slot.Key, slot => slot.Value.Hold is { } hold ? slot.Value with { Hold = hold with { Stamp = Now(hold.Stamp) } } : slot.Value),
        };
    }

    /// <summary>Those that are wanted, those that addresses of the lease need still, and those that are to go.</summary>
    private NodeLease WithInterfaces(ImmutableArray<InterfaceOrder> orders)
    {
        var wanted = orders.ToImmutableSortedDictionary(order => order.EniId, order => order, StringComparer.Ordinal);
        var unwanted = Interfaces.Where(old => !wanted.ContainsKey(old.Key)).ToList();
        var needed = Slots.Values.Select(slot => slot.EniId).ToHashSet(StringComparer.Ordinal);
        var leaving = unwanted.Select(old => old.Key).Where(old => !needed.Contains(old)).ToImmutableSortedSet(StringComparer.Ordinal);
        var moved = Interfaces.Where(old => wanted.TryGetValue(old.Key, out var order) && order != old.Value).Select(old => old.Key);
        return this with
        {
            Interfaces = wanted.AddRange(unwanted),
            InterfacesLeaving = leaving,
            InterfacesSetUp = InterfacesSetUp.Except(leaving).Except(moved), // One that is at another device index now is set up anew.
        };
    }

    /// <summary>Forgets freed times that nothing asks for any more, and what was kept only for them.</summary>
    private NodeLease Rested(TimeSpan now)
    {
        var longest = TimeSpan.FromSeconds(Math.Max(Policy.CooldownSeconds, Policy.PreferredRestSeconds));
        var slots = Slots;
        foreach (var (address, slot) in Slots)
        {
            if (slot.FreedAt is { } freed && now - freed >= longest)
            {
                slots = slot.Leased || slot.Hold is not null ? slots.SetItem(address, slot with { FreedAt = null }) : slots.Remove(address);
            }
        }

        return this with { Slots = slots };
    }

    private static Claim ClaimOf(Ip address, Slot slot, TimeSpan now) => new(
        slot.Hold!.Sandbox, slot.Hold.Pod, address, slot.EniId, slot.Hold.Stamp, (now - slot.Hold.Since).TotalSeconds);

    private static double Age(TimeSpan? since, TimeSpan now) => since is { } at ? (now - at).TotalSeconds : 0;
}
