using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Grains.Node;

/// <content>The work loop: what the planner wants of EC2 is stored as an intent, then tried until it is settled.</content>
public sealed partial class NodeGrain
{
    private const int RefusalsBeforeCounted = 3;
    private const string NoManageTag = "node.k8s.amazonaws.com/no_manage"; // vpc-cni.md 1.5: such an interface is untouchable.
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan AbsenceProvesNothing = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan ShareAgain = TimeSpan.FromSeconds(30);

    private readonly Dictionary<string, (int Tries, DateTimeOffset NotBefore)> _retries = [];
    private readonly Dictionary<string, (SubnetShare Share, long LeaseVersion, DateTimeOffset At)> _shared = new(StringComparer.Ordinal);
    private DateTimeOffset _lookAskedAt = DateTimeOffset.MinValue;
    private DateTimeOffset _planNotBefore = DateTimeOffset.MinValue;
    private int _largestDraw = int.MaxValue; // Falls when EC2 refuses a batch for a limit; what remains is then asked for one by one.
    private int _looks; // In a row, without a view that could be used.
    private int _refusals; // Draws in a row whose names EC2 refused though the ledger showed them free.
    private bool _working;

    /// <inheritdoc/>
    public async Task DescribedAsync(InstanceView view)
    {
        if (_lost || (view.StartedChange < _doc.Change && !_doc.Interfaces.IsEmpty))
        {
            return; // It began before our own last change: it cannot know that. The work loop asks again.
        }

        if (view.Instance is null)
        {
            Trouble(new Reason(ReasonCode.NodeStarting, $"{InstanceId}: EC2 shows no such instance in {settings.VpcId}. Check the VPC setting and the instance that the node's token names."));
            return;
        }

        if (_doc.Interfaces.IsEmpty)
        {
            await AdoptAsync(view, view.Instance);
        }
        else
        {
            _looks = 0;
            foreach (var intent in _doc.Intents.Where(intent => intent.EffectUnknown))
            {
                var shown = view.Interfaces.FirstOrDefault(eni => eni.EniId == intent.EniId);
                await (intent.Kind is IntentKind.AddInterface or IntentKind.RemoveInterface
                    ? ResolveInterfaceAsync(intent, shown, view)
                    : ResolveAsync(intent, shown?.Addresses ?? []));
            }
        }

        Kick();
    }

    private async Task WorkAsync(CancellationToken cancellation)
    {
        if (_working || _lost)
        {
            return;
        }

        _working = true;
        try
        {
            if ((_doc.Interfaces.IsEmpty && _report is not null) || _doc.Intents.Any(intent => intent.EffectUnknown))
            {
                AskForALook();
            }

            await ReturnConsentedAsync();
            await RunDueAsync(cancellation);
            await PlanAsync();
            await RunDueAsync(cancellation);
            ShareWithSubnets();
        }
        finally
        {
            _working = false;
        }
    }

    private void AskForALook()
    {
        var now = time.GetUtcNow();
        if ((now - _lookAskedAt).Duration() >= AskAgain * Math.Pow(2, Math.Min(_looks, 5)))
        {
            (_lookAskedAt, _looks) = (now, _looks + 1);
            grains.GetGrain<IVpcGrain>(settings.VpcId).DescribeMeAsync(InstanceId, _doc.Change).Ignore();
        }
    }

