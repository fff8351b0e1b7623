using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Node;

/// <content>The work loop: what the planner wants of EC2 is stored as an intent, then tried until it is settled.</content>
public sealed partial class NodeGrain
{
    private const int RefusalsBeforeCounted = 3;
    private static readonly TimeSpan AttachingTakes = TimeSpan.FromSeconds(5); // Usually: 1 to 10 s, ec2.md 2.1.

    private static readonly TimeSpan ShareAgain = TimeSpan.FromSeconds(30);

    private readonly Dictionary<string, (int Tries, DateTimeOffset NotBefore)> _retries = [];
    private string? _crowdedOut; // The intent that a ledger has refused last, having set enough aside.
    private readonly Dictionary<string, (SubnetShare Share, long LeaseVersion, DateTimeOffset At)> _shared = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _declined = new(StringComparer.Ordinal); // Refusals of an intent that say something of what it asks for.
    private DateTimeOffset _planNotBefore = DateTimeOffset.MinValue;
    private int _largestDraw = int.MaxValue; // Falls when EC2 refuses a batch for a limit; what remains is then asked for one by one.
    private readonly HashSet<string> _running = new(StringComparer.Ordinal); // Intents that are being carried out just now.
    private DateTimeOffset _gatherUntil = DateTimeOffset.MinValue; // ADDs that come together are planned together.
    private bool _working;
    private bool _isKicked; // Since the work loop's last beginning.
    private bool _isContent; // At its last plan: nothing is to be done.
    private bool _rests; // The work loop comes seldom.

    private async Task WorkAsync(CancellationToken cancellation)
    {
        if (_working || _lost)
        {
            return;
        }

        (_working, _isKicked) = (true, false);
        Rouse();
        try
        {
            AskForLooks();
            await ReturnConsentedAsync();
            await PlanAsync();
            RunDue(cancellation);
            FollowGroups();
            await RetireAsync();
            ShareWithSubnets();
            TellOfNode();
            Forget();
            await RereadAsync(cancellation);
        }
        finally
        {
            _working = false;
        }

        if (!_isKicked && IsAtRest(time.GetUtcNow()))
        {
            _rests = true;
            _timer?.Change(settings.Timing.RestPeriod, settings.Timing.RestPeriod);
        }
    }

    /// <summary>Nothing is under way, and nothing that only time brings is waited for, but what may come some seconds later.</summary>
    private bool IsAtRest(DateTimeOffset now) => _isContent && !_lost && !_fate.IsGone && !_isEnded && !IsSilent && _trouble is null && _waiters.Count == 0 && _doc.Intents.IsEmpty && _running.Count == 0
        && _unfinished.Count == 0 && _missing.Count == 0 && !_followsGroups && !IsAhead(_groupsNotBefore, now)
        && _rooms.Values.All(said => said.Room is { HasAddresses: true, HasPrefixes: true }) && _levels.Keys.All(subnet => LevelOf(subnet, now) == SubnetLevel.Plenty);

    /// <summary>From now on it comes as often as it does for a node that wants something.</summary>
    private void Rouse()
    {
        _isContent = false; // Also of a tick that is under way.
        if (_rests)
        {
            _rests = false;
            _timer?.Change(settings.Timing.WorkPeriod, settings.Timing.WorkPeriod);
        }
    }

    /// <summary>What is remembered of intents and interfaces that are gone.</summary>
    private void Forget()
    {
        var intents = _doc.Intents.Select(intent => intent.Id).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _retries.Keys.Union(_declined.Keys).Union(_unknownSince.Keys).Where(id => !intents.Contains(id)).ToArray())
        {
            _retries.Remove(gone);
            _declined.Remove(gone);
            _unknownSince.Remove(gone);
        }

        foreach (var gone in _restsUntil.Keys.Concat(_kept.Keys.Where(where => !where.StartsWith(ForNew, StringComparison.Ordinal))).Where(eni => _doc.Eni(eni) is null).ToArray())
        {
            _restsUntil.Remove(gone);
            _kept.Remove(gone);
        }

