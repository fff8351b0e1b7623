using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Instances;
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
public sealed record VpcDocument
{
    /// <summary>Of this layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>The register: instances whose node grains have asked for a look, by id.</summary>
    public ImmutableSortedSet<string> Nodes { get; init; } = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    /// <summary>What a newer silo wrote and this one does not know.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Unknown { get; set; }
}

/// <summary>Reads EC2 for everybody: joins in batches, subnets when they are asked for, the whole VPC zone by zone each period.</summary>
/// <remarks>Each tick of its timer does one thing at a time, so that it never has two sweeps under way. Reentrant, since only the
/// timer changes what it works on; the doors only put into queues.</remarks>
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
    private const int InstancesPerCall = 200; // EC2 takes at most 200 filter values (ec2.md section 4).
    private const int TypesPerCall = 100; // EC2's largest page of them.
    private static readonly TimeSpan SubnetsStayTrue = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan TypesAgain = TimeSpan.FromMinutes(4); // Less than between two looks at a node.
    private const string ActionKey = "action"; // In a refusal's data.
    private static readonly TimeSpan MendingTakes = TimeSpan.FromSeconds(10); // A permission, or credentials: until then nothing is asked.
    private static readonly TimeSpan LongestPermitWait = TimeSpan.FromSeconds(30);

    private readonly SortedDictionary<string, long> _asking = new(StringComparer.Ordinal); // Instance -> its change number.
    private readonly SortedSet<string> _subnetsToRead = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, InstanceLimits> _types = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, (DateTimeOffset At, string Why)> _typesNotDescribed = new(StringComparer.Ordinal);
    private ImmutableArray<Ec2Subnet> _subnets = [];
    private DateTimeOffset _subnetsAt = DateTimeOffset.MinValue;
    private DateTimeOffset _sweptAt = DateTimeOffset.MinValue;
    private DateTimeOffset _windowCloses;
    private DateTimeOffset _notBefore;
    private bool _working;
    private IGrainTimer? _timer;

    /// <inheritdoc/>
    public IGrainContext GrainContext => context;

    private string VpcId { get; } = context.GrainId.Key.ToString()!;

    /// <summary>Starts the work loop: the first tick reads the VPC's subnets, so that ledgers know before the first node joins.</summary>
    public Task OnActivateAsync(CancellationToken token)
    {
        _timer = this.RegisterGrainTimer(WorkAsync, new GrainTimerCreationOptions(TimeSpan.Zero, settings.Timing.WorkPeriod) { Interleave = true });
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task DescribeMeAsync(string instanceId, long change)
    {
        if (_asking.Count == 0)
        {
            // The first of a batch opens the window; whoever comes within it is described by the same call.
            LogBatch(VpcId, instanceId);
            _windowCloses = time.GetUtcNow() + settings.Timing.BatchWindow;
            _timer?.Change(settings.Timing.BatchWindow, settings.Timing.WorkPeriod);
        }

        LogAsks(instanceId);
        _asking[instanceId] = change;
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task ReadSubnetAsync(string subnetId)
    {
        if (_subnetsToRead.Add(subnetId) && _asking.Count == 0)
        {
            _timer?.Change(TimeSpan.Zero, settings.Timing.WorkPeriod);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task PingAsync() => Task.CompletedTask;

    /// <inheritdoc/>
    public Task<ImmutableArray<string>> NodesAsync() => Task.FromResult<ImmutableArray<string>>([.. document.State.Nodes]);

    /// <inheritdoc/>
    public Task<ImmutableArray<string>> SubnetsAsync() => Task.FromResult<ImmutableArray<string>>([.. _subnets.Select(subnet => subnet.SubnetId)]);

    private async Task WorkAsync(CancellationToken cancellation)
    {
        if (_working || (_notBefore - time.GetUtcNow() is var wait && wait > TimeSpan.Zero && wait <= MendingTakes))
        {
            return;
        }

        _working = true;
        try
        {
            var now = time.GetUtcNow();
            if ((now - _subnetsAt).Duration() > SubnetsStayTrue) // Duration: a clock that went back must not stop anything.
            {
                await ReadSubnetsAsync(cancellation);
            }

            await DescribeAskingAsync(cancellation);
            await ReadDoubtfulSubnetsAsync(cancellation);
            if ((now - _sweptAt).Duration() > settings.Timing.SweepPeriod)
            {
                _sweptAt = now;
                await SweepAsync(cancellation);
            }
        }
        catch (Ec2Exception refusal)
        {
            LogRefused(VpcId, refusal.Fault, refusal.Message); // A later tick tries again.
            var action = (Ec2Action)refusal.Data[ActionKey]!;
            TellWaiting(Ec2Reason.Of(VpcId, action, refusal));
            _notBefore = time.GetUtcNow() + (refusal.Fault is Ec2Fault.NotAuthorized or Ec2Fault.Credentials ? MendingTakes : settings.Timing.WorkPeriod);
            if (refusal is { Fault: Ec2Fault.Throttled, Code.Length: > 0 }) // By EC2, not by our own budget.
            {
                await Quota.ThrottledAsync(action);
            }
        }
        catch (OperationCanceledException)
        {
            LogRefused(VpcId, Ec2Fault.EffectUnknown, "no answer in time");
            TellWaiting(new Reason(ReasonCode.Ec2Refused, $"{VpcId}: EC2 does not answer within {settings.Timing.Ec2Call.TotalSeconds:0} s. Check the silo's way to its endpoint."));
        }
        catch (Exception exception) when (exception is InconsistentStateException or StoreException)
        {
            LogLost(VpcId, exception.Message); // Rule 11; the nodes ask again.
            this.DeactivateOnIdle();
        }
        finally
        {
            _working = false;
            if (_asking.Count > 0)
            {
                _timer?.Change(WindowLeft, settings.Timing.WorkPeriod);
            }
        }
    }

    /// <summary>Pods may wait for what could not be read, and nobody reads this grain's log for them.</summary>
    private void TellWaiting(Reason why)
    {
        foreach (var instanceId in _asking.Keys)
        {
            grains.GetGrain<INodeGrain>(instanceId).NotDescribedAsync(why).Ignore();
        }
    }

    private TimeSpan WindowLeft => _windowCloses - time.GetUtcNow() is var left && left > TimeSpan.Zero && left <= settings.Timing.BatchWindow ? left : TimeSpan.Zero;

    private IEc2QuotaGrain Quota => grains.GetGrain<IEc2QuotaGrain>(settings.QuotaKey);

    private async Task ReadSubnetsAsync(CancellationToken cancellation)
    {
        _subnets = await CallAsync(Ec2Action.DescribeSubnets, CallPriority.NodeStarting, token => ec2.DescribeSubnetsAsync(VpcId, token), cancellation);
        _subnetsAt = time.GetUtcNow();
        if (_subnets.IsEmpty)
        {
            LogNoSubnets(VpcId);
        }
    }

    private async Task DescribeAskingAsync(CancellationToken cancellation)
    {
        var batch = _asking.Take(InstancesPerCall).ToImmutableSortedDictionary(StringComparer.Ordinal);
        if (batch.IsEmpty || WindowLeft > TimeSpan.Zero)
        {
            return; // Still open: a tick that was under way when the first one asked must not close it.
        }

        foreach (var (instanceId, _) in batch)
        {
            _asking.Remove(instanceId); // Before the await; a node that gets no answer asks again.
        }

        if (!batch.Keys.All(document.State.Nodes.Contains))
        {
            document.State = document.State with { Nodes = document.State.Nodes.Union(batch.Keys) };
            await document.WriteStateAsync(cancellation);
        }

        try
        {
            await DescribeAsync(batch, cancellation);
        }
        catch (Exception exception) when (exception is Ec2Exception or OperationCanceledException)
        {
            foreach (var (instanceId, change) in batch)
            {
                _asking.TryAdd(instanceId, change); // Together with the next batch, not each at a time of its own.
            }

            throw;
        }
    }

    private async Task DescribeAsync(ImmutableSortedDictionary<string, long> batch, CancellationToken cancellation)
    {
        ImmutableArray<string> ids = [.. batch.Keys];
        var instances = await CallAsync(Ec2Action.DescribeInstances, CallPriority.NodeStarting, token => ec2.DescribeInstancesAsync(ids, token), cancellation);
        var interfaces = await PagesAsync(new Ec2InterfaceQuery { VpcId = VpcId, InstanceIds = ids }, CallPriority.NodeStarting, cancellation);
        if (interfaces.Any(eni => !_subnets.Any(subnet => subnet.SubnetId == eni.SubnetId)))
        {
            await ReadSubnetsAsync(cancellation); // One was made since.
        }

        await LearnTypesAsync(instances, cancellation);
        foreach (var (instanceId, change) in batch)
        {
            var instance = instances.FirstOrDefault(one => one.InstanceId == instanceId && one.VpcId == VpcId);
            var mine = interfaces.Where(eni => eni.Attachment?.InstanceId == instanceId).ToImmutableArray();
            var view = new InstanceView(
                instance, instance is null ? null : LimitsOf(instance.InstanceType) ?? InstanceLimits.Careful(instance.InstanceType), mine,
                [.. _subnets.Where(subnet => mine.Any(eni => eni.SubnetId == subnet.SubnetId)), .. settings.Pool.Subnets.Join(_subnets, id => id, subnet => subnet.SubnetId, (_, subnet) => subnet)],
                change, instance is null || LimitsOf(instance.InstanceType) is not null ? null : _typesNotDescribed.GetValueOrDefault(instance.InstanceType).Why);
            grains.GetGrain<INodeGrain>(instanceId).DescribedAsync(view).Ignore();
        }
    }

    /// <summary>Types newer than the table: asked once, all of a batch together. A node whose type EC2 does not describe, or not for us, gets
    /// careful limits and runs; so much is not worth a node. It is asked again with a later look.</summary>
    private async Task LearnTypesAsync(ImmutableArray<Ec2Instance> instances, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var unknown = instances.Select(instance => instance.InstanceType).Distinct()
            .Where(type => LimitsOf(type) is null && (now - _typesNotDescribed.GetValueOrDefault(type).At).Duration() > TypesAgain).Take(TypesPerCall).ToImmutableArray();
        if (unknown.IsEmpty)
        {
            return;
        }

        var why = "EC2 knows no such type.";
        try
        {
            foreach (var limits in await CallAsync(Ec2Action.DescribeInstanceTypes, CallPriority.NodeStarting, token => ec2.DescribeInstanceTypesAsync(unknown, token), cancellation))
            {
                _types[limits.Type] = limits;
                _typesNotDescribed.Remove(limits.Type);
            }
        }
        catch (Ec2Exception refusal) when (refusal.Fault is not (Ec2Fault.Throttled or Ec2Fault.EffectUnknown))
        {
            why = Ec2Reason.Of(VpcId, Ec2Action.DescribeInstanceTypes, refusal).Text;
        }

        foreach (var type in unknown.Where(type => LimitsOf(type) is null))
        {
            var guess = InstanceLimits.Careful(type);
            _typesNotDescribed[type] = (now, $"The limits of {type} are not known, so {guess.MaxInterfaces} interfaces with {guess.AddressesPerInterface} addresses each and no prefixes are taken for them. {why}");
            LogGuessed(_typesNotDescribed[type].Why);
        }
    }

    private InstanceLimits? LimitsOf(string type) => InstanceLimits.Find(type) ?? _types.GetValueOrDefault(type);

    private async Task ReadDoubtfulSubnetsAsync(CancellationToken cancellation)
    {
        foreach (var subnetId in _subnetsToRead.ToArray())
        {
            _subnetsToRead.Remove(subnetId);
            if (_subnets.FirstOrDefault(one => one.SubnetId == subnetId) is { } subnet)
            {
                var change = await grains.GetGrain<ISubnetGrain>(subnetId).ChangeNumberAsync(); // Before the first page.
                await TellAsync(subnet, change, await PagesAsync(new Ec2InterfaceQuery { VpcId = VpcId, SubnetId = subnetId }, CallPriority.PodWaiting, cancellation));
            }
        }
    }

    /// <summary>Zone by zone: when one is impaired, the others keep working.</summary>
    private async Task SweepAsync(CancellationToken cancellation)
    {
        foreach (var zone in _subnets.GroupBy(subnet => subnet.Zone, StringComparer.Ordinal).OrderBy(zone => zone.Key, StringComparer.Ordinal))
        {
            var changes = new SortedDictionary<string, long>(StringComparer.Ordinal);
            foreach (var subnet in zone)
            {
                changes[subnet.SubnetId] = await grains.GetGrain<ISubnetGrain>(subnet.SubnetId).ChangeNumberAsync();
            }

            var interfaces = await PagesAsync(new Ec2InterfaceQuery { VpcId = VpcId, Zone = zone.Key }, CallPriority.Reconcile, cancellation);
            foreach (var subnet in zone)
            {
                await TellAsync(subnet, changes[subnet.SubnetId], [.. interfaces.Where(eni => eni.SubnetId == subnet.SubnetId)]);
            }
        }
    }

    private Task TellAsync(Ec2Subnet subnet, long startedChange, ImmutableArray<Ec2Interface> interfaces)
    {
        var used = from eni in interfaces from address in eni.Addresses.Concat(eni.Prefixes.SelectMany(prefix => prefix.Addresses)) select new UsedAddress(address, eni.EniId, eni.Attachment?.InstanceId);
        return grains.GetGrain<ISubnetGrain>(subnet.SubnetId).SweptAsync(new SubnetSweep(subnet, [.. used], startedChange));
    }

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
    private async Task<T> CallAsync<T>(Ec2Action action, CallPriority priority, Func<CancellationToken, Task<T>> call, CancellationToken cancellation)
    {
        var patience = time.GetUtcNow() + LongestPermitWait;
        while (await Quota.TakeAsync(action, priority) is var wait && wait > TimeSpan.Zero)
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

    [LoggerMessage(EventId = 2300, Level = LogLevel.Debug, Message = "{VpcId}: {InstanceId} opens a batch of looks.")]
    private partial void LogBatch(string vpcId, string instanceId);

    [LoggerMessage(EventId = 2301, Level = LogLevel.Information, Message = "Node {InstanceId} asks to be described.")]
    private partial void LogAsks(string instanceId);

    [LoggerMessage(EventId = 2302, Level = LogLevel.Warning, Message = "{VpcId}: reading EC2 failed ({Fault}): {Text}")]
    private partial void LogRefused(string vpcId, Ec2Fault fault, string text);

    [LoggerMessage(EventId = 2305, Level = LogLevel.Warning, Message = "{Why}")]
    private partial void LogGuessed(string why);

    [LoggerMessage(EventId = 2304, Level = LogLevel.Warning, Message = "{VpcId}: this activation ends: {Why}")]
    private partial void LogLost(string vpcId, string why);

    [LoggerMessage(EventId = 2303, Level = LogLevel.Warning, Message = "{VpcId}: EC2 shows no subnet in it. Check the setting Ec2:VpcId and the region.")]
    private partial void LogNoSubnets(string vpcId);
}
