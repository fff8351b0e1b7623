using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Node;

/// <content>One intent against EC2: tried within the budget, its refusals told apart, looked for when the answer is lost, settled.</content>
public sealed partial class NodeGrain
{
    private const int TriesBeforeTaken = 7; // By their waits more than a minute: until then a look that does not show the names proves nothing.

    private const int LooksBeforeRare = 4; // The next look is asked for half a minute later.

    private readonly Dictionary<string, DateTimeOffset> _unknownSince = new(StringComparer.Ordinal);
    private readonly Dictionary<Ec2Action, DateTimeOffset> _waits = []; // When the turn is this node's, as the budget last said.

    private async Task TryAsync(Intent intent, CancellationToken cancellation)
    {
        var action = ActionOf(intent);
        var priority = intent.Kind is IntentKind.Return or IntentKind.RemoveInterface ? CallPriority.CleanUp
            : !_waiters.Keys.All(sandbox => _use.RowsOf(sandbox).Any()) || IsShortForBound() ? CallPriority.PodWaiting
            : _doc.Interfaces.All(eni => eni.Addresses.IsEmpty) ? CallPriority.NodeStarting : CallPriority.WarmPool;
        var quota = grains.GetGrain<IEc2QuotaGrain>(settings.QuotaKey);
        TimeSpan? permit;
        try
        {
            permit = await quota.TakeAsync(action, priority, InstanceId, InstanceId, intent.SubnetId);
        }
        catch (Exception e) when (!_lost)
        {
            Trouble(intent, new Reason(ReasonCode.StoreAway, $"{What(intent)}: the budget of EC2 calls gives no permit for {action}. {e.GetBaseException().Message}"));
            Later(intent, AskAgain); // Nothing was sent.
            return;
        }

        if (permit is not { } wait || IsStopped(intent))
        {
            Later(intent, AskAgain); // The budget's silo has heard of it first, or this one meanwhile. Then the work loop passes it over.
            return;
        }

        if (wait > TimeSpan.Zero)
        {
            _waits[action] = time.GetUtcNow() + wait;
            Later(intent, CallQueue.AskAgain(wait));
            return;
        }

        if (_lost || cancellation.IsCancellationRequested)
        {
            return;
        }

        using var deadline = new CancellationTokenSource(settings.Timing.Ec2Call, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        try
        {
            switch (intent.Kind)
            {
                case IntentKind.Draw:
                    await ec2.AssignAsync(intent.EniId, intent.Names, both.Token);
                    break;
                case IntentKind.DrawCounted:
                    intent = intent with { Names = await ec2.AssignCountedAsync(intent.EniId, intent.Count, intent.OfPrefixes, both.Token) };
                    break;
                case IntentKind.Return:
                    await ec2.UnassignAsync(intent.EniId, intent.Names, both.Token);
                    break;
                default:
                    await StepInterfaceAsync(intent, action, both.Token);
                    return;
            }

            await SettleAsync(intent, isSeen: false);
        }
        catch (OperationCanceledException)
        {
            await UnknownAsync(intent, "no answer in time");
        }
        catch (Ec2Exception refusal)
        {
            await RefusedAsync(intent, refusal, quota, action);
        }
    }

    private async Task RefusedAsync(Intent intent, Ec2Exception refusal, IEc2QuotaGrain quota, Ec2Action action)
    {
        LogRefused(InstanceId, intent.Kind, intent.EniId, refusal.Fault, refusal.Message);
        if (refusal.Fault is not (Ec2Fault.Throttled or Ec2Fault.EffectUnknown or Ec2Fault.NotAuthorized or Ec2Fault.Credentials))
        {
            _declined[intent.Id] = _declined.GetValueOrDefault(intent.Id) + 1;
        }

        switch (refusal.Fault)
        {
            case Ec2Fault.Throttled:
                quota.ThrottledAsync(action).Ignore(); // Should it fail, the effect is known all the same.
                Trouble(intent, Ec2Reason.Of(What(intent), action, refusal));
                Backoff(intent);
                break;
            case Ec2Fault.EffectUnknown:
                await UnknownAsync(intent, refusal.Message);
                break;
            case Ec2Fault.NotAuthorized or Ec2Fault.Credentials:
                Trouble(intent, Ec2Reason.Of(What(intent), action, refusal));
                Backoff(intent);
                break;
            case var _ when intent.Kind is IntentKind.AddInterface or IntentKind.RemoveInterface:
                await InterfaceRefusedAsync(intent, action, refusal);
                break;
            case var _ when intent.Kind == IntentKind.Return:
                await UnknownAsync(intent, refusal.Message); // Part of it may be gone already: look, then return the rest.
                break;
            case Ec2Fault.NoRoom when intent is { Kind: IntentKind.DrawCounted, Count: > 1 }:
                _largestDraw = intent.Count / 2; // All or nothing, and nobody has counted what is free.
                await DropAsync(intent, []);
                break;
            case Ec2Fault.NoRoom:
                Trouble(new Reason(intent.OfPrefixes ? ReasonCode.SubnetScattered : ReasonCode.SubnetEmpty,
                    $"{intent.SubnetId}: EC2 has no room for {What(intent)}. Add a subnet or a CIDR. {Ec2Reason.Short(refusal.Message)}"));
                await NoRoomAsync(intent);
                await DropAsync(intent, intent.Names);
                break;
            case Ec2Fault.LimitExceeded:
                await NoMoreFitAsync(intent, refusal);
                break;
            case Ec2Fault.AddressTaken when intent.WasUnknown && _declined.GetValueOrDefault(intent.Id) <= TriesBeforeTaken:
                await UnknownAsync(intent, refusal.Message); // Perhaps by the try whose answer was lost. A minute later a look proves that it is not.
                break;
            case Ec2Fault.AddressTaken:
                await NamesTakenAsync(intent, Ec2Reason.Of(What(intent), action, refusal));
                break;
            default:
                Trouble(intent, Ec2Reason.Of(What(intent), action, refusal));
                await DrawRefusedAsync(intent, refusal);
                break;
        }
    }

    /// <summary>Somebody else has taken a name before us, as another cluster in the subnet may: the ledger reads it again, and other names are tried.</summary>
    private Task NamesTakenAsync(Intent intent, Reason why)
    {
        var refused = _doc.NamesRefused + (IsAhead(_planNotBefore, time.GetUtcNow()) ? 0 : 1); // Those of one plan count once.
        Trouble(intent, why);
        _planNotBefore = time.GetUtcNow() + TimeSpan.FromSeconds(Math.Min(60, Math.Pow(2, Math.Min(refused - 1, 6)))); // Before the await: a plan may come in between.
        return DropAsync(intent, intent.Names, refused);
    }

    /// <summary>What a look shows of an intent whose answer was lost.</summary>
    private async Task ResolveAsync(Intent intent, ImmutableArray<Block> held)
    {
        var there = intent.Names.Where(held.Contains).ToImmutableArray();
        var beyond = held.Except(intent.HeldBefore).ToImmutableArray();
        switch (intent.Kind)
        {
            case IntentKind.Return when !_isEnded && !_declined.ContainsKey(intent.Id):
                await AgainAsync(intent); // EC2 has not answered yet, and what came a moment ago may not be shown: its answer proves it, here no look does.
                break;
            case IntentKind.Draw when there.Length == intent.Names.Length:
            case IntentKind.Return when there.IsEmpty:
                await SettleAsync(intent, isSeen: true);
                break;
            case IntentKind.Return:
                await StoreAsync(_doc.WithIntent(intent.Id, intent with { Names = there, Count = there.Length, EffectUnknown = false }));
                break;
            case IntentKind.DrawCounted when Gone(_doc, time.GetUtcNow()).Any(gone => gone.EniId == intent.EniId && beyond.Contains(gone.Block) && _viewBegan - gone.At < AbsenceProvesNothing):
                _looks = LooksBeforeRare; // Drawn by count, or shown yet though it has been returned: only a look that began a minute later tells.
                break;
            case IntentKind.DrawCounted when !beyond.IsEmpty:
                await SettleAsync(intent with { Names = beyond }, isSeen: true);
                break;
            case IntentKind.Draw or IntentKind.DrawCounted when _isEnded:
                await DropAsync(intent, []);
                break;
            case IntentKind.DrawCounted when _viewBegan - UnknownSince(intent) < AbsenceProvesNothing:
                _looks = LooksBeforeRare; // A count can be drawn twice: only a look that began a minute later shows that it was not.
                break;
            case IntentKind.DrawCounted:
                await AgainAsync(intent with { HeldBefore = [.. ThereOn(_doc, intent.EniId).Union(held)] }); // What has left since may be what EC2 chooses now.
                break;
            default:
                await AgainAsync(intent); // Not there, or not shown yet.
                break;
        }
    }

    /// <summary>Names cannot be drawn twice, nor returned twice while the intent stands: they are simply sent again.</summary>
    private Task<bool> AgainAsync(Intent intent)
    {
        Later(intent, AskAgain);
        return StoreAsync(_doc.WithIntent(intent.Id, intent with { EffectUnknown = false }));
    }

    /// <summary>EC2 has done it: into the document first, then to the ledger and the executor.</summary>
    /// <param name="isSeen">A look has shown it, who knows how much later; else EC2 has answered so.</param>
    private async Task SettleAsync(Intent intent, bool isSeen)
    {
        var subnet = grains.GetGrain<ISubnetGrain>(intent.SubnetId);
        if (intent.Kind == IntentKind.Return)
        {
            await subnet.ReturnedAsync(InstanceId, _stored.Change, intent.Names, isFree: !isSeen); // First: while the intent stands, it is repeated, and its names are not drawn by us.
        }

        // EC2 may give what another node of ours has lost to hands, and a pod of it still uses: that goes back at once.
        var others = intent.Kind == IntentKind.Return ? [] : await subnet.HeldByOursAsync(intent.Names);
        if (!Stands(intent))
        {
            return; // Another look has settled it during that await.
        }

        // Or what this node itself has lost: while that stands in the document, looks find it back in its place, or let it go and find this then.
        ImmutableArray<Block> own = intent.Kind == IntentKind.Return ? [] : [.. intent.Names.Where(name => _doc.Holds(name))];
        others = others.RemoveRange(own);
        intent = intent with { Names = intent.Names.RemoveRange(own).RemoveRange(others) };
        var next = (_doc with { LeaseVersion = _doc.LeaseVersion + 1, NamesRefused = intent.Kind == IntentKind.Return ? _doc.NamesRefused : 0 }).WithIntent(intent.Id, null);
        next = intent.Kind == IntentKind.Return
            ? WithoutBefore(WithDeparted(next, intent), intent.EniId, intent.Names)
            : WithDeparted(WithDrawn(next, intent), intent with { Names = own });
        if (!others.IsEmpty)
        {
            next = next.WithIntent("", new Intent { Id = NewId(next), Kind = IntentKind.Return, EniId = intent.EniId, SubnetId = intent.SubnetId, Count = others.Length, Names = others });
        }

        if (!await StoreAsync(next))
        {
            return;
        }

        _retries.Remove(intent.Id);
        _unknownSince.Remove(intent.Id);
        if (intent.Kind == IntentKind.Return)
        {
            foreach (var address in intent.Names.SelectMany(name => name.Addresses))
            {
                await RemoveRowAsync(address);
            }

            LogReturned(InstanceId, intent.Names.Sum(name => name.Size), intent.EniId);
        }
        else
        {
            (_trouble, _largestDraw) = (null, int.MaxValue);
            LogDrawn(InstanceId, intent.Names.Sum(name => name.Size), intent.EniId);
            Hint();
            await subnet.SettleAsync(intent.Id, InstanceId, _stored.Change, intent.Names, []);
        }
    }

    private static EniDocument Drawn(EniDocument eni, ImmutableArray<Block> names) =>
        eni with { Blocks = [.. eni.Blocks.Concat(names.Select(name => new HeldBlock(name))).DistinctBy(held => held.Block).OrderBy(held => held.Block)] };

    /// <summary>What has left an interface not long ago, and may be shown there once more; or is there, around what the document still holds.</summary>
    private IEnumerable<DepartedBlock> Gone(NodeDocument document, DateTimeOffset now) => document.Departed.Where(one => now - one.At < settings.Timing.NotNamedAgain || document.Holds(one.Block));

    /// <summary>Without these blocks of the interface. A draw by count may have brought a /28 around one: from now on looks may find that.</summary>
    private NodeDocument Without(NodeDocument document, EniDocument eni, ImmutableArray<Block> blocks)
    {
        var (now, next) = (time.GetUtcNow(), document.WithEni(eni with { Blocks = eni.Blocks.RemoveAll(held => blocks.Contains(held.Block)) }));
        return next with { Departed = [.. Gone(document, now).Select(gone => document.Holds(gone.Block) && !next.Holds(gone.Block) ? gone with { At = now } : gone)] };
    }

    /// <summary>What has left an interface may be what EC2 chooses for a draw by count that is still open there.</summary>
    private static NodeDocument WithoutBefore(NodeDocument document, string eniId, ImmutableArray<Block> gone) => document with
    {
        Intents = [.. document.Intents.Select(one => one.Kind == IntentKind.DrawCounted && one.EniId == eniId ? one with { HeldBefore = [.. one.HeldBefore.Except(gone)] } : one)],
    };

    /// <summary>What a look may show there already: ours, what hands have added, and what is on its way out. A look must not take it for drawn by count.</summary>
    private IEnumerable<Block> ThereOn(NodeDocument document, string eniId) =>
        [.. document.Eni(eniId)?.Blocks.Select(held => held.Block) ?? [], .. _notOurs[eniId], .. document.Intents.Where(intent => intent.EniId == eniId).SelectMany(intent => intent.Names)];

    private NodeDocument WithDeparted(NodeDocument document, Intent intent)
    {
        var now = time.GetUtcNow();
        return document with { Departed = [.. Gone(document, now).Where(gone => gone.EniId != intent.EniId || !intent.Names.Contains(gone.Block)), .. intent.Names.Select(name => new DepartedBlock(name, intent.EniId, now, intent is { Kind: IntentKind.Return, WasUnknown: true }))] };
    }

    private async Task RemoveRowAsync(Ip address)
    {
        try
        {
            // A released row of an address that the node no longer holds; one left behind is replaced when the address comes again.
            if (await book.TryRemoveAsync(InstanceId, address, default))
            {
                _use.Remove(address);
            }
            else
            {
                Lose($"the row of {address}, which is returned, stands in the store"); // Another activation wrote it.
            }
        }
        catch (StoreException exception)
        {
            LogStoreAway(InstanceId, exception.Message);
        }
    }

    /// <summary>False when it was settled, or all was read anew, while something was awaited.</summary>
    private bool Stands(Intent intent) => _doc.Intents.Any(one => one.Id == intent.Id);

    private async Task DropAsync(Intent intent, ImmutableArray<Block> suspect, int? namesRefused = null)
    {
        _retries.Remove(intent.Id);
        _unknownSince.Remove(intent.Id);
        var next = (_doc with { NamesRefused = namesRefused ?? _doc.NamesRefused }).WithIntent(intent.Id, null);
        if (await StoreAsync(intent is { Kind: IntentKind.Draw, WasUnknown: true } ? WithDeparted(next, intent) : next)) // An earlier try may yet come to effect.
        {
            await grains.GetGrain<ISubnetGrain>(intent.SubnetId).SettleAsync(intent.Id, InstanceId, _stored.Change, [], suspect);
        }
    }

    private async Task UnknownAsync(Intent intent, string why)
    {
        if (!Stands(intent))
        {
            return;
        }

        LogUnknown(InstanceId, intent.Kind, intent.EniId, why);
        Backoff(intent);
        _unknownSince[intent.Id] = time.GetUtcNow();
        await StoreAsync(_doc.WithIntent(intent.Id, intent with { EffectUnknown = true, WasUnknown = true }));
    }

    /// <summary>When its last try ended without an answer; of an earlier activation's try, when this one first saw it.</summary>
    private DateTimeOffset UnknownSince(Intent intent)
    {
        if (!_unknownSince.TryGetValue(intent.Id, out var since))
        {
            _unknownSince[intent.Id] = since = time.GetUtcNow();
        }

        return since;
    }

    /// <summary>EC2 knows better than the ledger: for a while nothing is asked of that subnet, by this node nor by another.</summary>
    private Task NoRoomAsync(Intent intent)
    {
        _rooms[intent.SubnetId] = (new SubnetRoom(intent.SubnetId, HasAddresses: intent.OfPrefixes, HasPrefixes: false), time.GetUtcNow(), intent);
        return grains.GetGrain<ISubnetGrain>(intent.SubnetId).NoRoomAsync(InstanceId, intent.OfPrefixes);
    }

    private TimeSpan WaitOf(Ec2Action action, DateTimeOffset now) => _waits.TryGetValue(action, out var until) && IsAhead(until, now) ? until - now : TimeSpan.Zero;

    /// <summary>Whether a wait of ours has not ended. None is longer than two minutes: what is further ahead, a clock that went back has left.</summary>
    private static bool IsAhead(DateTimeOffset until, DateTimeOffset now) => until > now && until - now <= TimeSpan.FromMinutes(2);

    private void Later(Intent intent, TimeSpan wait)
    {
        var (tries, notBefore) = _retries.GetValueOrDefault(intent.Id);
        var now = time.GetUtcNow();
        _retries[intent.Id] = (tries, IsAhead(notBefore, now) && notBefore > now + wait ? notBefore : now + wait);
    }

    /// <summary>1 s, doubled up to 60 s, each time by a random factor of 0.5 to 1 so that nodes do not come back together.</summary>
    private void Backoff(Intent intent)
    {
        var tries = _retries.GetValueOrDefault(intent.Id).Tries;
        var seconds = Math.Min(60, Math.Pow(2, Math.Min(tries, 6))) * (0.5 + (random.NextDouble() / 2));
        _retries[intent.Id] = (tries + 1, time.GetUtcNow() + TimeSpan.FromSeconds(seconds));
    }
}
