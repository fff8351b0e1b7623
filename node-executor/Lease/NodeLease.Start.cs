using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>A start: what the file and the kernel say becomes one lease.</summary>
public sealed partial record NodeLease
{
    /// <summary>The lease of an executor that starts.</summary>
    /// <param name="content">Of the lease file.</param>
    /// <param name="wired">Links of ours in the kernel, the latest first, and addresses of which only rules are left.</param>
    /// <returns>With the lease, what has to be removed from the kernel; each address is held until that is done.</returns>
    public static (NodeLease Lease, ImmutableArray<Leftover> Leftovers) Start(
        string instanceId, LeaseFileContent content, IReadOnlyCollection<WiredLink> wired, TimeSpan now)
    {
        var lease = content.Lease switch
        {
            null => new NodeLease { InstanceId = instanceId, FreedUnknownUntil = content.Warning is null ? null : now },
            { Incarnation: 0 } neverSynced => neverSynced with { Ended = neverSynced.Ended.Clear() }, // No silo granted it anything, and its numbers begin anew.
            var saved => saved with { Incarnation = saved.Incarnation + 1 },
        };
        if (content.Lease is not null && !content.IsOfThisBoot)
        {
            lease = lease.AfterReboot(now);
        }

        lease = lease.WithoutTurns();
        var leftovers = ImmutableArray.CreateBuilder<Leftover>();
        foreach (var link in wired.Where(link => link.Address is not null))
        {
            var address = link.Address!.Value;
            var hold = lease.Slots.GetValueOrDefault(address)?.Hold;
            if (link.Sandbox is { } owner && hold is null)
            {
                // The kernel is the journal: a sandbox has it, whatever the file says.
                lease = lease.Protect(address, link.EniId, new Hold(owner, link.Pod, default, now, 0, Leaving: false));
            }
            else if (link.Sandbox is { } same && hold is { Leaving: false } && hold.Sandbox == same)
            {
                continue;
            }
            else if (hold is { Leaving: false } && wired.Any(other => other.Sandbox == hold.Sandbox && other.Address == address))
            {
                leftovers.Add(new Leftover(default, link with { Address = null })); // Its holder is wired: only this link goes, not the rules.
            }
            else
            {
                (lease, var holder) = lease.Evict(address, link, hold, now);
                leftovers.Add(new Leftover(holder, link));
            }
        }

        leftovers.AddRange(wired.Where(link => link.Address is null).Select(link => new Leftover(link.Sandbox ?? default, link)));
        return (lease.WithoutUnwired(wired, now), leftovers.ToImmutable());
    }

    /// <summary>The same lease with one line of the file.</summary>
    internal NodeLease Replay(LeaseLine line) => line switch
    {
        LeaseLine.Address address => Held(this with { Slots = Slots.SetItem(address.Ip, address.Slot) }, address.Ip, address.Slot.Hold),
        LeaseLine.Claimed claimed when Slots.TryGetValue(claimed.Ip, out var slot) =>
            Held(this with { Slots = Slots.SetItem(claimed.Ip, slot with { Hold = claimed.Hold, FreedAt = null }) }, claimed.Ip, claimed.Hold),
        LeaseLine.Ended ended => ReplayEnd(ended),
        LeaseLine.Freed freed => LinkGone(freed.Sandbox, freed.Ip, freed.At),
        _ => this,
    };

    private static NodeLease Held(NodeLease lease, Ip address, Hold? hold) =>
        hold is { Leaving: false } ? lease with { Claims = lease.Claims.SetItem(hold.Sandbox, address) } : lease;

    private NodeLease ReplayEnd(LeaseLine.Ended ended)
    {
        var next = this with { Ended = Ended.SetItem(ended.Stamp, ended.Ending) };
        return ended.Ending.Address is { } address && Claims.TryGetValue(ended.Ending.Sandbox, out var claimed) && claimed == address
            ? next with
            {
                Claims = Claims.Remove(ended.Ending.Sandbox),
                Slots = Slots.SetItem(address, Slots[address] with { Hold = Slots[address].Hold! with { Leaving = true } }),
            }
            : next;
    }

    /// <summary>Requests are counted anew in each process, and all that come now are later than what was claimed before.</summary>
    private NodeLease WithoutTurns() => this with
    {
        Slots = Slots.ToImmutableSortedDictionary(
            slot => slot.Key, slot => slot.Value.Hold is { } hold ? slot.Value with { Hold = hold with { Turn = 0 } } : slot.Value),
    };

    /// <summary>No pod of before is alive, and no time of before means anything: all rest from now on.</summary>
    private NodeLease AfterReboot(TimeSpan now)
    {
        var next = this;
        foreach (var (sandbox, address) in Claims)
        {
            next = next.End(sandbox, address).Lease.LinkGone(sandbox, address, now);
        }

        // A claim of the last moment may be missing in the file: it was not fsynced. So each counts as freed just now.
        return next with
        {
            Ended = next.Ended.ToImmutableSortedDictionary(e => e.Key, e => e.Value with { FreedAt = now, Had = null }),
            Slots = next.Slots.ToImmutableSortedDictionary(slot => slot.Key, slot => slot.Value with { Hold = null, FreedAt = now }),
        };
    }

    /// <summary>Somebody's link is where it must not be: the address is held until it is gone.</summary>
    private (NodeLease Lease, SandboxKey Holder) Evict(Ip address, WiredLink link, Hold? hold, TimeSpan now)
    {
        if (hold is { Leaving: false })
        {
            var ended = End(hold.Sandbox, address).Lease;
            return (ended, hold.Sandbox);
        }

        if (hold is not null)
        {
            return (this, hold.Sandbox);
        }

        var holder = link.Sandbox ?? new SandboxKey("half-wired", link.HostVeth ?? "rules");
        return (Protect(address, link.EniId, new Hold(holder, link.Pod, default, now, 0, Leaving: true)), holder);
    }

    /// <summary>A claim without a link is a pod that went while no executor was there, or an ADD that was cut off.</summary>
    private NodeLease WithoutUnwired(IReadOnlyCollection<WiredLink> wired, TimeSpan now)
    {
        var inKernel = wired.Where(link => link.Address is not null).Select(link => link.Address!.Value).ToHashSet();
        var next = this;
        foreach (var (address, slot) in Slots.Where(slot => slot.Value.Hold is not null && !inKernel.Contains(slot.Key)))
        {
            var ended = slot.Hold!.Leaving ? next : next.End(slot.Hold.Sandbox, address).Lease;
            next = ended.LinkGone(slot.Hold.Sandbox, address, now);
        }

        return next;
    }
}

/// <summary>A link of ours as the kernel shows it at a start, or an address of which only rules are left.</summary>
/// <param name="Sandbox">Its owner; null when it is half wired or only rules are left.</param>
/// <param name="HostVeth">Null when only rules are left.</param>
/// <param name="Address">Null when a half-wired link has none yet.</param>
/// <param name="EniId">The interface that the address belongs to; empty when it is not known.</param>
/// <param name="Pod">For people.</param>
public sealed record WiredLink(SandboxKey? Sandbox, string? HostVeth, Ip? Address, string EniId, PodName Pod);

/// <summary>Something to remove from the kernel.</summary>
/// <param name="Holder">Under which the lease holds the address meanwhile.</param>
/// <param name="Link">Without an address when that is another's, or when it has none yet.</param>
public sealed record Leftover(SandboxKey Holder, WiredLink Link);
