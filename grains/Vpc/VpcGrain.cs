using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using Orleans.Storage;

namespace AwsVpcCni.Grains.Vpc;

/// <summary>What is stored of one VPC.</summary>
public sealed record VpcDocument : DocumentPart
{
    /// <summary>Of this layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>The register: instances whose node grains have asked for a look, by id.</summary>
    public ImmutableSortedSet<string> Nodes { get; init; } = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);
}

/// <summary>Reads EC2 for everybody: joins in batches, subnets when they are asked for, the whole VPC zone by zone each period. Whoever is in the register
/// and out of sight is looked at, which calls its grain.</summary>
/// <remarks>Two works, a timer each: looks at nodes, and reads for the subnets' ledgers. Each does one thing at a time, and neither waits for
/// the other. Reentrant, since the doors only put into queues.</remarks>
[Reentrant]
public sealed partial class VpcGrain(
    IGrainContext context,
    [PersistentState("vpc", DocumentJson.StorageName)] IPersistentState<VpcDocument> document,
    IEc2 ec2,
    IGrainFactory grains,
    ClusterSettings settings,
    TimeProvider time,
    ILogger<VpcGrain> logger) : IGrainBase, IVpcGrain
{
    private enum Work
    {
        Looks,
        Ledgers,
    }

    private const string ActionKey = "action"; // In a refusal's data.
    private static readonly TimeSpan MendingTakes = TimeSpan.FromSeconds(10); // A permission, or credentials: until then nothing is asked.
    private static readonly TimeSpan LongestPermitWait = TimeSpan.FromSeconds(30);

    private readonly SortedDictionary<string, long> _asking = new(StringComparer.Ordinal); // Instance -> its change number.
    private ImmutableArray<Ec2Subnet> _subnets = [];
    private DateTimeOffset _subnetsAt = DateTimeOffset.MinValue;
    private DateTimeOffset _windowCloses;
    private readonly Dictionary<Work, DateTimeOffset> _notBefore = [];
    private Task _writing = Task.CompletedTask;
    private bool _lost;
    private IGrainTimer? _lookTimer;
    private IGrainTimer? _ledgerTimer;

    /// <inheritdoc/>
    public IGrainContext GrainContext => context;

    private string VpcId { get; } = context.GrainId.Key.ToString()!;

    /// <summary>Starts both works: the first look reads the VPC's subnets, so that ledgers know before the first node joins.</summary>
    /// <exception cref="WrongKeyException">It is not the VPC of the settings.</exception>
    public Task OnActivateAsync(CancellationToken token)
    {
        if (VpcId != settings.VpcId)
        {
            throw new WrongKeyException($"{VpcId} is not the VPC of these silos, {settings.VpcId} (Ec2:VpcId): nothing of it is read. Name that one, or none.");
        }

        var atOnce = new GrainTimerCreationOptions(TimeSpan.Zero, settings.Timing.WorkPeriod) { Interleave = true };
        _lookTimer = this.RegisterGrainTimer(stop => RunAsync(Work.Looks, LookAsync, stop), atOnce);
        _ledgerTimer = this.RegisterGrainTimer(stop => RunAsync(Work.Ledgers, ReadLedgersAsync, stop), atOnce);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task DescribeMeAsync(string instanceId, long change) => Asks(instanceId, change, settings.Timing.BatchWindow);

    /// <inheritdoc/>
    public Task LookAtMeAsync(string instanceId, long change) => Asks(instanceId, change, settings.Timing.RoutineWindow);

    private Task Asks(string instanceId, long change, TimeSpan within)
    {
        if (_asking.Count == 0 || within < WindowLeft)
        {
            // The first of a batch opens the window, and one that is in haste closes it earlier; whoever comes within it is described by the same call.
            LogBatch(VpcId, instanceId);
            _windowCloses = time.GetUtcNow() + within;
            _lookTimer?.Change(UntilLook, settings.Timing.WorkPeriod);
        }

        if (!document.State.Nodes.Contains(instanceId))
        {
            LogAsks(instanceId);
        }

        _asking[instanceId] = change;
        _askedAt[instanceId] = time.GetUtcNow();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task RetiredAsync(string instanceId)
    {
        _asking.Remove(instanceId);
        _askedAt.Remove(instanceId);
        if (_subnets.IsEmpty)
        {
            return; // Not read yet: it stays in the register, and is told again.
        }

        // The node has told those of its document; when that was lost, a ledger may know of it all the same.
        foreach (var subnet in _subnets)
        {
            await grains.GetGrain<ISubnetGrain>(subnet.SubnetId).RetiredAsync(instanceId, long.MaxValue, []);
        }

        if (document.State.Nodes.Contains(instanceId) && await StoreAsync(stored => stored with { Nodes = stored.Nodes.Remove(instanceId) }))
        {
            LogLeaves(VpcId, instanceId);
        }
    }

    /// <inheritdoc/>
    public Task ReadSubnetAsync(string subnetId)
    {
        if (_subnetsToRead.Add(subnetId))
        {
            _ledgerTimer?.Change(TimeSpan.Zero, settings.Timing.WorkPeriod);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task PingAsync() => Task.CompletedTask;

    /// <inheritdoc/>
    public Task<ImmutableArray<string>> NodesAsync() => Task.FromResult<ImmutableArray<string>>([.. document.State.Nodes]);

    /// <inheritdoc/>
    public Task<ImmutableArray<string>> SubnetsAsync() => Task.FromResult<ImmutableArray<string>>([.. _subnets.Select(subnet => subnet.SubnetId)]);

    /// <inheritdoc/>
    public Task<string?> SubnetOfAsync(Ip address) => Task.FromResult(_subnets.FirstOrDefault(subnet => subnet.Cidr.Contains(address))?.SubnetId);

    /// <summary>Changes the document: one write at a time. False when the activation ends by it (rule 11).</summary>
    private async Task<bool> StoreAsync(Func<VpcDocument, VpcDocument> change)
    {
        while (!_writing.IsCompleted)
        {
            await _writing;
        }

        if (!_lost)
        {
            document.State = change(document.State);
            await (_writing = WriteAsync());
        }

        return !_lost;
    }

    /// <summary>Another activation may have written since this one has read, and have ended: what it has put into the register would be looked at by nobody, and this one writes seldom,
    /// so that it would not notice (simulation, seed 1555). One that finds that ends.</summary>
    /// <returns>Whether this one goes on.</returns>
    private async Task<bool> IsLatestAsync()
    {
        while (!_writing.IsCompleted)
        {
            await _writing;
        }

        if (!_lost)
        {
            await (_writing = RereadAsync());
        }

        return !_lost;
    }

    private async Task RereadAsync()
    {
        var etag = document.Etag;
        try
        {
            await document.ReadStateAsync();
            if (document.Etag != etag)
            {
                Lose("the register was written by another activation");
            }
        }
        catch (StoreException exception)
        {
            LogFailed(VpcId, Work.Ledgers, exception); // The next sweep reads it.
        }
    }

    private async Task WriteAsync()
    {
        try
        {
            await document.WriteStateAsync();
        }
        catch (Exception exception) when (exception is InconsistentStateException or StoreException)
        {
            Lose(exception.Message);
        }
    }

    private void Lose(string why)
    {
        _lost = true;
        LogLost(VpcId, why);
        this.DeactivateOnIdle();
    }

    /// <summary>A tick of one of the timers; none has two under way.</summary>
    private async Task RunAsync(Work work, Func<CancellationToken, Task> run, CancellationToken cancellation)
    {
        if (IsResting(work))
        {
            return;
        }

        try
        {
            await run(cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The activation ends; another one goes on.
        }

        if (work == Work.Looks && _asking.Count > 0)
        {
            _lookTimer?.Change(UntilLook, settings.Timing.WorkPeriod);
        }
    }

    private bool IsResting(Work work) => _notBefore.GetValueOrDefault(work) - time.GetUtcNow() is var wait && wait > TimeSpan.Zero && wait <= MendingTakes;

    /// <summary>One read; when it fails, the others go on, and a later tick tries again.</summary>
    /// <returns>Whether it was done.</returns>
    private async Task<bool> TryAsync(Work work, Func<Task> read, CancellationToken cancellation)
    {
        try
        {
            await read();
            return true;
        }
        catch (Exception exception) when (!cancellation.IsCancellationRequested
            && exception is (Ec2Exception or OperationCanceledException or TimeoutException or OrleansException or StoreException))
        {
            Failed(work, exception);
            return false;
        }
    }

    private void Failed(Work work, Exception exception)
    {
        var rests = settings.Timing.WorkPeriod;
        switch (exception)
        {
            case Ec2Exception refusal:
                LogRefused(VpcId, refusal.Fault, refusal.Message);
                var action = (Ec2Action)refusal.Data[ActionKey]!;
                TellWaiting(work, Ec2Reason.Of(VpcId, action, refusal));
                rests = refusal.Fault is Ec2Fault.NotAuthorized or Ec2Fault.Credentials ? MendingTakes : rests;
                if (refusal is { Fault: Ec2Fault.Throttled, Code.Length: > 0 }) // By EC2, not by our own budget.
                {
                    Quota.ThrottledAsync(action).Ignore();
                }

                break;
            case OperationCanceledException:
                LogRefused(VpcId, Ec2Fault.EffectUnknown, "no answer in time");
                TellWaiting(work, new Reason(ReasonCode.Ec2Refused, $"{VpcId}: EC2 does not answer within {settings.Timing.Ec2Call.TotalSeconds:0} s. Check the silo's way to its endpoint."));
                break;
            default:
                LogFailed(VpcId, work, exception); // Of another grain, or the way to it.
                break;
        }

        _notBefore[work] = time.GetUtcNow() + rests;
    }

    /// <summary>Pods may wait for what could not be read, and nobody reads this grain's log for them.</summary>
    private void TellWaiting(Work work, Reason why)
    {
        foreach (var instanceId in work == Work.Looks ? _asking.Keys.ToArray() : [])
        {
            grains.GetGrain<INodeGrain>(instanceId).NotDescribedAsync(why).Ignore();
        }
    }

    private TimeSpan WindowLeft => _windowCloses - time.GetUtcNow() is var left && left > TimeSpan.Zero && left <= settings.Timing.RoutineWindow ? left : TimeSpan.Zero;

    /// <summary>Subnets are read beside looks, and wait for no window.</summary>
    private TimeSpan UntilLook => WindowLeft is var left && left < settings.Timing.WorkPeriod ? left : settings.Timing.WorkPeriod;

    private IEc2QuotaGrain Quota => grains.GetGrain<IEc2QuotaGrain>(settings.QuotaKey);

    private async Task<ImmutableArray<Ec2Interface>> PagesAsync(Ec2InterfaceQuery query, CallPriority priority, CancellationToken cancellation)
    {
        var all = ImmutableArray.CreateBuilder<Ec2Interface>();
        string? token = null;
        do
        {
            var page = await CallAsync(Ec2Action.DescribeNetworkInterfaces, priority, stop => ec2.DescribeInterfacesAsync(query, token, stop), cancellation);
            all.AddRange(page.Interfaces);
            token = page.NextToken;
        }
        while (token is not null);
        return all.ToImmutable();
    }

    /// <summary>One EC2 call within the budget and its deadline.</summary>
    /// <param name="take">Asks for the permit, where that is more than an action and a need.</param>
    private async Task<T> CallAsync<T>(Ec2Action action, CallPriority priority, Func<CancellationToken, Task<T>> call, CancellationToken cancellation, Func<Task<TimeSpan>>? take = null)
    {
        var patience = time.GetUtcNow() + LongestPermitWait;
        while (await (take?.Invoke() ?? Quota.TakeAsync(action, priority)) is var wait && wait > TimeSpan.Zero)
        {
            if (time.GetUtcNow() + wait > patience)
            {
                throw new Ec2Exception(Ec2Fault.Throttled, "", $"No permit within {LongestPermitWait.TotalSeconds:0} s; the account's budget is spent, the next is free in {wait.TotalSeconds:0} s. Nothing was sent.") { Data = { [ActionKey] = action } };
            }

            await Task.Delay(wait, time, cancellation);
        }

        using var deadline = new CancellationTokenSource(settings.Timing.Ec2Call, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        try
        {
            return await call(both.Token);
        }
        catch (Ec2Exception refusal)
        {
            refusal.Data[ActionKey] = action;
            throw;
        }
    }
}
