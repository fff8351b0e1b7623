using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Node;

/// <content>Why a pod has no address: one cause with its numbers, for its ADD, for whoever asks, and for the metric.</content>
public sealed partial class NodeGrain
{
    private static readonly TimeSpan StuckAfter = TimeSpan.FromSeconds(30); // ec2.md 2.1: attaching and detaching take up to about 10 s.

    private readonly Dictionary<(string EniId, Way Way), DateTimeOffset> _unfinished = []; // Interfaces on their way, since this activation saw it.
    private bool _isDeactivated; // The next activation tells of the node.
    private Reason? _takingTrouble; // Why what is to go back does not: no pod's reason, but the operator's.

    /// <inheritdoc/>
    public Task<ImmutableArray<WaitingPod>> WaitingAsync() => Task.FromResult<ImmutableArray<WaitingPod>>([.. WaitingNow(time.GetUtcNow())]);

    /// <inheritdoc/>
    public Task NotDescribedAsync(Reason why)
    {
        if (_doc.Interfaces.IsEmpty || _doc.Intents.Any(intent => intent.WaitsForLook))
        {
            Trouble(why);
        }

        return Task.CompletedTask;
    }

    /// <summary>Its waiting pods are another activation's to count.</summary>
    public Task OnDeactivateAsync(DeactivationReason reason, CancellationToken token)
    {
        _isDeactivated = true;
        metrics.Gone(InstanceId);
        return Task.CompletedTask;
    }

    /// <summary>What an intent is about, in words.</summary>
    private string What(Intent intent)
    {
        var count = $"{intent.Count} {(intent.OfPrefixes ? "prefixes" : "addresses")}";
        return intent.Kind switch
        {
            IntentKind.AddInterface => $"{InstanceId}: a new interface in {intent.SubnetId} with {count}",
            IntentKind.RemoveInterface => $"{InstanceId}: the removal of {intent.EniId}",
            IntentKind.Return => $"{InstanceId}: the return of {intent.Names.Length} names of {intent.EniId}",
            _ => $"{InstanceId}: {count} for {intent.EniId}",
        };
    }

    private void Trouble(Intent intent, Reason why)
    {
        if (intent.Drawing > 0)
        {
            Trouble(why);
        }
        else
        {
            _takingTrouble = why;
        }
    }

    /// <summary>What the operator of the node is to know: why its first pod waits, or why it has not what it wants, or keeps what it does not want.</summary>
    private string? TroubleToShow(ImmutableArray<WaitingPod> waiting) => waiting.IsEmpty
        ? (_trouble ?? (_doc.Intents.Any(intent => intent.Drawing == 0) ? _takingTrouble : null))?.Text
        : waiting[0].Why.Text;

    /// <summary>Each tick: since when interfaces are on their way, and what the silo tells of the node.</summary>
    private void TellOfNode()
    {
        var now = time.GetUtcNow();
        (string EniId, Way Way)[] unfinished =
        [
            .. _doc.Intents.Where(intent => intent is { Kind: IntentKind.AddInterface, EniId.Length: > 0 } or { Kind: IntentKind.RemoveInterface })
                .Select(intent => (intent.EniId, intent.Kind == IntentKind.RemoveInterface ? Way.Leaves : Way.Attaches)),
            .. (now - _reportAt).Duration() < StuckAfter ? NotSetUp().Select(eni => (eni.EniId, Way.IsSetUp)) : [], // An executor that is away sets nothing up.
        ];
        foreach (var finished in _unfinished.Keys.Except(unfinished).ToArray())
        {
            _unfinished.Remove(finished);
        }

        foreach (var one in unfinished)
        {
            _unfinished.TryAdd(one, now);
        }

        if (_lost || _isDeactivated)
        {
            return;
        }

        metrics.Is(new NodeNow(
            InstanceId, [.. WaitingNow(now)], _trouble, Free().Count(one => IsRested(one.Held.Address, now)), _doc.Interfaces.IsEmpty ? 0 : MaxPodsAt(now),
            [.. from block in Lost(_doc) from address in block.Addresses let pod = PodOn(address) where pod is not null select new LostAddress(address, pod)], _lastRecall));
    }

