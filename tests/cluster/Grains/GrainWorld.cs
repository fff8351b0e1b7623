using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Orleans.Storage;
using Orleans.TestingHost;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>The real grains on one silo, over the emulator's model and stores in memory.</summary>
public sealed class GrainWorld : IAsyncDisposable
{
    public const string VpcId = "vpc-0a";

    /// <summary>What time brings comes soon.</summary>
    public static readonly Timing Brisk = new() { WorkPeriod = TimeSpan.FromMilliseconds(50), RestPeriod = TimeSpan.FromMilliseconds(250), RoutineWindow = TimeSpan.FromMilliseconds(250) };

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(100);
    private InProcessTestCluster? _cluster;
    private int _views; // That nodes have taken in.

    private GrainWorld(PoolPolicy policy, string cidr, string secondZone, double budgetShare, Timing timing) =>
        (Book, Settings, Ec2) = (new MemoryAddressBook(Time.GetUtcNow), new ClusterSettings("test", VpcId, "1/eu-west-1", policy, timing) { BudgetShare = budgetShare }, new ModelEc2(new Vpc(new VpcDescription
        {
            VpcId = VpcId, Cidrs = ["10.0.0.0/16"],
            Subnets =
            [
                new SubnetDescription { Id = "subnet-a", Cidr = cidr, Zone = "eu-west-1a", ZoneId = "euw1-az1" },
                new SubnetDescription { Id = "subnet-b", Cidr = "10.0.16.0/24", Zone = secondZone, ZoneId = "euw1-az1" },
            ],
            SecurityGroups = [new SecurityGroupDescription { Id = "sg-1", Name = "default" }, new SecurityGroupDescription { Id = "sg-2", Name = "pods" }],
        }, TimeProvider.System, new Random(1))));

    public ClusterSettings Settings { get; }

    public ModelEc2 Ec2 { get; }

    public NodeMetrics Metrics { get; } = new();

    public MemoryAddressBook Book { get; }

    public MemoryDocuments Documents { get; } = new();

    /// <summary>Real timers, and a clock that a test sets forward: what rests has rested, without waiting.</summary>
    public ShiftedTime Time { get; } = new();

    /// <summary>What a call of this method ends with; null: as it does.</summary>
    public Func<string, Exception?>? Fails { get; set; }

    /// <summary>What nodes tell ledgers of their shares does not come.</summary>
    public bool LosesShares { get; set; }

    public IGrainFactory Grains => _cluster!.Client;

    public static async Task<GrainWorld> StartAsync(PoolPolicy policy, string cidr = "10.0.0.0/24", string secondZone = "eu-west-1a", double budgetShare = Core.Ec2Quota.TokenBucket.DefaultShare,
        Timing? timing = null)
    {
        var world = new GrainWorld(policy, cidr, secondZone, budgetShare, timing ?? Brisk);
        var builder = new InProcessTestClusterBuilder(1);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.Services.AddCoreSerializer();
            silo.Services.AddSingleton<IEc2>(world.Ec2).AddSingleton<IAddressBook>(world.Book).AddTransient(_ => new Random(1));
            silo.Services.AddKeyedSingleton<IGrainStorage>(DocumentJson.StorageName, world.Documents);
            silo.Services.AddSingleton(world.Settings).AddSingleton(world.Metrics);
            silo.Services.Replace(ServiceDescriptor.Singleton<TimeProvider>(world.Time));
            silo.AddIncomingGrainCallFilter(world.CountViewAsync);
        });
        builder.ConfigureClient(client => client.Services.AddCoreSerializer());
        world._cluster = builder.Build();
        await world._cluster.DeployAsync();
        return world;
    }

    public string Launch(string type = "m5.large") => Ec2.ByHand(vpc => vpc.Launch(new InstanceDescription { Type = type, Subnet = "subnet-a" }).Id);

    /// <summary>An executor of the node that has asked for its incarnation.</summary>
    public async Task<FakeExecutor> JoinAsync(string instanceId)
    {
        var executor = new FakeExecutor(Grains.GetGrain<INodeGrain>(instanceId));
        await executor.Node.SubscribeAsync(Grains.CreateObjectReference<INodeHints>(executor));
        await executor.SyncAsync();
        return executor;
    }

    /// <summary>Syncs on each hint, and each tenth of a second as an executor does each ten, until the orders are as wanted.</summary>
    public static Task<NodeOrders> UntilAsync(FakeExecutor executor, Func<NodeOrders, bool> wanted, string what) =>
        UntilAsync(executor, orders => Task.FromResult(wanted(orders)), what);

    /// <inheritdoc cref="UntilAsync(FakeExecutor, Func{NodeOrders, bool}, string)"/>
    public static async Task<NodeOrders> UntilAsync(FakeExecutor executor, Func<NodeOrders, Task<bool>> wanted, string what)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            if (await executor.SyncAsync() is var orders && await wanted(orders))
            {
                return orders;
            }

            await executor.Hinted.WaitAsync(Period, CancellationToken.None);
            if (patience.IsCancellationRequested)
            {
                throw new TimeoutException($"waited {Patience.TotalSeconds} s for: {what}");
            }
        }
    }

    /// <summary>Once a look that began after this call has been taken in: six minutes pass for each, and one may have been on its way.</summary>
    public async Task<NodeOrders> LookedAsync(FakeExecutor executor)
    {
        for (var looks = 0; looks < 2; looks++)
        {
            var before = Volatile.Read(ref _views);
            Time.Shift(TimeSpan.FromMinutes(6));
            await UntilAsync(executor, _ => Volatile.Read(ref _views) > before, "a look to be taken in");
        }

        return await executor.SyncAsync();
    }

    public Task<SubnetSummary> SubnetAsync(string id = "subnet-a") => Grains.GetGrain<ISubnetGrain>(id).SummarizeAsync();

    public async ValueTask DisposeAsync()
    {
        await _cluster!.StopAllSilosAsync();
        await _cluster.DisposeAsync();
        Metrics.Dispose();
    }

    private async Task CountViewAsync(IIncomingGrainCallContext call)
    {
        if (LosesShares && call.MethodName == nameof(ISubnetGrain.ShareAsync))
        {
            return;
        }

        if (Fails?.Invoke(call.MethodName) is { } failure)
        {
            throw failure;
        }

        await call.Invoke();
        if (call.MethodName == nameof(INodeGrain.DescribedAsync))
        {
            Interlocked.Increment(ref _views);
        }
    }
}