        foreach (var gone in _rooms.Keys.Except(_doc.Interfaces.Select(eni => eni.SubnetId)).Except(_doc.Intents.Select(intent => intent.SubnetId)).Except(NewIn()).ToArray())
        {
            _rooms.Remove(gone);
            _kept.Remove(ForNew + gone);
        }
    }

    private async Task PlanAsync()
    {
        var now = time.GetUtcNow();
        if (_lost || _isEnded || IsHeld || _doc.Interfaces.IsEmpty || IsAhead(_planNotBefore, now))
        {
            return;
        }

        if (IsAhead(_gatherUntil, now))
        {
            _timer?.Change(_gatherUntil - now, settings.Timing.WorkPeriod);
            return;
        }

        if (Policy.Provisions)
        {
            AskForRoom(now);
        }

        var (state, waits) = (State(now), default(ExpectedWaits));
        if (PoolPlanner.HasChoice(state, Policy))
        {
            waits = await ExpectedWaitsAsync();
            if (_lost || _isEnded || IsHeld || _doc.Interfaces.IsEmpty)
            {
                return; // Since.
            }

            state = State(time.GetUtcNow());
        }

        var plan = PoolPlanner.Plan(state, Policy, waits);
        if (plan.Any(action => action is PoolAction.AddInterface) && state.NewIn.Any(subnet => subnet.SubnetId != _doc.Home))
        {
            // Where the policy lists them, the list decides. Draws do not wait.
            var isKnown = await AskWhatIsFreeAsync([.. state.NewIn.Select(subnet => subnet.SubnetId)]) || !Policy.Subnets.IsEmpty;
            if (_lost || _isEnded || IsHeld || _doc.Interfaces.IsEmpty)
            {
                return; // Since.
            }

            state = State(time.GetUtcNow());
            plan = PoolPlanner.Plan(state, Policy, isKnown ? waits : default);
            if (!isKnown)
            {
                plan = plan.RemoveAll(action => action is PoolAction.AddInterface);
                if (!_isKicked)
                {
                    _timer?.Change(settings.Timing.WorkPeriod / 2, settings.Timing.WorkPeriod);
                }
            }
        }
        else
        {
            _unreadSince = null;
        }

        if (plan.IsEmpty && state.NewInterfaces > 0 && state.NewIn.IsEmpty && !_doc.IsBusy && !PoolPlanner.IsServed(state, Policy))
        {
            Trouble(WhyNowhere());
        }

        if (plan.IsEmpty && !_doc.IsBusy && PoolPlanner.IsServed(state, Policy))
        {
            (_trouble, _isContent) = (null, true); // It has what it wants.
        }

        var next = plan.Aggregate(_doc, (document, action) => action switch
        {
            PoolAction.Draw draw => WithDraw(document, draw),
            PoolAction.AddInterface add => WithAdd(document, add),
            PoolAction.RemoveInterface remove => WithRemove(document, document.Eni(remove.EniId)!),
            PoolAction.GiveUp giveUp => WithAskedBack(document, giveUp.Blocks),
            _ => throw new InvalidOperationException($"{InstanceId}: the planner wants {action}, which nobody carries out."),
        });
        var isLeaseChanged = next.LeaseVersion != _doc.LeaseVersion;
        if (plan.Any(action => action is PoolAction.GiveUp))
        {
            _recalled.Clear(); // Before the await: what is asked back meanwhile is another matter.
        }

        if (next != _doc && await StoreAsync(next) && isLeaseChanged)
        {
            LogAskedBack(InstanceId, plan.OfType<PoolAction.GiveUp>().Sum(giveUp => giveUp.Blocks.Sum(block => block.Size)));
            Hint();
        }
    }

    private async Task<ExpectedWaits> ExpectedWaitsAsync()
    {
        try
        {
            return await grains.GetGrain<IEc2QuotaGrain>(settings.QuotaKey).ExpectAsync(InstanceId, AttachingTakes);
        }
        catch (Exception e) when (!_lost)
        {
            LogFailed(InstanceId, IntentKind.Draw, "", e);
            return default; // The call that is planned says it again, and waits.
        }
    }

    private NodeDocument WithDraw(NodeDocument document, PoolAction.Draw draw)
    {
        if (document.Intents.Any(intent => intent.EniId == draw.EniId && intent.Kind is not (IntentKind.Return or IntentKind.Unknown)))
        {
            return document; // One at a time.
        }

        var eni = document.Eni(draw.EniId)!;
        return document.WithIntent("", new Intent
        {
            Id = NewId(document),
            Kind = document.NamesRefused < RefusalsBeforeCounted ? IntentKind.Draw : IntentKind.DrawCounted,
            EniId = draw.EniId,
            OfPrefixes = draw.Prefixes,
            SubnetId = eni.SubnetId,
            Count = Math.Min(_largestDraw, document.NamesRefused < 2 ? draw.Count : Math.Max(1, draw.Count / 2)), // Two refusals halve the batch.
            HeldBefore = [.. ThereOn(document, draw.EniId)],
        });
    }

    private static NodeDocument WithAskedBack(NodeDocument document, IEnumerable<Block> blocks)
    {
        var (version, asked) = (document.LeaseVersion + 1, blocks.ToHashSet());
        return document with
        {
            LeaseVersion = version,
            Interfaces = [.. document.Interfaces.Select(eni => eni with { Blocks = [.. eni.Blocks.Select(held => asked.Contains(held.Block) ? held with { AskedBackAt = version } : held)] })],
        };
    }

    /// <summary>Of an intent that is about to be stored; unlike all that this node has ever stored, also when the store has gone back since and its
    /// numbers come again: EC2 has the ids as tokens.</summary>
    private string NewId(NodeDocument document) => $"{InstanceId}/{_doc.Change + 1}.{document.Intents.Length}.{random.Next():x}";

    /// <summary>Addresses that the executor has left out of its lease at the version that asked for them, or a later one, go back to EC2.</summary>
    private async Task ReturnConsentedAsync()
    {
        if (_report is not { } report)
        {
            return;
        }

        var next = _doc;
        var leased = report.Leased.ToHashSet();
        foreach (var eni in _doc.Interfaces)
        {
            var given = eni.Blocks.RemoveAll(held => !(held.AskedBackAt <= report.LeaseVersion) || held.Block.Addresses.Any(address => leased.Contains(address) || _use.IsOnPod(address)));
            if (eni.IsLost)
            {
                // As a whole: what it holds goes with it, and a return would reach it wherever it is now. Nothing is deleted where nothing is provisioned.
                var isDeleted = eni is { IsMade: true, IsPinned: false };
                if (given.Length < eni.Blocks.Length || _doc.Intents.Any(intent => intent.EniId == eni.EniId) || (isDeleted && !MayTake(eni.SubnetId)))
                {
                    continue;
                }

                if (isDeleted)
                {
                    next = WithRemove(next, eni);
                }
                else if (_running.Add(eni.EniId))
                {
                    LetGoAsync(eni, AllOf(eni)).Ignore();
                }
            }
            else if (!MayTake(eni.SubnetId))
            {
                // Nothing is returned. What somebody else has taken is theirs.
                if (given.Any(held => held.IsLost) && _running.Add(eni.EniId))
                {
                    LetGoAsync(eni, [.. given.Where(held => held.IsLost).Select(held => held.Block)]).Ignore();
                }
            }
            else if (!_doc.Intents.Any(intent => intent.Kind == IntentKind.DrawCounted && intent.EniId == eni.EniId)) // EC2 may choose what has just gone back, and the return is sent again.
            {
                next = WithReturn(next, eni, [.. given.Select(held => held.Block)]);
            }
        }

        // Of what was asked back, a pod has got a part meanwhile, or nothing is returned any more: the block stays, and all of it may be used again.
        bool IsKept(EniDocument eni, HeldBlock held) => !held.IsLost && held.AskedBackAt <= report.LeaseVersion && (!MayTake(eni.SubnetId) || held.Block.Addresses.Any(_use.IsOnPod));
        foreach (var eni in next.Interfaces.Where(eni => eni.Blocks.Any(held => IsKept(eni, held))))
        {
            next = next.WithEni(eni with { Blocks = [.. eni.Blocks.Select(held => IsKept(eni, held) ? held with { AskedBackAt = null } : held)] });
        }

        if (next != _doc && await StoreAsync(next with { LeaseVersion = next.LeaseVersion + 1 }))
        {
            Hint();
        }
    }

    /// <summary>Of the interface's blocks these go back. From here on they are in nobody's lease, and the return is repeated until EC2 shows it.</summary>
    private NodeDocument WithReturn(NodeDocument document, EniDocument eni, ImmutableHashSet<Block> blocks)
    {
        ImmutableArray<Block> names = [.. eni.Blocks.Select(held => held.Block).Where(blocks.Contains)];
        return names.IsEmpty ? document : Without(document, eni, names)
            .WithIntent("", new Intent { Id = NewId(document), Kind = IntentKind.Return, EniId = eni.EniId, SubnetId = eni.SubnetId, Count = names.Length, Names = names });
    }

    /// <summary>Each intent goes its own way: a draw never waits for another interface's attach, nor for a detach.</summary>
    private void RunDue(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        foreach (var intent in _doc.Intents.Where(intent => intent.Kind != IntentKind.Unknown && ((Policy.Provisions && !IsStopped(intent)) || IsForLost(intent) || IsForNobody(intent)))) // What has been begun waits, as it is, until provisioning is on again.
        {
            var isDue = !_lost && !IsHeld && !intent.EffectUnknown && _stored.Intents.Contains(intent) && !IsAhead(_retries.GetValueOrDefault(intent.Id).NotBefore, now) && !TakesWhatIsUsed(intent) && !MayGetWhatGoes(intent, now);
            if (isDue && _running.Add(intent.Id))
            {
                RunAsync(intent, cancellation).Ignore();
            }
        }
    }

    /// <summary>EC2 may choose for it what is being returned from the same interface (simulation, seed 19), or what a return that had no answer takes once more (seed 1204).</summary>
    private bool MayGetWhatGoes(Intent intent, DateTimeOffset now) => intent.Kind == IntentKind.DrawCounted && !IsForLost(intent) && !IsForNobody(intent)
        && (MayBeTakenAgain(intent.EniId, now) || _doc.Intents.Any(other => other.Kind == IntentKind.Return && other.EniId == intent.EniId));

    private bool MayBeTakenAgain(string eniId, DateTimeOffset now) => _doc.Departed.Any(gone => gone.MayBeTakenAgain && gone.EniId == eniId && IsAhead(gone.At + DrawsRest, now));

    /// <summary>Addresses for an interface that hands have taken: it may be on another instance by now.</summary>
    private bool IsForLost(Intent intent) => intent.Kind is IntentKind.Draw or IntentKind.DrawCounted && _doc.Eni(intent.EniId)?.IsLost == true;

    /// <summary>A draw for an instance that has ended; or an interface that EC2 has not been asked for yet.</summary>
    private bool IsForNobody(Intent intent) => _isEnded && intent is { Kind: IntentKind.Draw or IntentKind.DrawCounted } or { Kind: IntentKind.AddInterface, EniId: "", WasUnknown: false };

    private async Task RunAsync(Intent intent, CancellationToken cancellation)
    {
        var isTried = false;
        try
        {
            if (IsForLost(intent) || IsForNobody(intent))
            {
                await DropAsync(intent, []);
                return;
            }

            var mayTry = intent.Kind == IntentKind.DrawCounted ? await MayCountAsync(intent) : IsNamed(intent) || await NameAsync(intent);
            if (mayTry && _doc.Intents.FirstOrDefault(one => one.Id == intent.Id) is { EffectUnknown: false } due) // A look may have settled it meanwhile.
            {
                isTried = true;
                await TryAsync(due, cancellation);
            }
        }
        catch (Exception e) when (!_lost)
        {
            // Of another grain, or the way to it. The intent is stored; what EC2 may have done by then, a look shows.
            LogFailed(InstanceId, intent.Kind, intent.EniId, e);
            if (isTried && _doc.Intents.FirstOrDefault(one => one.Id == intent.Id) is { } now)
            {
                await UnknownAsync(now, e.Message);
            }
            else
            {
                Backoff(intent);
            }
        }
        finally
        {
            _running.Remove(intent.Id);
        }

        if (!_lost)
        {
            Kick();
        }
    }

    /// <summary>Else EC2 has not been asked for it yet.</summary>
    private static bool IsNamed(Intent intent) => intent.Kind is not (IntentKind.Draw or IntentKind.AddInterface) || !intent.Names.IsEmpty;

    /// <summary>Has the subnet name free addresses, and stores the names before anything else.</summary>
    private async Task<bool> NameAsync(Intent intent)
    {
        var isNew = intent.Kind == IntentKind.AddInterface; // It needs an address of its own, too.
        var now = time.GetUtcNow();
        // What the interfaces have, too: the ledger may not have read it yet, and EC2 takes the naming of one for done.
        // A /28 stays on record as long as the document holds a part of it, and is no reason to go without the rest for so long (simulation, seed 382).
        var departed = Gone(_doc, now).Where(one => one.EniId == intent.EniId && now - one.At < settings.Timing.NotNamedAgain).Select(one => one.Block)
            .Concat(_doc.Interfaces.SelectMany(eni => AllOf(eni)))
            .Concat(_doc.Intents.Where(one => one.Kind is IntentKind.Return or IntentKind.RemoveInterface).SelectMany(one => one.Names)).ToImmutableArray();
        var reservation = await grains.GetGrain<ISubnetGrain>(intent.SubnetId).ReserveAsync(new ReserveRequest(intent.Id, InstanceId, intent.EniId, intent.Count, departed, intent.OfPrefixes, WithPrimary: isNew, _stored.Change, WaitingFor(intent)));
        if (reservation.IsCrowded)
        {
            _crowdedOut = intent.Id;
            Trouble(new Reason(ReasonCode.Throttled, $"{InstanceId}: so many nodes draw addresses of {intent.SubnetId} at once that it waits for its turn."));
            Later(intent, TimeSpan.FromSeconds(2 + (2 * random.NextDouble()))); // EC2 answers some five draws a second: ten places are free again.
            return false;
        }

        if (!reservation.Known)
        {
            Later(intent, TimeSpan.FromMilliseconds(100));
            return false;
        }

        if (_crowdedOut == intent.Id)
        {
            _crowdedOut = null;
            _trouble = _trouble?.Code == ReasonCode.Throttled ? null : _trouble; // It has had its turn. How long it waits for EC2, the budget says.
        }

        if (reservation.Names.Length < (isNew ? 2 : 1))
        {
            await HasNoRoomAsync(intent, reservation);
            return false;
        }

        return Stands(intent) && await StoreAsync(_doc.WithIntent(intent.Id, intent with { Names = reservation.Names, Count = reservation.Names.Length - (isNew ? 1 : 0) }));
    }

    /// <summary>A counted draw is for what the ledger does not know; but one node's refusal is enough for all.</summary>
    private async Task<bool> MayCountAsync(Intent intent)
    {
        var reservation = await grains.GetGrain<ISubnetGrain>(intent.SubnetId).ReserveAsync(new ReserveRequest(intent.Id, InstanceId, intent.EniId, 0, [], intent.OfPrefixes, WithPrimary: false, Waiting: WaitingFor(intent)));
        if (reservation.IsRefused)
        {
            await HasNoRoomAsync(intent, reservation);
        }

        return !reservation.IsRefused;
    }

    /// <summary>The ledger's word costs no call: the planner looks for another way at once, and asks here again when this has become old.</summary>
    private async Task HasNoRoomAsync(Intent intent, Reservation found)
    {
        Lacks(intent, found);
        var now = time.GetUtcNow();
        // What the subnet has, this interface may be kept from: it has left it, or is leaving us, not long ago.
        var here = intent.Kind == IntentKind.AddInterface ? ForNew + intent.SubnetId : intent.EniId;
        _kept[here] = (KeptFrom(here, now) with { HasAddresses = intent.OfPrefixes && KeptFrom(here, now).HasAddresses, HasPrefixes = !intent.OfPrefixes && KeptFrom(here, now).HasPrefixes }, now);
        Trouble(WhyDry(intent, found));
        await DropAsync(intent, []);
        Kick();
    }

    private void Trouble(Reason reason)
    {
        if (_trouble?.Code != reason.Code)
        {
            LogTrouble(InstanceId, reason.Code, reason.Text);
        }

        _trouble = reason;
    }

    /// <summary>Tells each subnet what the node holds in it: when that has changed, and each half minute, since a ledger may have restarted.</summary>
    private void ShareWithSubnets()
    {
        if (_fate.IsGone)
        {
            return; // What is on its way when the ledgers are told that it holds nothing, would say otherwise.
        }

        var now = time.GetUtcNow();
        ImmutableArray<string> open = [.. _stored.Intents.Select(intent => intent.Id)];
        var addresses = _stored.Interfaces.ToLookup(eni => eni.SubnetId, eni => eni.Addresses, StringComparer.Ordinal);
        foreach (var subnet in addresses.Select(one => one.Key).Union(_shared.Keys).ToArray())
        {
            var held = addresses[subnet].SelectMany(one => one).ToArray();
            var share = WithThrift(ShareOf(held, now), subnet, now);
            var last = _shared.GetValueOrDefault(subnet);
            if (last.Share != share || last.LeaseVersion != _stored.LeaseVersion || now - last.At >= ShareAgain)
            {
                _shared[subnet] = (share, _stored.LeaseVersion, now);
                grains.GetGrain<ISubnetGrain>(subnet).ShareAsync(InstanceId, _stored.Change, share, [.. held.Select(one => one.Address)], open).Ignore();
            }

            if (!addresses.Contains(subnet) && LevelOf(subnet, now) == SubnetLevel.Plenty)
            {
                _shared.Remove(subnet); // It has left it. While little is left there, it goes on saying what it would draw.
            }
        }
    }
}
