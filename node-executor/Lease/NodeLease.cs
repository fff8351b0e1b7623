using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>
/// What this node may use and what it uses. The claim made here is the one place where an address becomes used, so no address
/// is on two sandboxes, whatever silos say or fail to say.
/// </summary>
/// <remarks>Pure: every operation gives a new value, and time comes in as boot-clock time. LeaseLink writes to the
/// lease file what must outlive the process before it goes on with the new value.</remarks>
public sealed partial record NodeLease
{
    /// <summary>ADDs without an address.</summary>
    public const int MaxAdds = 1_000;

    /// <summary>Ended assignments that wait for an acknowledgement.</summary>
    public const int MaxEnded = 10_000;

    /// <summary>DELs that are remembered for the sake of late ADDs.</summary>
    public const int MaxTombstones = 10_000;

    /// <summary>No ADD lives longer, so no tombstone has to.</summary>
    public static readonly TimeSpan TombstoneLife = TimeSpan.FromSeconds(240);

    /// <summary>Whose lease it is.</summary>
    public required string InstanceId { get; init; }

    /// <summary>Goes up by one at each start; 0 until a silo has given one to a node without a lease file.</summary>
    public long Incarnation { get; init; }

    /// <summary>Of the node document that the lease comes from, or that it has consented to. Never goes down.</summary>
    public long Version { get; init; }

    /// <summary>The number that was given out last.</summary>
    public long LastNumber { get; init; }

    /// <summary>What a silo said last; the design's defaults until then.</summary>
    public NodePolicy Policy { get; init; } = new(CooldownSeconds: 30, PreferredRestSeconds: 120);

    /// <summary>Every address of the lease, and what is still on a sandbox or rests without being leased.</summary>
    public ImmutableSortedDictionary<Ip, Slot> Slots { get; init; } = ImmutableSortedDictionary<Ip, Slot>.Empty;

    /// <summary>The address of each sandbox that has one.</summary>
    public ImmutableSortedDictionary<SandboxKey, Ip> Claims { get; init; } =
        ImmutableSortedDictionary.Create<SandboxKey, Ip>(SandboxOrder.Instance);

    /// <summary>ADDs without an address.</summary>
    public ImmutableSortedDictionary<SandboxKey, Asking> Adds { get; init; } =
        ImmutableSortedDictionary.Create<SandboxKey, Asking>(SandboxOrder.Instance);

    /// <summary>Ended assignments by the stamp of their release.</summary>
    public ImmutableSortedDictionary<Stamp, Ending> Ended { get; init; } = ImmutableSortedDictionary<Stamp, Ending>.Empty;

    /// <summary>DELs that late ADDs must not undo.</summary>
    public ImmutableSortedDictionary<SandboxKey, Tombstone> Tombstones { get; init; } =
        ImmutableSortedDictionary.Create<SandboxKey, Tombstone>(SandboxOrder.Instance);

    /// <summary>Interfaces as a silo described them last, <see cref="InterfacesLeaving"/> too.</summary>
    public ImmutableSortedDictionary<string, InterfaceOrder> Interfaces { get; init; } =
        ImmutableSortedDictionary.Create<string, InterfaceOrder>(StringComparer.Ordinal);

    /// <summary>Interfaces that no silo wants any more and no address needs: what the kernel has for them goes next.</summary>
    public ImmutableSortedSet<string> InterfacesLeaving { get; init; } = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    /// <summary>Interfaces that are set up in the kernel.</summary>
    public ImmutableSortedSet<string> InterfacesSetUp { get; init; } = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    /// <summary>Boot-clock time of the start that found the file unusable: what is granted anew may have been freed just before. Null when nothing was lost.</summary>
    public TimeSpan? FreedUnknownUntil { get; init; }

    /// <summary>The release that is on its way to a silo; null for none.</summary>
    public long? Releasing { get; init; }

    private TimeSpan Cooldown => TimeSpan.FromSeconds(Policy.CooldownSeconds);

    /// <summary>Every request up to this number has ended. Never goes down within an incarnation.</summary>
    public long SettledNumber
    {
        get
        {
            var open = Releasing ?? long.MaxValue;
            foreach (var (_, asking) in Adds)
            {
                open = Math.Min(open, asking.Number);
            }

            return open == long.MaxValue ? LastNumber : open - 1;
        }
    }

    /// <summary>Whether a sandbox could be given an address without any silo, now or after a rest.</summary>
    public bool CanServe => Slots.Any(slot => slot.Value.Leased && InterfacesSetUp.Contains(slot.Value.EniId));

    /// <summary>Whether some address is on no sandbox. It may rest, or not be leased any more: a guess whether an ADD will wait.</summary>
    public bool HasUnclaimed => Slots.Count > Claims.Count;

