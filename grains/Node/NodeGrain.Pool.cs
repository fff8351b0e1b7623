using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Node;

/// <content>What is free, what rests, what is wanted: read from document, rows and the last report.</content>
public sealed partial class NodeGrain
{
    private static readonly TimeSpan RoomStaysTrue = TimeSpan.FromSeconds(10); // Then the ledger is asked again: it costs no EC2 call, and no write.

    private const string ForNew = "a new interface in ";

    private readonly Queue<DateTimeOffset> _adds = []; // Of the last minute.
    private readonly Dictionary<string, (SubnetRoom Room, DateTimeOffset At, Intent For)> _rooms = new(StringComparer.Ordinal); // What subnets had when it was too little for an intent, or since.
    private readonly Dictionary<string, (SubnetRoom Room, DateTimeOffset At)> _kept = new(StringComparer.Ordinal); // From which interface, or a new one, addresses are kept.
    private Reason? _trouble; // Why the node does not have what it wants.

    /// <summary>As it is now: it changes at run time.</summary>
    private PoolPolicy Policy => settings.PolicyOf(InstanceId);

    private Ip? PickFor(AssignRequest request)
    {
        // The same request again, while its row is being written.
        if (_use.PickedFor(request.Sandbox) is { } picked)
        {
            return picked;
        }

        var now = time.GetUtcNow();
        var refused = request.Refused.Select(refusal => refusal.Address).ToHashSet();
        var prefixes = Policy.Prefixes && TakesPrefixes;
        var free = from one in Free()
                   where !refused.Contains(one.Held.Address)
                   select new FreeAddress(one.Held.Address, one.EniId, _use.Rested(one.Held.Address, now),
                       one.Held.Block.IsPrefix != prefixes ? -1 : prefixes ? _use.OnPrefix(one.Held.Address) : 0);
        if (CameBefore(request) is var others and > 0 && free.Count(one => AddressPicker.IsRested(one.Rested, Policy.Cooldown)) <= others)
        {
            return null; // They ask again within a second.
        }

        var onPods = _stored.Interfaces.ToDictionary(eni => eni.EniId, eni => OnPods(eni.EniId), StringComparer.Ordinal); // Once, not at each comparison.
        return AddressPicker.Pick(free, eni => onPods[eni], Policy.Cooldown, Policy.PreferredRest)?.Address;
    }

    /// <summary>What pods may get, rested or not.</summary>
    private IEnumerable<(string EniId, HeldAddress Held)> Free() =>
        from eni in _stored.Interfaces
        where (_report is null || _report.InterfacesSetUp.Contains(eni.EniId)) && !IsExcluded(eni)
        from held in eni.Addresses
        where IsFree(held)
        select (eni.EniId, held);

    /// <summary>Waiting ADDs whose turn comes earlier: first come, first served.</summary>
    private int CameBefore(AssignRequest request) =>
        _waiters.Count(waiter => waiter.Value.Stamp < request.Stamp && waiter.Key != request.Sandbox && HasNothing(waiter.Key));

    /// <summary>No row, and none being written: else its address and its waiting would both count.</summary>
    private bool HasNothing(SandboxKey sandbox) => !_use.RowsOf(sandbox).Any() && _use.PickedFor(sandbox) is null;

    private int OnPods(string eniId) => _doc.Eni(eniId)?.Addresses.Count(held => _use.IsOnPod(held.Address)) ?? 0;

    private bool IsFree(HeldAddress held) => held.AskedBackAt is null && !_use.IsOnPod(held.Address);

    private bool IsRested(Ip address, DateTimeOffset now) => AddressPicker.IsRested(_use.Rested(address, now), Policy.Cooldown);

    private SubnetShare ShareOf(IEnumerable<HeldAddress> addresses, DateTimeOffset now)
    {
        var (onPods, cooling, warm) = (0, 0, 0);
        foreach (var held in addresses)
        {
            _ = _use.IsOnPod(held.Address) ? onPods++ : IsRested(held.Address, now) ? warm++ : cooling++;
        }

        return new SubnetShare(onPods, cooling, warm);
    }

    private bool TakesPrefixes => _doc.TakesPrefixes ?? (_doc.InstanceType is { } type && InstanceLimits.Find(type) is { TakesPrefixes: true });

