using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;

namespace AwsVpcCni.Grains.Node;

/// <summary>Decides about one node: answers its executor from memory and store, and carries out what the planner wants of EC2.</summary>
/// <remarks>The plugin's and the operators' doors are here, the executor's report in NodeGrain.Reports.cs and EC2's looks in NodeGrain.Looks.cs;
/// how all is stored is in NodeGrain.Storing.cs. The work loop is in NodeGrain.Work.cs, what is free and what is wanted is reckoned in NodeGrain.Pool.cs,
/// pods that are still to ask in NodeGrain.Bound.cs, and NodeGrain.Ec2.cs and NodeGrain.Interfaces.cs carry intents out. Everything an answer rests on is stored first. State changes before
/// an await, never across it.</remarks>
[Reentrant]
public sealed partial class NodeGrain(
    IGrainContext context,
    [PersistentState("node", DocumentJson.StorageName)] IPersistentState<NodeDocument> document,
    IAddressBook book,
    IEc2 ec2,
    IGrainFactory grains,
    ClusterSettings settings,
    TimeProvider time,
    Random random,
    NodeMetrics metrics,
    ILogger<NodeGrain> logger) : IGrainBase, INodeGrain
{
    private const int MostPods = 1000; // On a node: the largest instance types hold fewer than 800 addresses.
    private const int MostHints = 16; // A door registers one a stream; a node has one stream.
    private static readonly TimeSpan HintsLapse = TimeSpan.FromMinutes(1);

    private readonly DateTimeOffset _since = time.GetUtcNow();
    private readonly AddressUse _use = new();
    private readonly Dictionary<SandboxKey, WaitingAdd> _waiters = [];
    private readonly Dictionary<INodeHints, DateTimeOffset> _hints = [];
    private NodeDocument _doc = new(); // As it will be once the writes under way are through.
    private NodeDocument _stored = new(); // As the store has it: the only one that answers may rest on.
    private Dictionary<Ip, EniDocument> _eniOf = []; // Of what is stored.
    private Task _writing = Task.CompletedTask;
    private NodeReport? _report;
    private DateTimeOffset _reportAt;
    private bool _lost;
    private Reason? _lostWhy;
    private IGrainTimer? _timer;

    /// <inheritdoc/>
    public IGrainContext GrainContext => context;

    private string InstanceId { get; } = context.GrainId.Key.ToString()!;

    /// <summary>Reads what is true: the document, and the node's rows.</summary>
    public async Task OnActivateAsync(CancellationToken token)
    {
        _doc = document.RecordExists ? document.State : new NodeDocument();
        Stored(_doc);
        foreach (var row in await book.ReadNodeAsync(InstanceId, token))
        {
            _use.Set(row);
        }

        // What was begun before may have happened: look before trying again. Nor is it known by whose clock a block has left: its time begins anew.
        var now = time.GetUtcNow();
        _doc = _doc with { Departed = [.. _doc.Departed.Select(gone => gone with { At = now })], Intents = [.. _doc.Intents.Select(intent => intent.Kind == IntentKind.Unknown ? intent : IsNamed(intent)
            ? intent with { EffectUnknown = true, WasUnknown = true } : intent with { EffectUnknown = false })] };
        _timer = this.RegisterGrainTimer(WorkAsync, new GrainTimerCreationOptions(TimeSpan.Zero, settings.Timing.WorkPeriod) { Interleave = true });
    }

    /// <inheritdoc/>
    public async Task<AssignReply> AssignAsync(AssignRequest request)
    {
        if (_lost)
        {
            return Ended();
        }

        _fate = _fate.Heard();
        if (_fate.IsGone)
        {
            return new AssignReply.NotYet(Cause(time.GetUtcNow()));
        }

        // A row of what the document does not list: another activation has drawn it, and this document is older, as its write tells; or the store went back.
        if (!_stored.Interfaces.IsEmpty && _use.RowsOf(request.Sandbox).Any(row => EniOf(row.Address) is null) && (IsHeld || !await StoreAsync(_doc)))
        {
            return _lost ? Ended() : new AssignReply.NotYet(Cause(time.GetUtcNow()));
        }

        if (request.Stamp.Incarnation < _stored.Incarnation || (_report is { } report && request.Stamp <= Settled(report)) || _use.RowsOf(request.Sandbox).Any(row => row.Stamp > request.Stamp))
        {
            return new AssignReply.Never(new Reason(ReasonCode.Outdated,
                $"{InstanceId}: the executor has already ended this request, or its sandbox has a later one ({request.Stamp.Incarnation}.{request.Stamp.Number})."));
        }

        if (request.Stamp.Incarnation > _stored.Incarnation && !await StoreAsync(_doc with { Incarnation = request.Stamp.Incarnation }))
        {
            return Ended();
        }

        if (_use.RowsOf(request.Sandbox).FirstOrDefault() is { } row)
        {
            if (row.Stamp == request.Stamp && EniOf(row.Address) is not null && !request.Refused.Any(refusal => refusal.Address == row.Address))
            {
                return Offer(row.Address, request);
            }

            if (_stored.Interfaces.IsEmpty)
            {
                return new AssignReply.NotYet(Cause(time.GetUtcNow())); // All is being read anew, and its pod may run.
            }

            // An older ADD of this sandbox, or an address that the executor cannot use: that row has ended.
            await EndAsync(row, time.GetUtcNow(), _use.ClaimOf(row.Address)?.Sandbox == row.Sandbox);
        }

        if (PickFor(request) is not { } picked)
        {
            var before = _waiters.GetValueOrDefault(request.Sandbox);
            var asksAgain = before?.Stamp == request.Stamp && request.Refused.IsEmpty;
            if (_waiters.Count < MostPods)
            {
                Gather(isNew: before is null);
                _waiters[request.Sandbox] = new WaitingAdd(request.Stamp, request.Pod, before is not null && before.Stamp == request.Stamp ? before.Since : time.GetUtcNow());
            }

            if (!asksAgain || _rests)
            {
                Kick(); // Who asks again each second is planned for by the work loop, which comes as often.
            }

            return IsFull() ? new AssignReply.Never(WhyFull()) : new AssignReply.NotYet(WhyNot(CameBefore(request), time.GetUtcNow()));
        }

        if (_adds.Count < MostPods)
        {
            _adds.Enqueue(time.GetUtcNow());
        }

        Rouse();
        _use.Pick(picked, request.Sandbox, request.Pod); // Before the await: the next ADD must not pick it too.
        return await WriteRowAsync(picked, request);
    }

    /// <inheritdoc/>
    public async Task<ReleaseReply> ReleaseAsync(ReleaseRequest request)
    {
        ThrowIfLost();
        _waiters.Remove(request.Sandbox);
        var isKnown = await EndNamedAsync(new EndedAssignment(request.Sandbox, request.Address, request.Stamp, request.FreedSeconds) { Had = request.Had }, time.GetUtcNow());
        ThrowIfLost(); // What a lost activation says is no acknowledgement.
        Kick();
        return new ReleaseReply { Known = isKnown };
    }

    /// <inheritdoc/>
    public Task SubscribeAsync(INodeHints hints)
    {
        var now = time.GetUtcNow();
        foreach (var (lapsed, _) in _hints.Where(one => (now - one.Value).Duration() > HintsLapse || _hints.Count >= MostHints).ToArray())
        {
            _hints.Remove(lapsed);
        }

        _hints[hints] = now;
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task<NodeSummary> SummarizeAsync()
    {
        var now = time.GetUtcNow();
        var waiting = WaitingNow(now).ToImmutableArray();
        var shares = _doc.Interfaces.GroupBy(eni => eni.SubnetId, StringComparer.Ordinal).ToImmutableSortedDictionary(
            subnet => subnet.Key, subnet => ShareOf(subnet.SelectMany(eni => eni.Addresses), now), StringComparer.Ordinal);
        return Task.FromResult(new NodeSummary(
            InstanceId, _doc.InstanceType, _doc.Zone, shares,
            shares.Values.Sum(share => share.OnPods), shares.Values.Sum(share => share.Cooling), shares.Values.Sum(share => share.Warm),
            _doc.Interfaces.Sum(eni => eni.Addresses.Length), CapacityAt(now), waiting.Length, _report is null ? null : _reportAt, TroubleToShow(waiting),
            MaxPodsAt(now), LimitsText(), settings.SwitchOf(InstanceId, _doc.Interfaces.FirstOrDefault()?.SubnetId)));
    }

    /// <inheritdoc/>
    public Task<ImmutableArray<BlockLife>> LivesAsync()
    {
        var now = time.GetUtcNow();
        return Task.FromResult(NodeLives.Of(_doc, _report?.InterfacesSetUp.ToHashSet(StringComparer.Ordinal) ?? [], PodOn, address => IsRested(address, now), IsExcluded));
    }

    private AssignReply.Offered Offer(Ip address, AssignRequest request)
    {
        _waiters.Remove(request.Sandbox);
        var eniId = EniOf(address)!.EniId;
        LogOffered(InstanceId, request.Sandbox, request.Pod, address, eniId);
        return new AssignReply.Offered(address, eniId);
    }

    private async Task<AssignReply> WriteRowAsync(Ip address, AssignRequest request)
    {
        var row = new AddressRow { NodeId = InstanceId, Address = address, Sandbox = request.Sandbox, Pod = request.Pod, Stamp = request.Stamp, Since = time.GetUtcNow() };
        try
        {
            if (await book.TryAssignAsync(row, CancellationToken.None) is { } other)
            {
                _use.Wrote(other);
                Lose("the row of " + address + " was written by another activation");
                return Ended();
            }
        }
        catch (StoreException exception)
        {
            Lose(exception.Message, ReasonCode.StoreAway); // It may be written: the next activation reads the rows, and the same request finds out.
            return Ended();
        }

        _use.Wrote(row);
        return EniOf(address) is null
            ? new AssignReply.NotYet(Cause(time.GetUtcNow())) // A report has shown meanwhile that the document is old.
            : Offer(address, request);
    }

    private EniDocument? EniOf(Ip address) => _eniOf.GetValueOrDefault(address);

    private AssignReply.NotYet Ended() => new(_lostWhy!);

    /// <summary>ADDs of a burst come within some milliseconds of each other, and a call to EC2 can serve them all.</summary>
    private void Gather(bool isNew)
    {
        var now = time.GetUtcNow();
        if (isNew && !IsAhead(_gatherUntil, now))
        {
            _gatherUntil = now + settings.Timing.Gather;
        }
    }

    private void Kick()
    {
        (_isKicked, _rests) = (true, false); // Else an ADD just after would put it off.
        _timer?.Change(TimeSpan.Zero, settings.Timing.WorkPeriod);
    }

    private void Hint()
    {
        var now = time.GetUtcNow();
        foreach (var (hints, since) in _hints.ToArray())
        {
            if (now - since > HintsLapse)
            {
                _hints.Remove(hints);
            }
            else
            {
                hints.SyncNowAsync().Ignore();
            }
        }
    }
}