    /// <summary>The first look: what the primary interface and those with our cluster's tag hold is ours from now on.</summary>
    private async Task AdoptAsync(InstanceView view, Ec2Instance instance)
    {
        var adopted = from eni in view.Interfaces
                      where eni.Attachment is not null && !eni.Tags.ContainsKey(NoManageTag)
                      where eni.Attachment!.DeviceIndex == 0 || eni.Tags.GetValueOrDefault(ClusterTag) == settings.ClusterName
                      let subnet = view.Subnets.FirstOrDefault(subnet => subnet.SubnetId == eni.SubnetId)
                      where subnet is not null
                      select new EniDocument
                      {
                          EniId = eni.EniId, Mac = eni.Mac, DeviceIndex = eni.Attachment!.DeviceIndex, NetworkCard = eni.Attachment.NetworkCard,
                          SubnetId = eni.SubnetId, SubnetCidr = subnet.Cidr, PrimaryAddress = eni.Addresses[0],
                          AttachmentId = eni.Attachment.AttachmentId, Groups = eni.Groups,
                          Addresses = [.. eni.Addresses.Skip(1).Order().Select(address => new HeldAddress(address))],
                      };
        var interfaces = adopted.OrderBy(eni => eni.DeviceIndex).ToImmutableArray();
        if (!interfaces.Any(eni => eni.DeviceIndex == 0) || view.Limits is null)
        {
            Trouble(new Reason(ReasonCode.NodeStarting, view.Limits is null
                ? $"{InstanceId}: the limits of its type {instance.InstanceType} are not known yet."
                : $"{InstanceId}: EC2 shows no primary interface that may be managed. Remove the tag {NoManageTag}, or wait until it is attached."));
            return;
        }

        (_trouble, _looks) = (null, 0);
        if (await StoreAsync(_doc with
        {
            InstanceType = instance.InstanceType, Zone = instance.Zone, AddressesPerInterface = view.Limits.AddressesPerInterface, MaxInterfaces = view.Limits.Interfaces,
            ForeignDevices = [.. view.Interfaces.Where(eni => eni.Attachment is { NetworkCard: 0 } && !interfaces.Any(ours => ours.EniId == eni.EniId)).Select(eni => eni.Attachment!.DeviceIndex)],
            Interfaces = interfaces, LeaseVersion = _doc.LeaseVersion + 1,
        }))
        {
            LogJoined(InstanceId, instance.InstanceType, instance.Zone, interfaces.Sum(eni => eni.Addresses.Length));
            Hint();
        }
    }

    private async Task PlanAsync()
    {
        var now = time.GetUtcNow();
        if (_lost || _doc.Interfaces.IsEmpty || IsAhead(_planNotBefore, now))
        {
            return;
        }

        var plan = PoolPlanner.Plan(State(now), settings.Pool);
        if (plan.IsEmpty && _doc.Intents.IsEmpty)
        {
            _trouble = null; // It has what it wants.
        }

        foreach (var action in plan)
        {
            switch (action)
            {
                case PoolAction.DrawAddresses draw when !_doc.Intents.Any(intent => intent.EniId == draw.EniId && intent.Kind != IntentKind.Return):
                    await StoreAsync(_doc.WithIntent("", new Intent
                    {
                        Id = $"{InstanceId}/{_doc.Change + 1}",
                        Kind = _refusals < RefusalsBeforeCounted ? IntentKind.Draw : IntentKind.DrawCounted,
                        EniId = draw.EniId,
                        SubnetId = _doc.Eni(draw.EniId)!.SubnetId,
                        Count = Math.Min(_largestDraw, _refusals < 2 ? draw.Count : Math.Max(1, draw.Count / 2)), // Two refusals halve the batch.
                        // What is on its way out is still there: a look must not take it for drawn.
                        HeldBefore = [.. _doc.Eni(draw.EniId)!.Addresses.Select(held => held.Address), .. _doc.Intents.Where(intent => intent.EniId == draw.EniId).SelectMany(intent => intent.Names)],
                    }));
                    break;
                case PoolAction.AddInterface add:
                    await BeginAddAsync(add.Count);
                    break;
                case PoolAction.RemoveInterface remove:
                    await BeginRemoveAsync(_doc.Eni(remove.EniId)!);
                    break;
                case PoolAction.GiveUp giveUp:
                    var version = _doc.LeaseVersion + 1;
                    var asked = giveUp.Addresses.ToHashSet();
                    if (await StoreAsync(_doc with
                    {
                        LeaseVersion = version,
                        Interfaces = [.. _doc.Interfaces.Select(eni => eni with { Addresses = [.. eni.Addresses.Select(held => asked.Contains(held.Address) ? held with { AskedBackAt = version } : held)] })],
                    }))
                    {
                        LogAskedBack(InstanceId, asked.Count);
                        Hint();
                    }

                    break;
            }
        }
    }

