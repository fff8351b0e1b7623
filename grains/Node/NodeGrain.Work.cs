using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Node;

/// <content>The work loop: what the planner wants of EC2 is stored as an intent, then tried until it is settled.</content>
public sealed partial class NodeGrain
{
    private const int RefusalsBeforeCounted = 3;
    private static readonly TimeSpan AttachingTakes = TimeSpan.FromSeconds(10); // ec2.md 2.1: up to about so long.

    private static readonly TimeSpan ShareAgain = TimeSpan.FromSeconds(30);

    private readonly Dictionary<string, (int Tries, DateTimeOffset NotBefore)> _retries = [];
    private readonly Dictionary<string, (SubnetShare Share, long LeaseVersion, DateTimeOffset At)> _shared = new(StringComparer.Ordinal);
    private DateTimeOffset _planNotBefore = DateTimeOffset.MinValue;
    private int _largestDraw = int.MaxValue; // Falls when EC2 refuses a batch for a limit; what remains is then asked for one by one.
    private int _refusals; // Draws in a row whose names EC2 refused though the ledger showed them free.
    private bool _working;

    private async Task WorkAsync(CancellationToken cancellation)
    {
        if (_working || _lost)
        {
            return;
        }

        _working = true;
        try
        {
            AskForLooks();
            await ReturnConsentedAsync();
            await RunDueAsync(cancellation);
            await PlanAsync();
            await RunDueAsync(cancellation);
            ShareWithSubnets();
            await CheckRowsAsync(cancellation);
        }
        finally
        {
            _working = false;
        }
    }

