using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Vpc;
using Microsoft.Extensions.Logging;
using Orleans.Storage;

namespace AwsVpcCni.Grains.Subnet;

/// <summary>One subnet's ledger: used, ours, set aside. Names free addresses so that EC2 is asked for just those.</summary>
/// <remarks>Not reentrant: each call is one step of the ledger, written before it is answered; only who holds a block is answered meanwhile. It awaits the store only.</remarks>
public sealed partial class SubnetGrain(
    IGrainContext context,
    [PersistentState("subnet", DocumentJson.StorageName)] IPersistentState<SubnetDocument> document,
    [PersistentState("subnet-usage", DocumentJson.StorageName)] IPersistentState<SubnetUsage> usage,
    IGrainFactory grains,
    ClusterSettings settings,
    TimeProvider time,
    ILogger<SubnetGrain> logger) : IGrainBase, ISubnetGrain
{
    private const int LargestHoldersShown = 3;

    /// <summary>Bytes of a document, of draws and takings over that are under way: some 1,000 draws of 9 addresses. DynamoDB takes 400 KB, with <see cref="RecentChanges"/>
    /// and the maps of a /16. The second half is for pods that wait, and its second half not for new interfaces, whose names are set aside until they are attached.</summary>
    private const int MostOpen = 320 * 1024, MostOpenForNew = MostOpen / 4 * 3, MostOpenForWarm = MostOpen / 2;

    /// <summary>Those, and the recent changes.</summary>
    private const int MostInAll = 352 * 1024;

    private static readonly TimeSpan NodesTell = TimeSpan.FromMinutes(10); // Each node says each half minute what it holds; a silo that ends takes its nodes' grains with it for a minute or two.

    private static readonly TimeSpan TellsAgain = TimeSpan.FromMinutes(2); // A node whose grain lives.

    private readonly DateTimeOffset _since = time.GetUtcNow();
    private readonly SortedDictionary<string, (long Change, SubnetShare Share, ImmutableArray<Ip> Held, DateTimeOffset At)> _shares = new(StringComparer.Ordinal);
    private static readonly TimeSpan RangesTake = TimeSpan.FromSeconds(5);

    private DateTimeOffset? _waitsForRanges; // Since.
    private bool _areRangesAsked; // Whatever the answer was.
    private DateTimeOffset? _noAddressesSince; // In memory: a new activation costs one refused call.
    private DateTimeOffset? _noPrefixesSince;
    private ImmutableArray<UsedAddress> _lastUsed = []; // Of the last look: who holds what, for operators.
    private string? _lastDigest; // Of that.
    private bool _isSwept;

    /// <inheritdoc/>
    public IGrainContext GrainContext => context;

    private string SubnetId { get; } = context.GrainId.Key.ToString()!;

    /// <inheritdoc/>
    public async Task<Reservation> ReserveAsync(ReserveRequest request)
    {
        var now = time.GetUtcNow();
        if (document.State.Subnet is null)
        {
            ReadMe();
            return new Reservation(false, [], 0, 0, []);
        }

        if (IsToHearOfReservations(now))
        {
            return new Reservation(false, [], 0, 0, []);
        }

        var doc = document.State;
        var standing = Standing(doc);
        var mine = standing.FirstOrDefault(one => one.IntentId == request.IntentId);
        var taken = Taken(doc with { Reservations = standing });
        var isRefused = IsLately(_noAddressesSince, now) || (request.Prefixes && IsLately(_noPrefixesSince, now));
        var names = mine?.Names ?? (isRefused || IsForWaiting(request) ? [] : Choose(doc, taken.With(Addresses(request.NotThese)), request));
        if (mine is null && !names.IsEmpty && Open(doc with { Reservations = standing }) > (request.Waiting == 0 ? MostOpenForWarm : request.WithPrimary ? MostOpenForNew : MostOpen))
        {
            return new Reservation(false, [], 0, 0, [], IsCrowded: true);
        }

        if (!names.IsEmpty)
        {
            // Stored before the answer: no other activation names them too.
            await StoreAsync(doc with
            {
                Reservations = [.. standing.Where(one => one.IntentId != request.IntentId), new ReservedNames(request.IntentId, request.NodeId, names, now, request.Change)],
            });
        }

        await RecallAsync(request, names, now);
        var isShort = request.Count == 0 || names.Length < request.Count + (request.WithPrimary ? 1 : 0); // Nothing wanted: it asks what there is.
        return new Reservation(true, names, Free(Closed(doc, taken)), WholeBlocks(doc, taken), isShort ? LargestHolders() : [], isRefused);
    }

    /// <summary>The first names wait for them, but not for long: who looks at EC2 may be of a silo that knows of none, or may not read them.</summary>
    private bool IsToHearOfReservations(DateTimeOffset now)
    {
        var waits = document.State.Ranges is null && !_areRangesAsked;
        if (waits && _waitsForRanges is null)
        {
            _waitsForRanges = now;
            ReadMe();
        }

        return waits && (now - _waitsForRanges!.Value).Duration() < RangesTake;
    }

    /// <inheritdoc/>
    public async Task SettleAsync(string intentId, string nodeId, long change, ImmutableArray<Block> drawn, ImmutableArray<Block> suspect)
    {
        var doc = document.State;
        if (doc.Subnet is not { } subnet)
        {
            return; // Never read: the first sweep shows what was drawn.
        }

        // A suspect counts as used until the next sweep says what it is.
        var addresses = NotLate(doc, Addresses(drawn), nodeId, change);
        await StoreAsync(Changed(doc, addresses, nodeId, change, used: true) with
        {
            Used = [.. Map(subnet.Cidr, doc.Used).With(addresses).With(Addresses(suspect)).Bits],
            Ours = [.. Map(subnet.Cidr, doc.Ours).With(addresses).Bits],
            Reservations = [.. doc.Reservations.Where(one => one.IntentId != intentId)],
        });
        if (!suspect.IsEmpty)
        {
            LogSuspect(SubnetId, Addresses(suspect).Count(), nodeId);
            ReadMe();
        }
    }

    /// <inheritdoc/>
    public Task<ImmutableArray<Block>> HeldByOursAsync(ImmutableArray<Block> blocks)
    {
        var doc = document.State;
        var ours = doc.Subnet is { Cidr: var cidr } ? Map(cidr, doc.Ours) : null;
        return Task.FromResult<ImmutableArray<Block>>([.. blocks.Where(block => ours is not null && block.Addresses.Any(ours.Contains))]);
    }

    /// <inheritdoc/>
    public async Task<ImmutableArray<Block>> TakeOverAsync(string nodeId, long change, ImmutableArray<Block> blocks)
    {
        var doc = document.State;
        if (doc.Subnet is not { } subnet)
        {
            return []; // Never read: the first sweep shows them as used.
        }

        var ours = Map(subnet.Cidr, doc.Ours);
        var taking = doc.AllTakingOver();
        var own = Addresses(taking.Where(one => one.NodeId == nodeId).SelectMany(one => one.Blocks)).Except(_shares.Where(one => one.Key != nodeId).SelectMany(one => one.Value.Held)).ToHashSet(); // Noted before, and the node could not store it.
        ImmutableArray<Block> others = [.. blocks.Where(block => block.Addresses.Any(address => ours.Contains(address) && !own.Contains(address)))];
        var addresses = NotLate(doc, Addresses(blocks.RemoveRange(others)), nodeId, change);
        if (!addresses.IsEmpty)
        {
            if (own.Count == 0 && Open(doc) > MostOpen)
            {
                throw new InvalidOperationException($"{SubnetId}: {taking.Length} nodes are taking over addresses that they came with. {nodeId} asks again.");
            }

            await StoreAsync(Changed(doc, addresses, nodeId, change, used: true).WithTakingOver([.. Without(taking, nodeId, addresses), Change(doc, addresses, nodeId, change, isReturn: false)]) with
            {
                Used = [.. Map(subnet.Cidr, doc.Used).With(addresses).Bits],
                Ours = [.. ours.With(addresses).Bits],
            });
        }

        return others;
    }

    /// <inheritdoc/>
    public Task<ImmutableArray<string>?> HoldersOfAsync(Ip address)
    {
        var now = time.GetUtcNow();
        var told = _shares.Where(node => (now - node.Value.At).Duration() < TellsAgain).Select(node => node.Key).ToHashSet(StringComparer.Ordinal);
        ImmutableArray<string> holders = [.. _shares.Where(node => node.Value.Held.Contains(address)).Select(node => node.Key)];
        return Task.FromResult<ImmutableArray<string>?>(_isSwept ? [.. holders.Concat(_lastUsed.Where(one => one.Address == address || (one.InstanceId is { } id && !told.Contains(id))).Select(one => one.InstanceId).OfType<string>())
            .Concat(document.State.Changes.Where(one => !one.IsReturn && one.Has(address)).Select(one => one.NodeId)).Distinct()] : holders.IsEmpty ? null : holders);
    }

    /// <inheritdoc/>
    public Task NoRoomAsync(string nodeId, bool onlyPrefixes)
    {
        var now = time.GetUtcNow();
        (_noAddressesSince, _noPrefixesSince) = (onlyPrefixes ? _noAddressesSince : now, now);
        LogNoRoom(SubnetId, nodeId, onlyPrefixes ? "whole /28" : "address");
        ReadMe();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task ReturnedAsync(string nodeId, long change, ImmutableArray<Block> blocks, bool isFree)
    {
        var doc = document.State;
        if (doc.Subnet is { } subnet)
        {
            var addresses = NotLate(doc, Addresses(blocks), nodeId, change);
            if (_shares.TryGetValue(nodeId, out var share))
            {
                _shares[nodeId] = share with { Held = share.Held.RemoveRange(addresses) }; // A node that has left the subnet says so once.
            }

            // When nobody knows who has them now, the node's own draw of before must not stand against another's.
            var next = isFree ? Changed(doc, addresses, nodeId, change, used: false)
                : (doc with { Change = doc.Change + 1 }).With(RecentChanges.Of(doc).Without(nodeId, addresses));
            var used = Map(subnet.Cidr, doc.Used);
            var others = _shares.Where(one => one.Key != nodeId).SelectMany(one => one.Value.Held).ToHashSet(); // A pod may still have what its node has lost.
            await StoreAsync(next.WithTakingOver(Without(doc.AllTakingOver(), nodeId, addresses)) with
            {
                Used = [.. (isFree ? used.Without(addresses) : used.With(addresses)).Bits],
                Ours = [.. Map(subnet.Cidr, doc.Ours).Without(addresses.Where(address => !others.Contains(address))).Bits],
            });
            if (!isFree)
            {
                ReadMe();
            }
            else if (!addresses.IsEmpty)
            {
                foreach (var waiting in _waiting.OrderBy(one => one.Value.At).Take(addresses.Length).Select(one => one.Key).ToArray())
                {
                    Tell(waiting); // It asks again at once.
                }
            }
        }
    }

    /// <inheritdoc/>
    public async Task ShareAsync(string nodeId, long change, SubnetShare share, ImmutableArray<Ip> held, ImmutableArray<string> open)
    {
        if (_shares.TryGetValue(nodeId, out var known) && known.Change > change)
        {
            return; // Late: it has said something newer.
        }

        _shares[nodeId] = (change, share, held, time.GetUtcNow());
        await LookAtLevelAsync();
        if (document.State.Level != SubnetLevel.Plenty)
        {
            Tell(nodeId); // It may have missed it.
        }

        if (document.State.Level == SubnetLevel.Dry)
        {
            Recall(time.GetUtcNow()); // It may have what nobody had before.
        }

        var doc = document.State;
        if (doc.Subnet is not { } subnet)
        {
            return;
        }

        var ours = Map(subnet.Cidr, doc.Ours);
        var news = NotLate(doc, held, nodeId, change);
        var left = doc.Reservations.RemoveAll(one => one.NodeId == nodeId && one.NodeChange <= change && !open.Contains(one.IntentId));
        var taking = doc.AllTakingOver();
        var told = taking.Where(one => one.NodeId == nodeId && one.NodeChange < change).ToArray();
        if (!news.All(ours.Contains) || left.Length < doc.Reservations.Length || told.Length > 0)
        {
            // What it was about to take over, and has not after all, is nobody's: it may still find that it can.
            var all = _shares.Values.SelectMany(one => one.Held).ToHashSet();
            await StoreAsync(Changed(doc, [], nodeId, change, used: true).WithTakingOver(taking.Except(told)) with
            {
                Ours = [.. ours.With(news).Without(Addresses(told.SelectMany(one => one.Blocks)).Where(address => !all.Contains(address))).Bits], Reservations = left,
            });
        }
    }

    /// <inheritdoc/>
    public async Task RetiredAsync(string nodeId, long change, ImmutableArray<Block> blocks)
    {
        ImmutableArray<Block> held = [.. blocks, .. _shares.TryGetValue(nodeId, out var share) ? share.Held.Select(address => new Block(address)) : [], .. document.State.AllTakingOver().Where(one => one.NodeId == nodeId).SelectMany(one => one.Blocks)];
        if (!held.IsEmpty)
        {
            await ReturnedAsync(nodeId, change, held, isFree: false);
        }

        _shares.Remove(nodeId);
        _waiting.Remove(nodeId);
        if (document.State.Reservations.Any(one => one.NodeId == nodeId))
        {
            await StoreAsync(document.State with { Reservations = document.State.Reservations.RemoveAll(one => one.NodeId == nodeId) });
        }
    }

    /// <inheritdoc/>
    public async Task<SubnetFree> FreeAsync()
    {
        await LookAtLevelAsync(); // Others have set aside since.
        var (doc, now) = (document.State, time.GetUtcNow());
        if (doc.Subnet is null)
        {
            ReadMe();
            return new SubnetFree(0, 0, doc.Level, IsUnread: true);
        }

        if (IsLately(_noAddressesSince, now))
        {
            return new SubnetFree(0, 0, doc.Level);
        }

        var taken = Taken(doc with { Reservations = Standing(doc) });
        return new SubnetFree(Free(Closed(doc, taken)), IsLately(_noPrefixesSince, now) ? 0 : WholeBlocks(doc, taken), doc.Level);
    }

    /// <inheritdoc/>
    public Task<long> ChangeNumberAsync() => Task.FromResult(document.State.Change);

    /// <inheritdoc/>
    public Task SweptAsync(SubnetSweep sweep) => LookedAsync(sweep);

    /// <inheritdoc/>
    public async Task<LookEffect> LookedAsync(SubnetSweep look)
    {
        if (look.Since is { } since && since.Digest != _lastDigest)
        {
            return LookEffect.TellAll; // This activation has not heard of that one, or another has come between.
        }

        var sweep = look.Since is null ? look : look with { Used = [.. _lastUsed.Except(look.Since.Gone), .. look.Used], Since = null };
        var doc = document.State;
        (_lastUsed, _lastDigest, _isSwept) = (sweep.Used, sweep.Digest, true);
        _areRangesAsked |= sweep.AreRangesAsked;
        var cidr = sweep.Subnet.Cidr;
        var now = time.GetUtcNow();
        var recent = RecentChanges.Of(doc);
        var later = recent.Since(sweep.StartedChange);
        var used = SubnetMap.Empty(cidr).With(sweep.Used.Select(one => one.Address)).With(Of(later, areReturns: false)).Without(Of(later, areReturns: true));
        recent = recent.Seen(sweep.StartedChange, now);
        var ours = Map(cidr, doc.Ours);
        if (sweep.StartedChange < recent.Dropped)
        {
            // What it may not have seen is not on record any more. The next one has seen it.
            LogNotBelieved(SubnetId, sweep.StartedChange, recent.Dropped);
            used = Map(cidr, doc.Used);
        }
        else if ((now - _since).Duration() > NodesTell)
        {
            // What no node says that it holds, and EC2 does not show, was lost on the way: a return whose message did not come, say.
            ours = ours.And(used.With(_shares.Values.SelectMany(share => share.Held)).With(Of(recent.All, areReturns: false)));
        }

        var next = (doc with { Subnet = sweep.Subnet, Used = [.. used.Bits], Ours = [.. ours.Bits], ReadAt = now, Ranges = sweep.Ranges ?? doc.Ranges }).With(recent)
            .WithTakingOver(doc.AllTakingOver().Where(one => one.Blocks.Any(block => block.Addresses.Any(ours.Contains)))); // Of a node that has ended before it said more, nothing is left.
        var isNews = !IsSame(doc.Subnet, sweep.Subnet) || !doc.Used.AsSpan().SequenceEqual(next.Used) || !doc.Ours.AsSpan().SequenceEqual(next.Ours) || doc.Recent.Length > 0 || doc.Changes.Length != next.Changes.Length || doc.Ranges is null != next.Ranges is null || !doc.Reserved.SequenceEqual(next.Reserved);
        if (isNews)
        {
            await StoreAsync(next);
        }
        else
        {
            document.State = next; // Only the hour of the look: not worth a write.
        }

        await LookAtLevelAsync();
        next = next with { Reservations = Standing(next) };
        await NoteUseAsync(now, Room(next) - FreeForPods(next));
        return doc.Used.AsSpan().SequenceEqual(next.Used) ? LookEffect.AsKnown : LookEffect.News;
    }

    /// <summary>EC2's count of free addresses changes with each draw, and nobody reads it here.</summary>
    private static bool IsSame(Ec2Subnet? one, Ec2Subnet other) => one is not null && (one.SubnetId, one.VpcId, one.Zone, one.Cidr) == (other.SubnetId, other.VpcId, other.Zone, other.Cidr) && one.Tags.SequenceEqual(other.Tags);

    private async Task NoteUseAsync(DateTimeOffset now, int used)
    {
        var before = usage.State.Past.LastSlot;
        usage.State = usage.State with { Past = usage.State.Past.With(now, used) };
        if (usage.State.Past.LastSlot != before)
        {
            await WriteAsync(usage);
        }
    }

    /// <inheritdoc/>
    public Task<SubnetSummary> SummarizeAsync()
    {
        var doc = document.State with { Reservations = Standing(document.State) };
        var taken = doc.Subnet is null ? null : Taken(doc);
        var free = taken is null ? 0 : Free(Closed(doc, taken));
        var used = taken is null ? 0 : Room(doc) - FreeForPods(doc);
        int Kept(bool forPrefixes) => taken is null || doc.Reserved.IsEmpty ? 0 : KeptBy(doc, range => range.ForPrefixes == forPrefixes) is var kept ? Free(taken) - Free(taken.Or(kept)) : 0;
        var past = taken is null ? new UsageHistory() : usage.State.Past.With(time.GetUtcNow(), used);
        var held = _shares.Values.SelectMany(share => share.Held).ToHashSet();
        var others = _lastUsed.Count(one => !held.Contains(one.Address) && (one.InstanceId is null || !_shares.ContainsKey(one.InstanceId)));
        var told = _shares.Where(one => !one.Value.Held.IsEmpty).ToImmutableSortedDictionary(one => one.Key, one => one.Value.At, StringComparer.Ordinal);
        return Task.FromResult(new SubnetSummary(
            SubnetId, doc.Subnet?.Zone, doc.Subnet?.Cidr, doc.Subnet?.Cidr.Size ?? 0, doc.Subnet is null ? 0 : Used(doc).Count, held.Count,
            _shares.Values.Sum(one => one.Share.OnPods), _shares.Values.Sum(one => one.Share.Warm), _shares.Values.Sum(one => one.Share.Cooling),
            doc.Reservations.Sum(one => one.Names.Sum(name => name.Size)), others, free,
            _shares.Where(one => !one.Value.Held.IsEmpty).ToImmutableSortedDictionary(one => one.Key, one => one.Value.Held.Length, StringComparer.Ordinal), doc.ReadAt,
            taken is null ? 0 : WholeBlocks(doc, taken), taken is null ? null : ExhaustionForecast.Of(past, used, Room(doc)),
            doc.Level, _shares.Values.Sum(one => one.Share.Withheld), past.ChangeOver(TimeSpan.FromHours(1)), past.ChangeOver(TimeSpan.FromDays(1)),
            doc.Subnet is { } seen ? SubnetRoles.Of(seen.Tags, settings.ClusterName) : SubnetRole.Unmarked, Kept(forPrefixes: true), Kept(forPrefixes: false), settings.SwitchOf(null, SubnetId), told.IsEmpty ? null : told.Values.Min(), told));
    }

    /// <summary>Addresses that pods could have: AWS does not keep them, nor a reservation that is for something else.</summary>
    private int Room(SubnetDocument doc) => doc.Reserved.IsEmpty ? Room(doc.Subnet!.Cidr) : Free(KeptBy(doc, range => !(range.ForPrefixes && settings.Pool.Prefixes)));

    /// <summary>Of these, what nobody has, nor has set aside.</summary>
    private int FreeForPods(SubnetDocument doc) => Taken(doc) is var taken && !doc.Reserved.IsEmpty && settings.Pool.Prefixes
        ? Free(Closed(doc, taken)) + (Block.PrefixSize * (WholeBlocks(doc, taken) - AddressNamer.ChoosePrefixes(taken.Subnet, Closed(doc, taken).Contains, int.MaxValue).Length))
        : Free(Closed(doc, taken));

    private static int Room(Cidr subnet) => (int)subnet.Size - 5;

    /// <summary>As far as a ledger that has restarted has heard and read it again.</summary>
    private ImmutableArray<SubnetHolder> LargestHolders()
    {
        var held = _shares.Values.SelectMany(share => share.Held).ToHashSet();
        return [.. _lastUsed.Where(one => !held.Contains(one.Address)).CountBy(one => one.InstanceId ?? one.EniId)
            .Concat(_shares.Select(one => KeyValuePair.Create(one.Key, one.Value.Held.Length)))
            .GroupBy(one => one.Key, one => one.Value, (id, counts) => new SubnetHolder(id, counts.Sum()))
            .OrderByDescending(one => one.Addresses).ThenBy(one => one.Id, StringComparer.Ordinal).Take(LargestHoldersShown)];
    }

    private static IEnumerable<Ip> Addresses(IEnumerable<Block> blocks) => blocks.SelectMany(block => block.Addresses);

    /// <summary>All that is asked for, or as much as there is; an interface's own address comes before all others.</summary>
    private static ImmutableArray<Block> Choose(SubnetDocument doc, SubnetMap taken, ReserveRequest request)
    {
        var subnet = taken.Subnet;
        var primary = request.WithPrimary ? AddressNamer.Choose(subnet, Closed(doc, taken).Contains, 1) : [];
        if (request.WithPrimary && primary.IsEmpty)
        {
            return [];
        }

        taken = taken.With(primary);
        return [.. primary.Select(address => new Block(address)), .. request.Prefixes
            ? AddressNamer.ChoosePrefixes(subnet, taken.Contains, request.Count, doc.Reserved.AsSpan())
            : AddressNamer.Choose(subnet, Closed(doc, taken).Contains, request.Count).Select(address => new Block(address))];
    }

    private static SubnetMap Map(Cidr cidr, byte[] bits) => bits.Length == 0 ? SubnetMap.Empty(cidr) : new SubnetMap(cidr, [.. bits]);

    /// <summary>What EC2 shows, and what nodes of ours hold: rule 4, the latter is not drawn elsewhere whatever EC2 shows.</summary>
    private static SubnetMap Used(SubnetDocument doc) => Map(doc.Subnet!.Cidr, doc.Used).Or(Map(doc.Subnet.Cidr, doc.Ours));

    /// <summary>Reservations that have not lapsed.</summary>
    private ImmutableArray<ReservedNames> Standing(SubnetDocument doc)
    {
        var now = time.GetUtcNow();
        return [.. doc.Reservations.Where(one => now - one.AskedAt < settings.Timing.ReservationLapse)];
    }

    private static SubnetMap Taken(SubnetDocument doc) => Used(doc).With(Addresses(doc.Reservations.SelectMany(one => one.Names)));

    private static int Free(SubnetMap taken) => Room(taken.Subnet) - taken.Count + AddressNamer.KeptByAws(taken.Subnet).Count(taken.Contains);

    private static int WholeBlocks(SubnetDocument doc, SubnetMap taken) => AddressNamer.ChoosePrefixes(taken.Subnet, taken.Contains, int.MaxValue, doc.Reserved.AsSpan()).Length;

    /// <summary>With what reservations keep: no single address is named there.</summary>
    private static SubnetMap Closed(SubnetDocument doc, SubnetMap taken) => doc.Reserved.IsEmpty ? taken : taken.Or(KeptBy(doc, _ => true));

    private static SubnetMap KeptBy(SubnetDocument doc, Func<ReservedRange, bool> by) => doc.Reserved.Where(by).Aggregate(SubnetMap.Empty(doc.Subnet!.Cidr), (map, range) => map.With(range.Cidr));

    private SubnetDocument Changed(SubnetDocument doc, ImmutableArray<Ip> addresses, string nodeId, long change, bool used) =>
        (doc with { Change = doc.Change + 1 }).With(RecentChanges.Of(doc).With(Change(doc, addresses, nodeId, change, isReturn: !used), Math.Clamp(MostInAll - Open(doc), 0, RecentChanges.MostBytes)));

    private static int Open(SubnetDocument doc) => doc.Reservations.Sum(one => one.Bytes) + doc.AllTakingOver().Sum(one => one.Bytes);

    /// <summary>The next one.</summary>
    private LedgerChange Change(SubnetDocument doc, ImmutableArray<Ip> addresses, string nodeId, long change, bool isReturn) =>
        new(doc.Change + 1, isReturn, nodeId, change, time.GetUtcNow().ToUnixTimeMilliseconds(), LedgerChange.Joined(addresses));

    private static ImmutableArray<LedgerChange> Without(ImmutableArray<LedgerChange> all, string nodeId, ImmutableArray<Ip> addresses) =>
        new RecentChanges(all, 0).Without(nodeId, addresses).All;

    private static IEnumerable<Ip> Of(ImmutableArray<LedgerChange> changes, bool areReturns) => Addresses(changes.Where(one => one.IsReturn == areReturns).SelectMany(one => one.Blocks));

    private bool IsLately(DateTimeOffset? refusal, DateTimeOffset now) => refusal is { } then && (now - then).Duration() < settings.Timing.SweepPeriod;

    private static ImmutableArray<Ip> NotLate(SubnetDocument doc, IEnumerable<Ip> addresses, string nodeId, long change) => RecentChanges.Of(doc).NotLate(addresses, nodeId, change);

    private void ReadMe() => grains.GetGrain<IVpcGrain>(settings.VpcId).ReadSubnetAsync(SubnetId).Ignore();

    private Task StoreAsync(SubnetDocument next)
    {
        document.State = next;
        return WriteAsync(document);
    }

    private async Task WriteAsync<T>(IPersistentState<T> state)
    {
        try
        {
            await state.WriteStateAsync();
        }
        catch (Exception exception) when (exception is InconsistentStateException or StoreException)
        {
            // Rule 11: another activation wrote, or nobody knows. The next one reads what is true.
            LogLost(SubnetId, exception.Message);
            this.DeactivateOnIdle();
            throw;
        }
    }

    [LoggerMessage(EventId = 2200, Level = LogLevel.Warning, Message = "{SubnetId}: EC2 refused {Count} names that the ledger showed free, for {NodeId}; reading the subnet again.")]
    private partial void LogSuspect(string subnetId, int count, string nodeId);

    [LoggerMessage(EventId = 2202, Level = LogLevel.Warning, Message = "{SubnetId}: EC2 has no {What} more, it told {NodeId}; so long no node asks it again. Reading the subnet again.")]
    private partial void LogNoRoom(string subnetId, string nodeId, string what);

    [LoggerMessage(EventId = 2205, Level = LogLevel.Information, Message = "{SubnetId}: a look that began at change {Started} changes nothing: so much has been drawn and returned that it is on record only from change {Dropped} on. The next look shows it.")]
    private partial void LogNotBelieved(string subnetId, long started, long dropped);

    [LoggerMessage(EventId = 2201, Level = LogLevel.Warning, Message = "{SubnetId}: this activation ends: {Why}")]
    private partial void LogLost(string subnetId, string why);
}