    /// <summary>Addresses that the executor has left out of its lease at the version that asked for them, or a later one, go back to EC2.</summary>
    private async Task ReturnConsentedAsync()
    {
        if (_report is not { } report)
        {
            return;
        }

        var leased = report.Leased.ToHashSet();
        foreach (var eni in _doc.Interfaces)
        {
            var given = eni.Addresses.Where(held => held.AskedBackAt <= report.LeaseVersion && !leased.Contains(held.Address) && !IsOnPod(held.Address))
                .Select(held => held.Address).ToImmutableArray();
            if (given.IsEmpty)
            {
                continue;
            }

            // From here on the addresses are in nobody's lease, and the return is repeated until EC2 shows it.
            await StoreAsync((_doc with { LeaseVersion = _doc.LeaseVersion + 1 })
                .WithEni(eni with { Addresses = [.. eni.Addresses.Where(held => !given.Contains(held.Address))] })
                .WithIntent("", new Intent { Id = $"{InstanceId}/{_doc.Change + 1}", Kind = IntentKind.Return, EniId = eni.EniId, SubnetId = eni.SubnetId, Count = given.Length, Names = given }));
        }
    }

    private async Task RunDueAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        foreach (var intent in _doc.Intents.Where(intent => !intent.EffectUnknown && !IsAhead(_retries.GetValueOrDefault(intent.Id).NotBefore, now)))
        {
            if (_lost)
            {
                return;
            }

            var isNamed = intent.Kind is not (IntentKind.Draw or IntentKind.AddInterface) || !intent.Names.IsEmpty || await NameAsync(intent);
            if (isNamed && _doc.Intents.FirstOrDefault(one => one.Id == intent.Id) is { EffectUnknown: false } due) // A look may have settled it meanwhile.
            {
                await TryAsync(due, cancellation);
            }
        }
    }

    /// <summary>Has the subnet name free addresses, and stores the names before anything else.</summary>
    private async Task<bool> NameAsync(Intent intent)
    {
        var isNew = intent.Kind == IntentKind.AddInterface; // It needs an address of its own, too.
        var wanted = isNew ? intent.Count + 1 : intent.Count;
        var now = time.GetUtcNow();
        var departed = _doc.Departed.Where(one => one.EniId == intent.EniId && now - one.At < settings.Timing.NotNamedAgain).Select(one => one.Address)
            .Concat(_doc.Intents.Where(one => one.Kind is IntentKind.Return or IntentKind.RemoveInterface).SelectMany(one => one.Names)).ToImmutableArray();
        var reservation = await grains.GetGrain<ISubnetGrain>(intent.SubnetId).ReserveAsync(new ReserveRequest(intent.Id, InstanceId, intent.EniId, wanted, departed));
        if (!reservation.Known)
        {
            Later(intent, TimeSpan.FromMilliseconds(100));
            return false;
        }

        if (reservation.Names.Length < (isNew ? 2 : 1))
        {
            Trouble(new Reason(ReasonCode.SubnetEmpty,
                $"{intent.SubnetId}: {reservation.Free} free addresses, {wanted} wanted for {(isNew ? "a new interface" : intent.EniId)} of {InstanceId}. Add a subnet or a CIDR, or lower the warm targets."));
            await DropAsync(intent, []);
            _planNotBefore = now + TimeSpan.FromSeconds(10);
            return false;
        }

        return await StoreAsync(_doc.WithIntent(intent.Id, intent with { Names = reservation.Names, Count = reservation.Names.Length - (isNew ? 1 : 0) }));
    }

    private async Task TryAsync(Intent intent, CancellationToken cancellation)
    {
        var action = ActionOf(intent);
        var priority = intent.Kind is IntentKind.Return or IntentKind.RemoveInterface ? CallPriority.CleanUp
            : !_waiters.Keys.All(sandbox => RowOf(sandbox) is not null) ? CallPriority.PodWaiting
            : _doc.Interfaces.All(eni => eni.Addresses.IsEmpty) ? CallPriority.NodeStarting : CallPriority.WarmPool;
        var quota = grains.GetGrain<IEc2QuotaGrain>(settings.QuotaKey);
        var wait = await quota.TakeAsync(action, priority);
        if (wait > TimeSpan.Zero)
        {
            Later(intent, wait);
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
                    intent = intent with { Names = await ec2.AssignCountedAsync(intent.EniId, intent.Count, both.Token) };
                    break;
                case IntentKind.Return:
                    await ec2.UnassignAsync(intent.EniId, intent.Names, both.Token);
                    break;
                default:
                    await StepInterfaceAsync(intent, action, both.Token);
                    return;
            }

            await SettleAsync(intent);
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
        switch (refusal.Fault)
        {
            case Ec2Fault.Throttled:
                await quota.ThrottledAsync(action);
                Trouble(new Reason(ReasonCode.Throttled, $"{InstanceId}: EC2 throttles {action}; trying again. {refusal.Message}"));
                Backoff(intent);
                break;
            case Ec2Fault.EffectUnknown:
                await UnknownAsync(intent, refusal.Message);
                break;
            case Ec2Fault.NotAuthorized or Ec2Fault.Credentials:
                Trouble(new Reason(ReasonCode.NotAuthorized, $"{InstanceId}: the silo may not call {action}. Give its role that permission, or mend its credentials. {refusal.Message}"));
                Backoff(intent);
                break;
            case var _ when intent.Kind is IntentKind.AddInterface or IntentKind.RemoveInterface:
                await InterfaceRefusedAsync(intent, action, refusal);
                break;
            case var _ when intent.Kind == IntentKind.Return:
                await UnknownAsync(intent, refusal.Message); // Part of it may be gone already: look, then return the rest.
                break;
            case Ec2Fault.NoRoom:
                Trouble(new Reason(ReasonCode.SubnetEmpty, $"{intent.SubnetId}: EC2 has no room for {intent.Count} more addresses. Add a subnet or a CIDR. {refusal.Message}"));
                await DropAsync(intent, intent.Names);
                _planNotBefore = time.GetUtcNow() + TimeSpan.FromSeconds(10);
                break;
            case Ec2Fault.LimitExceeded:
                // Someone else may have added to the interface, or its type allows less than EC2 says of it: fewer at once, and in the
                // end the interface has no room. Not stored, so that a later activation tries again.
                _largestDraw = Math.Max(1, intent.Count / 2);
                if (intent.Count == 1)
                {
                    _fullEnis.Add(intent.EniId);
                }

                Trouble(new Reason(ReasonCode.NodeFull, $"{InstanceId} ({_doc.InstanceType}): EC2 allows no {intent.Count} addresses more on {intent.EniId}. {refusal.Message}"));
                await DropAsync(intent, []);
                break;
            case Ec2Fault.AddressTaken:
                _refusals++;
                Trouble(new Reason(ReasonCode.Ec2Refused, $"{InstanceId}: EC2 refused {action} for {intent.EniId}: {refusal.Message}"));
                await DropAsync(intent, intent.Names);
                _planNotBefore = time.GetUtcNow() + TimeSpan.FromSeconds(Math.Min(60, Math.Pow(2, Math.Min(_refusals - 1, 6))));
                break;
            default:
                // What EC2 refuses for good may still have happened by an earlier try: look, then try again, ever more rarely.
                Trouble(new Reason(ReasonCode.Ec2Refused, $"{InstanceId}: EC2 refused {action} for {intent.EniId}: {refusal.Message}"));
                await UnknownAsync(intent, refusal.Message);
                break;
        }
    }

    /// <summary>What a look shows of an intent whose answer was lost.</summary>
    private async Task ResolveAsync(Intent intent, ImmutableArray<Ip> held)
    {
        var there = intent.Names.Where(held.Contains).ToImmutableArray();
        var beyond = held.Skip(1).Except(intent.HeldBefore).ToImmutableArray();
        switch (intent.Kind)
        {
            case IntentKind.Draw when there.Length == intent.Names.Length:
            case IntentKind.Return when there.IsEmpty:
                await SettleAsync(intent);
                break;
            case IntentKind.Return:
                await StoreAsync(_doc.WithIntent(intent.Id, intent with { Names = there, Count = there.Length, EffectUnknown = false }));
                break;
            case IntentKind.DrawCounted when !beyond.IsEmpty:
                await SettleAsync(intent with { Names = beyond });
                break;
            default:
                // Not there, or not shown yet. Names cannot be drawn twice, so they are simply sent again; a count could be.
                Later(intent, intent.Kind == IntentKind.DrawCounted ? AbsenceProvesNothing : AskAgain);
                await StoreAsync(_doc.WithIntent(intent.Id, intent with { EffectUnknown = false }));
                break;
        }
    }

    /// <summary>EC2 has done it: into the document first, then to the ledger and the executor.</summary>
    private async Task SettleAsync(Intent intent)
    {
        var now = time.GetUtcNow();
        var eni = _doc.Eni(intent.EniId)!;
        var next = (_doc with { LeaseVersion = _doc.LeaseVersion + 1 }).WithIntent(intent.Id, null);
        next = intent.Kind == IntentKind.Return
            ? next with { Departed = [.. _doc.Departed.Where(one => now - one.At < settings.Timing.NotNamedAgain), .. intent.Names.Select(name => new DepartedAddress(name, eni.EniId, now))] }
            : next.WithEni(eni with { Addresses = [.. eni.Addresses.Concat(intent.Names.Select(name => new HeldAddress(name))).DistinctBy(held => held.Address).OrderBy(held => held.Address)] });
        var subnet = grains.GetGrain<ISubnetGrain>(intent.SubnetId);
        if (intent.Kind == IntentKind.Return)
        {
            await subnet.ReturnedAsync(InstanceId, intent.Names); // First: while the intent stands, it is repeated, and its names are not drawn by us.
        }

        if (!await StoreAsync(next))
        {
            return;
        }

        _retries.Remove(intent.Id);
        if (intent.Kind == IntentKind.Return)
        {
            foreach (var name in intent.Names)
            {
                await RemoveRowAsync(name);
            }

            LogReturned(InstanceId, intent.Names.Length, eni.EniId);
        }
        else
        {
            (_trouble, _refusals, _largestDraw) = (null, 0, int.MaxValue);
            LogDrawn(InstanceId, intent.Names.Length, eni.EniId);
            Hint();
            await subnet.SettleAsync(intent.Id, InstanceId, intent.Names, []);
        }
    }

    private async Task RemoveRowAsync(Ip address)
    {
        try
        {
            // A released row of an address that the node no longer holds; one left behind is replaced when the address comes again.
            if (await book.TryRemoveAsync(InstanceId, address, default))
            {
                _rows.Remove(address);
            }
        }
        catch (StoreException exception)
        {
            LogStoreAway(InstanceId, exception.Message);
        }
    }

    private async Task DropAsync(Intent intent, ImmutableArray<Ip> suspect)
    {
        _retries.Remove(intent.Id);
        if (await StoreAsync(_doc.WithIntent(intent.Id, null)))
        {
            await grains.GetGrain<ISubnetGrain>(intent.SubnetId).SettleAsync(intent.Id, InstanceId, [], suspect);
        }
    }

    private async Task UnknownAsync(Intent intent, string why)
    {
        LogUnknown(InstanceId, intent.Kind, intent.EniId, why);
        Backoff(intent);
        await StoreAsync(_doc.WithIntent(intent.Id, intent with { EffectUnknown = true }));
    }

    private void Trouble(Reason reason)
    {
        if (_trouble?.Code != reason.Code)
        {
            LogTrouble(InstanceId, reason.Code, reason.Text);
        }

        _trouble = reason;
    }

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

    /// <summary>Tells each subnet what the node holds in it: when that has changed, and each half minute, since a ledger may have restarted.</summary>
    private void ShareWithSubnets()
    {
        var now = time.GetUtcNow();
        foreach (var subnet in _stored.Interfaces.GroupBy(eni => eni.SubnetId, StringComparer.Ordinal))
        {
            var held = subnet.SelectMany(eni => eni.Addresses).ToArray();
            var share = ShareOf(held, now);
            var last = _shared.GetValueOrDefault(subnet.Key);
            if (last.Share != share || last.LeaseVersion != _stored.LeaseVersion || now - last.At >= ShareAgain)
            {
                _shared[subnet.Key] = (share, _stored.LeaseVersion, now);
                grains.GetGrain<ISubnetGrain>(subnet.Key).ShareAsync(InstanceId, share, [.. held.Select(one => one.Address)]).Ignore();
            }
        }
    }
}