    private IEnumerable<WaitingPod> WaitingNow(DateTimeOffset now)
    {
        var (others, cause) = (0, (Reason?)null);
        foreach (var (sandbox, add) in _waiters.Where(waiter => HasNothing(waiter.Key)).OrderBy(waiter => waiter.Value.Stamp))
        {
            cause ??= Cause(now);
            yield return new WaitingPod(InstanceId, sandbox, add.Pod, Math.Max(0, (now - add.Since).TotalSeconds), InTurn(cause, others++));
        }
    }

    private Reason WhyNot(int others, DateTimeOffset now) => InTurn(Cause(now), others);

    private static Reason InTurn(Reason cause, int others) =>
        others == 0 ? cause : cause with { Text = $"{cause.Text} {others} pods of the node have waited longer and are served first." };

    /// <summary>Why the node has no address for the pod whose turn it is. What somebody has to mend comes before what passes by itself.</summary>
    private Reason Cause(DateTimeOffset now) => WithHold(CauseNow(now));

    private Reason CauseNow(DateTimeOffset now)
    {
        if (_doc.Interfaces.IsEmpty)
        {
            var unread = _trouble ?? new Reason(ReasonCode.NodeStarting, $"{InstanceId}: the node has just joined, and EC2 has not been read yet.");
            return _doc.LeaseVersion == 0 ? unread // Else the node has a lease, and spends it meanwhile.
                : new Reason(ReasonCode.StoreAway, $"{InstanceId}: the store was lost or is older than the node, so what the node has is read from EC2 again.{(_trouble is { } trouble ? " " + trouble.Text : "")}");
        }

        if (IsFull())
        {
            return WhyFull();
        }

        var (cooling, firstFor) = CoolingNow(now);
        var cools = new Reason(ReasonCode.Cooling, $"{InstanceId}: no free address and no room for another: {OnPodsNow()} are on pods, " +
            $"{cooling} cool down ({Policy.Cooldown.TotalSeconds:0} s each), the first for {Seconds(firstFor)} s more.");
        if (!Policy.Provisions)
        {
            // Whatever was under way, or was refused, is left as it is.
            return WhyNotSetUp(now) ?? (cooling > 0 ? cools : new Reason(ReasonCode.NotProvisioned, $"{InstanceId}: no free address, {OnPodsNow()} are on pods, and the policy lets nothing be drawn. " +
                "Set DISABLE_NETWORK_RESOURCE_PROVISIONING to false, or give the node addresses by other means."));
        }

        var state = State(now);
        if (WhyFrozen(state, cooling, firstFor) is { } frozen)
        {
            return WhyNotSetUp(now) ?? frozen;
        }

        if (_trouble is not null)
        {
            return _trouble with { Text = _trouble.Text + NextTry(now) + (cooling > 0 ? $" Meanwhile {cooling} addresses cool down, the first for {Seconds(firstFor)} s more." : "") };
        }

        var (drawing, room) = (state.Enis.Sum(eni => eni.Drawing), state.Enis.Sum(eni => eni.Room) + (state.NewInterfaces * state.Slots));
        if (_doc.Intents.FirstOrDefault(intent => intent.Drawing > 0 && WaitOf(ActionOf(intent), now) > TimeSpan.Zero) is { } queued)
        {
            return WhyQueued(drawing, ActionOf(queued), now);
        }

        return WhyNotSetUp(now) ?? WhyAttaching(now) ?? (drawing, cooling, room) switch
        {
            ( > 0, _, _) => new Reason(ReasonCode.Drawing, $"{InstanceId}: no free address; {drawing} are on their way from EC2, and the node has room for {room} more."),
            (_, > 0, 0) => cools,
            (_, _, > 0) => new Reason(ReasonCode.Drawing, $"{InstanceId}: no free address; the node has room for {room} more, and the next draw begins within a second."),
            _ => WhyDetaching(now) ?? new Reason(ReasonCode.Drawing, $"{InstanceId}: no free address and no room for another: {OnPodsNow()} are on pods, and what else it holds is being returned or goes to pods that came earlier."),
        };
    }