    /// <summary>An ADD arrives.</summary>
    /// <param name="turn">Its place in the order in which requests arrived.</param>
    /// <param name="network">That the runtime's config names.</param>
    /// <param name="hostMac">Of <see cref="Hold.HostMac"/>.</param>
    public (NodeLease Lease, AddStart Start) Begin(SandboxKey sandbox, PodName pod, long turn, TimeSpan now, string? network = null, string? hostMac = null)
    {
        if (Tombstones.TryGetValue(sandbox, out var tombstone) && tombstone.Turn > turn)
        {
            return (this, new AddStart.Outrun());
        }

        if (Claims.TryGetValue(sandbox, out var held))
        {
            return (this, new AddStart.Holds(new Grant(held, Slots[held].EniId)));
        }

        if (Adds.ContainsKey(sandbox))
        {
            return (this, new AddStart.InProgress());
        }

        if (Adds.Count >= MaxAdds)
        {
            return (this, new AddStart.TooMany());
        }

        var number = LastNumber + 1;
        var next = this with
        {
            LastNumber = number,
            Adds = Adds.Add(sandbox, new Asking(pod, number, now, turn, Waits: false) { Network = network, HostMac = hostMac }),
        };
        return (next, new AddStart.Asks(number));
    }

    /// <summary>The ADD has been told "not yet", so it is reported as demand.</summary>
    public NodeLease Wait(SandboxKey sandbox, Reason? why = null) =>
        Adds.TryGetValue(sandbox, out var asking) ? this with { Adds = Adds.SetItem(sandbox, asking with { Waits = true, Why = why }) } : this;

    /// <summary>How much longer a freed address rests; zero or less when it has rested.</summary>
    public TimeSpan RestsFor(Slot slot, TimeSpan now) => slot.FreedAt is { } freed ? freed + Cooldown - now : TimeSpan.Zero;

    /// <summary>What stands against a claim of the address now; null when nothing does.</summary>
    public Refusal? Objection(Ip address, TimeSpan now)
    {
        if (!Slots.TryGetValue(address, out var slot) || !slot.Leased)
        {
            return new Refusal(address, RefusalCode.NotLeased, null);
        }

        if (slot.Hold is not null)
        {
            return new Refusal(address, RefusalCode.Claimed, null);
        }

        if (!InterfacesSetUp.Contains(slot.EniId))
        {
            return new Refusal(address, RefusalCode.InterfaceNotSetUp, null);
        }

        return IsResting(slot, now)
            ? new Refusal(address, RefusalCode.NotRested, (now - slot.FreedAt!.Value).TotalSeconds)
            : null;
    }

    /// <summary>Makes the address the sandbox's, if nothing stands against it and no DEL has ended the ADD.</summary>
    /// <param name="number">Of the ADD.</param>
    public (NodeLease Lease, ClaimResult Result) TryClaim(SandboxKey sandbox, long number, Ip address, TimeSpan now)
    {
        if (!Adds.TryGetValue(sandbox, out var asking) || asking.Number != number)
        {
            return (this, new ClaimResult.Outrun());
        }

        if (Objection(address, now) is { } refusal)
        {
            return (this, new ClaimResult.Refused(refusal));
        }

        var slot = Slots[address];
        var hold = new Hold(sandbox, asking.Pod, new Stamp(Incarnation, number), now, asking.Turn, Leaving: false) { Network = asking.Network, HostMac = asking.HostMac };
        var next = this with
        {
            Adds = Adds.Remove(sandbox),
            Claims = Claims.Add(sandbox, address),
            Slots = Slots.SetItem(address, slot with { Hold = hold, FreedAt = null }),
        };
        return (next, new ClaimResult.Claimed(new Grant(address, slot.EniId)));
    }

    /// <summary>When no silo answers: claims the best address of the lease, if it is not the turn of ADDs that have waited longer.</summary>
    public (NodeLease Lease, ClaimResult Result) ClaimBest(SandboxKey sandbox, long number, TimeSpan now) =>
        Best(now, Adds.Values.Count(other => other.Waits && other.Number < number)) is { } address ? TryClaim(sandbox, number, address, now)
        : Adds.ContainsKey(sandbox) ? (this, new ClaimResult.NothingRested())
        : (this, new ClaimResult.Outrun());

    /// <summary>An ADD ends without an address, or with one that could not be wired: everything about it is over.</summary>
    /// <param name="number">Of the ADD; a later ADD of the same sandbox is left alone.</param>
    /// <returns>The stamp of the release that silos have to hear of; null when there is nothing to undo.</returns>
    public (NodeLease Lease, Stamp? Release) Undo(SandboxKey sandbox, long number) =>
        Adds.TryGetValue(sandbox, out var asking) && asking.Number == number ? End(sandbox, null)
        : Claims.TryGetValue(sandbox, out var held) && Slots[held].Hold!.Stamp == new Stamp(Incarnation, number) ? End(sandbox, held)
        : (this, null);