    private async Task PlanAsync()
    {
        var now = time.GetUtcNow();
        if (_lost || _doc.Interfaces.IsEmpty || IsAhead(_planNotBefore, now))
        {
            return;
        }

        var state = State(now);
        var plan = PoolPlanner.Plan(state, Policy, new ExpectedWaits(WaitOf(Ec2Action.AssignPrivateIpAddresses, now),
            WaitOf(Ec2Action.CreateNetworkInterface, now) + WaitOf(Ec2Action.AttachNetworkInterface, now) + AttachingTakes));
        if (plan.IsEmpty && _doc.Intents.IsEmpty && PoolPlanner.IsServed(state, Policy))
        {
            _trouble = null; // It has what it wants.
        }

        foreach (var action in plan)
        {
            switch (action)
            {
                case PoolAction.Draw draw when !_doc.Intents.Any(intent => intent.EniId == draw.EniId && intent.Kind != IntentKind.Return):
                    await StoreAsync(_doc.WithIntent("", new Intent
                    {
                        Id = $"{InstanceId}/{_doc.Change + 1}",
                        Kind = _refusals < RefusalsBeforeCounted ? IntentKind.Draw : IntentKind.DrawCounted,
                        EniId = draw.EniId,
                        OfPrefixes = draw.Prefixes,
                        SubnetId = _doc.Eni(draw.EniId)!.SubnetId,
                        Count = Math.Min(_largestDraw, _refusals < 2 ? draw.Count : Math.Max(1, draw.Count / 2)), // Two refusals halve the batch.
                        // What is on its way out is still there: a look must not take it for drawn.
                        HeldBefore = [.. _doc.Eni(draw.EniId)!.Blocks.Select(held => held.Block), .. _doc.Intents.Where(intent => intent.EniId == draw.EniId).SelectMany(intent => intent.Names)],
                    }));
                    break;
                case PoolAction.AddInterface add:
                    await BeginAddAsync(add);
                    break;
                case PoolAction.RemoveInterface remove:
                    await BeginRemoveAsync(_doc.Eni(remove.EniId)!);
                    break;
                case PoolAction.GiveUp giveUp:
                    var version = _doc.LeaseVersion + 1;
                    var asked = giveUp.Blocks.ToHashSet();
                    if (await StoreAsync(_doc with
                    {
                        LeaseVersion = version,
                        Interfaces = [.. _doc.Interfaces.Select(eni => eni with { Blocks = [.. eni.Blocks.Select(held => asked.Contains(held.Block) ? held with { AskedBackAt = version } : held)] })],
                    }))
                    {
                        LogAskedBack(InstanceId, asked.Sum(block => block.Size));
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

        // Of what was asked back, a pod has got a part meanwhile: the block stays, and all of it may be used again.
        bool IsKept(HeldBlock held) => held.AskedBackAt <= report.LeaseVersion && held.Block.Addresses.Any(_use.IsOnPod);
        if (_doc.Interfaces.Any(eni => eni.Blocks.Any(IsKept)))
        {
            await StoreAsync(_doc with
            {
                LeaseVersion = _doc.LeaseVersion + 1,
                Interfaces = [.. _doc.Interfaces.Select(eni => eni with { Blocks = [.. eni.Blocks.Select(held => IsKept(held) ? held with { AskedBackAt = null } : held)] })],
            });
            Hint();
        }

        var leased = report.Leased.ToHashSet();
        foreach (var eniId in _doc.Interfaces.Select(one => one.EniId).ToArray())
        {
            if (_doc.Eni(eniId) is not { } eni) // As it is now: the write for the one before has let others in.
            {
                continue;
            }

            var given = eni.Blocks.Where(held => held.AskedBackAt <= report.LeaseVersion && !held.Block.Addresses.Any(address => leased.Contains(address) || _use.IsOnPod(address)))
                .Select(held => held.Block).ToImmutableArray();
            if (given.IsEmpty)
            {
                continue;
            }

            // From here on the addresses are in nobody's lease, and the return is repeated until EC2 shows it.
            await StoreAsync((_doc with { LeaseVersion = _doc.LeaseVersion + 1 })
                .WithEni(eni with { Blocks = [.. eni.Blocks.Where(held => !given.Contains(held.Block))] })
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
        var now = time.GetUtcNow();
        // The interfaces' own addresses, too: the ledger may not have read them yet, and EC2 takes the naming of one for done.
        var departed = _doc.Departed.Where(one => one.EniId == intent.EniId && now - one.At < settings.Timing.NotNamedAgain).Select(one => one.Block)
            .Concat(_doc.Interfaces.Select(eni => new Block(eni.PrimaryAddress)))
            .Concat(_doc.Intents.Where(one => one.Kind is IntentKind.Return or IntentKind.RemoveInterface).SelectMany(one => one.Names)).ToImmutableArray();
        var reservation = await grains.GetGrain<ISubnetGrain>(intent.SubnetId).ReserveAsync(new ReserveRequest(intent.Id, InstanceId, intent.EniId, intent.Count, departed, intent.OfPrefixes, WithPrimary: isNew));
        if (!reservation.Known)
        {
            Later(intent, TimeSpan.FromMilliseconds(100));
            return false;
        }

        if (reservation.Names.Length < (isNew ? 2 : 1))
        {
            // The ledger's word costs no call: the planner looks for another way at once, and asks here again when this has become old.
            _rooms[intent.SubnetId] = (new SubnetRoom(intent.SubnetId, HasAddresses: reservation.Free > (isNew ? 1 : 0), HasPrefixes: reservation.FreePrefixes > 0), now);
            var target = isNew ? "a new interface" : intent.EniId;
            Trouble(intent.OfPrefixes
                ? new Reason(ReasonCode.SubnetScattered, $"{intent.SubnetId}: no whole /28 block for {target} of {InstanceId} ({reservation.Free} addresses free, scattered). Add a subnet to Pool:Subnets, or turn prefixes off.")
                : new Reason(ReasonCode.SubnetEmpty, $"{intent.SubnetId}: {reservation.Free} free addresses, {intent.Count} wanted for {target} of {InstanceId}. Add a subnet or a CIDR, or lower the warm targets."));
            await DropAsync(intent, []);
            Kick();
            return false;
        }

        return await StoreAsync(_doc.WithIntent(intent.Id, intent with { Names = reservation.Names, Count = reservation.Names.Length - (isNew ? 1 : 0) }));
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