    private Reason WhyFull()
    {
        var room = _doc.Interfaces.Sum(eni => eni.Addresses.Length);
        var each = _doc.Interfaces.Any(eni => eni.Blocks.Any(held => held.Block.IsPrefix)) ? " slots for addresses or prefixes" : "";
        var most = Policy.MaxEnis < _doc.MaxInterfaces ? $" MAX_ENI allows {Policy.MaxEnis} of the type's {_doc.MaxInterfaces} interfaces." : "";
        return new Reason(ReasonCode.NodeFull,
            $"{InstanceId} ({_doc.InstanceType}): all {room} pod addresses are on pods ({_doc.Interfaces.Length} interfaces x ({_doc.AddressesPerInterface} - 1){each}).{most}{(LimitsText() is { } learned ? $" {learned}" : "")} " +
            "Run the pod on another node, or lower this node's max-pods.");
    }

    private Reason WhyQueued(int drawing, Ec2Action action, DateTimeOffset now) => new(ReasonCode.Throttled,
        $"{InstanceId}: {drawing} addresses are to be drawn, and the account's budget for {action} lets this node's call through in {WaitOf(action, now).TotalSeconds:0.0} s. " +
        "When that is so for long, find out who calls EC2 that often, or ask AWS for a higher rate of that action.");

    /// <summary>Addresses that the node has, on an interface that does not work yet; null when there are none.</summary>
    private Reason? WhyNotSetUp(DateTimeOffset now) => NotSetUp().FirstOrDefault(eni => eni.Addresses.Any(IsFree)) is { } eni && Since(eni.EniId, Way.IsSetUp, now) is var since
        ? OfInterface(since, $"{InstanceId}: {eni.Addresses.Count(IsFree)} free addresses are on {eni.EniId} (device {eni.DeviceIndex}), which the node has not set up yet, {Seconds(since)} s after it was to.",
            "Look for the interface with 'ip link' on the node, in EC2, and in the executor's log.")
        : null;

    /// <summary>Addresses that come with an interface; null when others are on their way, too: only when all hangs on this one is it the cause.</summary>
    private Reason? WhyAttaching(DateTimeOffset now) =>
        _doc.Intents.Where(intent => intent.Drawing > 0).All(intent => intent is { Kind: IntentKind.AddInterface, EniId.Length: > 0 })
            && _doc.Intents.Where(intent => intent.Drawing > 0).MaxBy(intent => Since(intent.EniId, Way.Attaches, now)) is { } adding
            ? OfInterface(Since(adding.EniId, Way.Attaches, now), $"{InstanceId}: {adding.Drawing} addresses come with {adding.EniId}, which has been attaching as device {adding.DeviceIndex} for {Seconds(Since(adding.EniId, Way.Attaches, now))} s.",
                "Look at it in EC2; an attachment that hangs is mended by stopping and starting the instance.")
            : null;

    /// <summary>The place of an interface that is leaving; null when none is.</summary>
    private Reason? WhyDetaching(DateTimeOffset now) => _doc.Intents.FirstOrDefault(intent => intent.Kind == IntentKind.RemoveInterface) is { } leaving
        ? OfInterface(Since(leaving.EniId, Way.Leaves, now), $"{InstanceId}: all {OnPodsNow()} addresses are on pods, and the place of {leaving.EniId} (device {leaving.DeviceIndex}), which has been leaving for {Seconds(Since(leaving.EniId, Way.Leaves, now))} s, is not free yet.",
            "Look at it in EC2; a detachment that hangs is mended by stopping and starting the instance.")
        : null;

    private static Reason OfInterface(TimeSpan since, string text, string advice) =>
        since < StuckAfter ? new Reason(ReasonCode.Drawing, text) : new Reason(ReasonCode.InterfaceStuck, $"{text} Usual are 10 s. {advice}");