    /// <summary>A DEL arrives: the sandbox has nothing any more, and an ADD that arrived earlier gets nothing.</summary>
    /// <param name="turn">Its place in the order in which requests arrived. A claim of a later ADD is left alone.</param>
    public (NodeLease Lease, Stamp? Release) Delete(SandboxKey sandbox, long turn, TimeSpan now)
    {
        var tombstones = Tombstones.Count < MaxTombstones ? Tombstones : WithoutOldTombstones(now);
        var latest = Math.Max(turn, tombstones.GetValueOrDefault(sandbox)?.Turn ?? 0);
        var marked = this with { Tombstones = tombstones.SetItem(sandbox, new Tombstone(latest, now)) };
        return Claims.TryGetValue(sandbox, out var held) && Slots[held].Hold!.Turn < turn ? marked.End(sandbox, held)
            : Adds.TryGetValue(sandbox, out var asking) && asking.Turn < turn ? marked.End(sandbox, null)
            : (marked, null);
    }

    /// <summary>The kernel has no link of the sandbox any more, and no DEL has come: it vanished with its namespace.</summary>
    public (NodeLease Lease, Stamp? Release) Vanish(SandboxKey sandbox, Ip address) =>
        Claims.TryGetValue(sandbox, out var held) && held == address ? End(sandbox, held) : (this, null);

    /// <summary>The kernel confirms that the link is gone: the address rests from now on.</summary>
    public NodeLease LinkGone(SandboxKey sandbox, Ip address, TimeSpan now)
    {
        if (!Slots.TryGetValue(address, out var slot) || slot.Hold is not { Leaving: true } hold || hold.Sandbox != sandbox)
        {
            return this;
        }

        var ended = Ended;
        foreach (var (stamp, ending) in Ended)
        {
            if (ending.Sandbox == sandbox && ending.Address == address && ending.FreedAt is null)
            {
                ended = ended.SetItem(stamp, ending with { FreedAt = now });
            }
        }

        return this with { Slots = Slots.SetItem(address, slot with { Hold = null, FreedAt = now }), Ended = ended };
    }

    /// <summary>A sandbox of this node has the address, whatever the lease says: the kernel shows its link.</summary>
    public NodeLease Protect(Ip address, string eniId, Hold hold)
    {
        var slot = Slots.GetValueOrDefault(address) ?? new Slot(eniId, Leased: false, null, null);
        return this with
        {
            Slots = Slots.SetItem(address, slot with { Hold = hold, FreedAt = null }),
            Claims = hold.Leaving ? Claims : Claims.SetItem(hold.Sandbox, address),
        };
    }

    /// <summary>The address that the sandbox has, or that its link has not left yet; null for none.</summary>
    public Grant? HeldBy(SandboxKey sandbox) =>
        Claims.TryGetValue(sandbox, out var claimed) ? new Grant(claimed, Slots[claimed].EniId)
        : Slots.FirstOrDefault(slot => slot.Value.Hold?.Sandbox == sandbox) is { Value: { } slot } pair ? new Grant(pair.Key, slot.EniId)
        : null;

    private bool IsResting(Slot slot, TimeSpan now) => RestsFor(slot, now) > TimeSpan.Zero;

    private Ip? Best(TimeSpan now, int keptForOthers)
    {
        FreeAddress[] free = [.. Slots.Where(slot => Objection(slot.Key, now) is null)
            .Select(slot => new FreeAddress(slot.Key, slot.Value.EniId, now - slot.Value.FreedAt))];
        if (free.Length <= keptForOthers)
        {
            return null;
        }

        var onPods = Slots.Values.Where(slot => slot.Hold is not null).CountBy(slot => slot.EniId).ToDictionary(StringComparer.Ordinal);
        return AddressPicker.Pick(free, eni => onPods.GetValueOrDefault(eni), Cooldown, TimeSpan.FromSeconds(Policy.PreferredRestSeconds))?.Address;
    }

    private (NodeLease Lease, Stamp? Release) End(SandboxKey sandbox, Ip? held)
    {
        var stamp = new Stamp(Incarnation, LastNumber + 1);
        var ended = Ended.Count < MaxEnded ? Ended : Ended.Remove(Ended.First().Key); // A report ends its row all the same, with a later time.
        var next = this with
        {
            LastNumber = stamp.Number,
            Adds = Adds.Remove(sandbox),
            Claims = Claims.Remove(sandbox),
            Ended = ended.Add(stamp, new Ending(sandbox, held, null) { Had = held is { } had ? Slots[had].Hold : null }),
        };
        return held is not { } address ? (next, stamp)
            : (next with { Slots = Slots.SetItem(address, Slots[address] with { Hold = Slots[address].Hold! with { Leaving = true } }) }, stamp);
    }

    private ImmutableSortedDictionary<SandboxKey, Tombstone> WithoutOldTombstones(TimeSpan now)
    {
        var young = Tombstones.RemoveRange(Tombstones.Where(t => now - t.Value.At >= TombstoneLife).Select(t => t.Key));
        return young.Count < MaxTombstones ? young : young.Remove(young.MinBy(t => t.Value.Turn).Key);
    }
}