    private NodeState State(DateTimeOffset now) => new()
    {
        Enis = [.. _doc.Interfaces.Select(eni => StateOf(eni, now)), .. _doc.Intents.Where(intent => intent.Kind == IntentKind.AddInterface && !IsStopped(intent) && !IsStuck(intent.EniId, Way.Attaches, now))
            .Select(intent => new EniState
            {
                EniId = "", Drawing = intent.Drawing, DrawingPrefixes = intent.OfPrefixes, Room = Math.Max(0, _doc.Slots - intent.Count), Subnet = RoomOf(intent.SubnetId, now),
            })],
        Slots = _doc.Slots,
        TakesPrefixes = TakesPrefixes,
        NewInterfaces = IsAhead(_noNewBefore, now) || NewOnesHang(now) ? 0 : FreeDevices(_doc).Count(),
        Removing = _doc.Intents.Count(intent => intent.Kind == IntentKind.RemoveInterface),
        NewIn = [.. NewIn().Select(subnet => RoomOf(subnet, ForNew + subnet, now))],
        WaitingPods = _waiters.Count(waiter => HasNothing(waiter.Key)),
        BoundPods = BoundPods(now),
        RecentAdds = RecentAdds(now),
        MaxPods = MaxPodsAt(now) + _doc.Interfaces.Where(eni => IsExcluded(eni) || IsPrimaryOfCustom(eni)).Sum(eni => StateOfExcluded(eni, now).Blocks.Sum(block => block.Block.Size)), // Those go on, beside as many elsewhere.
    };

    /// <summary>ADDs that 15 s bring, at the rate of the last minute.</summary>
    private int RecentAdds(DateTimeOffset now)
    {
        while (_adds.TryPeek(out var oldest) && (now - oldest).Duration() > TimeSpan.FromMinutes(1))
        {
            _adds.Dequeue();
        }

        return (_adds.Count + 3) / 4;
    }

    /// <summary>What a subnet has for one of its interfaces, or for a new one.</summary>
    private SubnetRoom RoomOf(string subnetId, string where, DateTimeOffset now) =>
        (RoomOf(subnetId, now), KeptFrom(where, now)) is var (all, here) ? all with { HasAddresses = all.HasAddresses && here.HasAddresses, HasPrefixes = all.HasPrefixes && here.HasPrefixes } : default;

    private SubnetRoom RoomOf(string subnetId, DateTimeOffset now) => (_rooms.TryGetValue(subnetId, out var seen) ? seen.Room : new SubnetRoom(subnetId)) with { Level = LevelOf(subnetId, now), Recalled = RecalledFrom(subnetId, now), Mode = ModeOf(subnetId) };

    private SubnetRoom KeptFrom(string where, DateTimeOffset now) =>
        _kept.TryGetValue(where, out var seen) && (now - seen.At).Duration() < RoomStaysTrue ? seen.Room : new SubnetRoom(where);

    /// <summary>What a subnet lacked is asked for again, not supposed to be there: else a single address would be given up for a prefix that is
    /// not whole, again and again.</summary>
    private void AskForRoom(DateTimeOffset now)
    {
        foreach (var (subnet, (room, _, intent)) in _rooms.Where(one => one.Value.Room is not { HasAddresses: true, HasPrefixes: true } && (now - one.Value.At).Duration() >= RoomStaysTrue).ToArray())
        {
            _rooms[subnet] = (room, now, intent); // Asked at; the answer wakes the planner.
            AskForRoomAsync(intent).Ignore();
        }
    }

    private async Task AskForRoomAsync(Intent intent)
    {
        var found = await grains.GetGrain<ISubnetGrain>(intent.SubnetId).ReserveAsync(new ReserveRequest(intent.Id, InstanceId, intent.EniId, 0, [], intent.OfPrefixes, WithPrimary: false, Waiting: ShortFor(intent)));
        if (found.Known)
        {
            var room = Lacks(intent, found);
            if ((intent.OfPrefixes ? !room.HasPrefixes : !room.HasAddresses) && !PoolPlanner.IsServed(State(time.GetUtcNow()), Policy))
            {
                Trouble(WhyDry(intent, found)); // Still so.
            }

            Kick();
        }
    }

    /// <summary>Addresses that pods wait for, and that of the interface that would bring them.</summary>
    private int ShortFor(Intent intent) => IsSilent || ModeOf(intent.SubnetId) == SwitchMode.Frozen || PoolThrift.ShortForPods(State(time.GetUtcNow()), Policy) is not (> 0 and var pods) ? 0 : pods + (intent.Kind == IntentKind.AddInterface ? 1 : 0);

    /// <summary>Of what the intent is to bring, addresses for pods that wait.</summary>
    private int WaitingFor(Intent intent) => IsSilent || ModeOf(intent.SubnetId) == SwitchMode.Frozen ? 0 : Math.Min(_waiters.Count(waiter => HasNothing(waiter.Key)), Math.Max(1, intent.Count) * (intent.OfPrefixes ? Block.PrefixSize : 1));

    /// <summary>Takes the ledger's word in.</summary>
    private SubnetRoom Lacks(Intent intent, Reservation found)
    {
        var room = new SubnetRoom(intent.SubnetId, found.Free > 0 && (!found.IsRefused || intent.OfPrefixes), HasPrefixes: found.FreePrefixes > 0 && !found.IsRefused);
        _rooms[intent.SubnetId] = (room, time.GetUtcNow(), intent);
        return room;
    }