    private Reason WhyDry(Intent intent, Reservation found)
    {
        var target = intent.Kind == IntentKind.AddInterface ? "a new interface" : intent.EniId;
        var most = found.Holders.IsDefaultOrEmpty ? "" : $" Most are held by {string.Join(", ", found.Holders.Select(holder => $"{holder.Id} ({holder.Addresses})"))}.";
        var kept = !intent.OfPrefixes && found.Free > (intent.Kind == IntentKind.AddInterface ? 1 : 0)
            ? " It may not have those: they have left it, or are leaving the node, and a late duplicate of their return would take them again." : "";
        var elsewhere = Elsewhere(intent.SubnetId);
        return found.IsRefused
            ? new Reason(intent.OfPrefixes ? ReasonCode.SubnetScattered : ReasonCode.SubnetEmpty, $"{intent.SubnetId}: EC2 has said that it has no room, though {found.Free} addresses look free; {target} of {InstanceId} waits.{most}{elsewhere} " +
                "Others may have them whom this account cannot see. Add a subnet or a CIDR.")
            : intent.OfPrefixes && found.Free > 0
            ? new Reason(ReasonCode.SubnetScattered, $"{intent.SubnetId}: no whole /28 block for {target} of {InstanceId}: {found.FreePrefixes} blocks are whole, {found.Free} single addresses are free, scattered.{most}{elsewhere} " +
                $"Single addresses serve pods meanwhile. Tag a further subnet {SubnetRoles.RoleTag}=1, or turn prefixes off.")
            : new Reason(ReasonCode.SubnetEmpty, $"{intent.SubnetId}: {found.Free} free addresses, {intent.Count}{(intent.OfPrefixes ? " prefixes" : "")} wanted for {target} of {InstanceId}.{kept}{most}{elsewhere} " +
                "Add a subnet or a CIDR, or lower the warm targets.");
    }

    private (int Count, TimeSpan FirstFor) CoolingNow(DateTimeOffset now)
    {
        TimeSpan[] left = [.. from eni in _stored.Interfaces from held in eni.Addresses where IsFree(held)
                              let rested = _use.Rested(held.Address, now) where rested < Policy.Cooldown select Policy.Cooldown - rested.Value];
        return (left.Length, left.DefaultIfEmpty().Min());
    }

    /// <summary>When what EC2 refused is tried again.</summary>
    private string NextTry(DateTimeOffset now)
    {
        DateTimeOffset[] ahead = [.. _doc.Intents.Where(intent => intent.Drawing > 0).Select(intent => _retries.GetValueOrDefault(intent.Id).NotBefore).Append(_planNotBefore).Append(_noNewBefore).Concat(_restsUntil.Values).Where(at => IsAhead(at, now))];
        return ahead.Length == 0 ? "" : $" Tried again in {Seconds(ahead.Min() - now)} s.";
    }

    private int OnPodsNow() => _doc.Interfaces.Sum(eni => OnPods(eni.EniId));

    private IEnumerable<EniDocument> NotSetUp() => _report is { } report ? _stored.Interfaces.Where(eni => !eni.IsLost && !report.InterfacesSetUp.Contains(eni.EniId)) : [];

    private TimeSpan Since(string eniId, Way way, DateTimeOffset now)
    {
        var until = way == Way.IsSetUp ? _reportAt : now; // An executor that is away says nothing of it.
        return _unfinished.TryGetValue((eniId, way), out var since) && until > since ? until - since : TimeSpan.Zero;
    }

    /// <summary>Whether the interface has been on its way for longer than one that works.</summary>
    private bool IsStuck(string eniId, Way way, DateTimeOffset now) => Since(eniId, way, now) >= StuckAfter;

    /// <summary>One that hangs is that one's fault; where attaching hangs, or a second one, the next would too, and keep addresses from others.</summary>
    private bool NewOnesHang(DateTimeOffset now) => _doc.Intents.Any(intent => intent.Kind == IntentKind.AddInterface && IsStuck(intent.EniId, Way.Attaches, now)) || _doc.Interfaces.Count(eni => IsStuck(eni.EniId, Way.IsSetUp, now)) > 1;

    private static long Seconds(TimeSpan time) => (long)Math.Ceiling(time.TotalSeconds);

    /// <summary>What an interface is on its way to: each part of it has its own time.</summary>
    private enum Way
    {
        Attaches,
        IsSetUp,
        Leaves,
    }

    /// <param name="Since">By the silo's clock; UTC.</param>
    private sealed record WaitingAdd(Stamp Stamp, PodName Pod, DateTimeOffset Since);
}