/// <summary>The system's time plus an offset.</summary>
public sealed class ShiftedTime : TimeProvider
{
    private long _offset;

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _offset));

    public void Shift(TimeSpan by) => Interlocked.Add(ref _offset, by.Ticks);
}

/// <summary>What an executor says to its node grain, by hand.</summary>
public sealed class FakeExecutor(INodeGrain node) : INodeHints
{
    private long _number;

    public INodeGrain Node => node;

    public SemaphoreSlim Hinted { get; } = new(0);

    public long Incarnation { get; set; }

    public long LeaseVersion { get; private set; }

    public SortedSet<Ip> Leased { get; } = [];

    public SortedDictionary<Ip, Claim> Claims { get; } = [];

    public List<Waiter> Waiting { get; } = [];

    /// <summary>Whether the interface's link has come to the node.</summary>
    public Func<InterfaceOrder, bool> SetsUp { get; set; } = _ => true;

    public Stamp NextStamp() => new(Incarnation, ++_number);

    public Task SyncNowAsync()
    {
        Hinted.Release();
        return Task.CompletedTask;
    }

    public Task<AssignReply> AddAsync(string sandbox, Stamp? stamp = null, params Ip[] refused) => node.AssignAsync(new AssignRequest(
        stamp ?? NextStamp(), new SandboxKey(sandbox, "eth0"), new PodName("default", sandbox, ""), [.. refused.Select(ip => new Refusal(ip, RefusalCode.Claimed, null))]));

    /// <summary>ADD and claim.</summary>
    public async Task<Ip> AddedAsync(string sandbox)
    {
        var stamp = NextStamp();
        var offered = Xunit.Assert.IsType<AssignReply.Offered>(await AddAsync(sandbox, stamp));
        Claims.Add(offered.Address, new Claim(new SandboxKey(sandbox, "eth0"), new PodName("default", sandbox, ""), offered.Address, offered.EniId, stamp, 0));
        return offered.Address;
    }

    public async Task DeletedAsync(string sandbox)
    {
        var claim = Claims.Values.Single(claim => claim.Sandbox.ContainerId == sandbox);
        Claims.Remove(claim.Address);
        await node.ReleaseAsync(new ReleaseRequest(NextStamp(), claim.Sandbox, claim.Address, 0));
    }

    public NodeReport Report()
    {
        var stamp = NextStamp();
        return new NodeReport
        {
            Stamp = Incarnation == 0 ? new Stamp(0, 0) : stamp, SettledNumber = Waiting.Select(waiter => waiter.Stamp.Number - 1).Append(stamp.Number).Min(), LeaseVersion = LeaseVersion, Leased = [.. Leased], Claims = [.. Claims.Values],
            Waiting = [.. Waiting], Freed = [], Ended = [], InterfacesSetUp = [.. _interfaces],
        };
    }

    /// <summary>Reports and obeys.</summary>
    public async Task<NodeOrders> SyncAsync(bool giveUp = true)
    {
        var orders = await node.SyncAsync(Report());
        Incarnation = orders.Incarnation;
        _interfaces = [.. orders.Interfaces.Where(one => SetsUp(one)).Select(one => one.EniId)];
        if (giveUp && orders.LeaseVersion >= LeaseVersion)
        {
            Leased.ExceptWith(orders.GiveUp.Where(ip => !Claims.ContainsKey(ip)));
        }

        if (orders.LeaseVersion > LeaseVersion)
        {
            Leased.UnionWith(orders.Lease.Select(one => one.Address).Except(orders.GiveUp));
            LeaseVersion = orders.LeaseVersion;
        }

        return orders;
    }

    private ImmutableArray<string> _interfaces = [];
}