    /// <summary>Device indexes of the default card at which an interface could still be attached, within the type's limit and the policy's.</summary>
    private IEnumerable<int> FreeDevices(NodeDocument document)
    {
        var adding = document.Intents.Where(intent => intent.Kind is IntentKind.AddInterface or IntentKind.RemoveInterface or IntentKind.Unknown).Select(intent => intent.DeviceIndex).ToArray();
        int[] taken = [.. document.Interfaces.Select(eni => eni.DeviceIndex).Concat(adding).Concat(document.ForeignDevices).Distinct()]; // An intent of a newer silo may be of one that is there.
        return Enumerable.Range(1, 64).Where(index => !taken.Contains(index)).Take(Math.Max(0, Math.Min(document.InterfacesAllowed(time.GetUtcNow()), Policy.MaxEnis ?? int.MaxValue) - taken.Length));
    }

    private EniState StateOf(EniDocument eni, DateTimeOffset now)
    {
        if (IsStuck(eni.EniId, Way.IsSetUp, now))
        {
            // What it holds serves no pod but those that it has: the node gets what it needs elsewhere.
            return new EniState { EniId = eni.EniId, ForPods = false, Blocks = [.. eni.Blocks.Select(held => StateOf(held.Block, now)).Where(block => block.OnPods > 0).Select(block => block with { Cooling = block.Block.Size - block.OnPods })] };
        }

        if (IsExcluded(eni))
        {
            return StateOfExcluded(eni, now);
        }

        var intents = _doc.Intents.Where(intent => intent.EniId == eni.EniId).ToArray();
        var draw = intents.FirstOrDefault(intent => intent.Drawing > 0);
        var isHeldBack = draw?.Kind == IntentKind.DrawCounted && MayBeTakenAgain(eni.EniId, now) && _waiters.Any(waiter => HasNothing(waiter.Key)); // Pods need not wait for that where another interface can serve.
        var returning = intents.Where(intent => intent.Kind == IntentKind.Return).Sum(intent => intent.Names.Length);
        var keepsOnly = IsPrimaryOfCustom(eni); // What it gave back it could not draw again.
        var subnet = RoomOf(eni.SubnetId, eni.EniId, now);
        return new EniState
        {
            EniId = eni.EniId,
            MayGo = MayGo(eni),
            Blocks = [.. eni.Blocks.Where(held => held.AskedBackAt is null).Select(held => StateOf(held.Block, now))],
            Room = eni.IsLost || isHeldBack || keepsOnly || Rests(eni.EniId, now) ? 0 : Math.Max(0, _doc.SlotsOf(eni.EniId, now) - eni.Blocks.Length - (draw?.Count ?? 0) - returning),
            Drawing = draw is null || isHeldBack || IsStopped(draw) ? 0 : draw.Drawing,
            DrawingPrefixes = draw?.OfPrefixes ?? false,
            Leaving = eni.Blocks.Count(held => held.AskedBackAt is not null) + returning,
            Subnet = keepsOnly && subnet.Mode == SwitchMode.Normal ? subnet with { Mode = SwitchMode.Hold } : subnet,
        };
    }

    private BlockState StateOf(Block block, DateTimeOffset now)
    {
        var (onPods, cooling, isRipe) = (0, 0, true);
        foreach (var address in block.Addresses)
        {
            if (_use.IsOnPod(address))
            {
                (onPods, isRipe) = (onPods + 1, false);
                continue;
            }

            var rested = _use.Rested(address, now);
            cooling += AddressPicker.IsRested(rested, Policy.Cooldown) ? 0 : 1;
            isRipe &= AddressPicker.IsRested(rested, Policy.PreferredRest);
        }

        return new BlockState(block, onPods, cooling, isRipe);
    }

    /// <summary>A lost one goes its own way: it may be somebody else's by now.</summary>
    private bool MayGo(EniDocument eni) => eni is { DeviceIndex: not 0, IsPinned: false, IsLost: false } && !_doc.Intents.Any(intent => intent.EniId == eni.EniId && intent.Kind == IntentKind.Unknown);

    private bool IsFull() => !IsHeld && !_doc.Interfaces.IsEmpty && !_doc.IsBusy && !FreeDevices(_doc).Any() && _doc.Interfaces.All(eni => IsExcluded(eni) ? !MayGo(eni) :
        (IsPrimaryOfCustom(eni) || eni.Blocks.Length >= _doc.SlotsOf(eni.EniId, time.GetUtcNow())) && eni.Addresses.All(held => _use.IsOnPod(held.Address)));
}
