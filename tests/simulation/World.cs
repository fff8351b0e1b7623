using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.Grains;
using AwsVpcCni.Tests.Simulation.Checkers;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Orleans.Serialization.Invocation;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>One seed's world: three silos, three nodes or more in two subnets, a neighbour, and everything that the shipped classes need of it.</summary>
internal sealed class World
{
    public const string ClusterName = "ours";
    public const string VpcId = "vpc-0a";
    public const string RoleTag = "kubernetes.io/role/cni";
    public const string OthersTag = "cni.networking.k8s.aws/cluster/theirs";
    private const string QuotaKey = "1/eu-west-1";
    private const int SmallestPage = 5; // Of DescribeNetworkInterfaces: a large VPC's sweep takes many pages, and goes on while nodes draw and return.
    private const string ClusterTag = "cluster.k8s.amazonaws.com/name";
    private static readonly TimeSpan BootTakes = TimeSpan.FromSeconds(20);
    private static readonly string[] Types = ["t3.small", "t3.medium", "m5.large", "t2.medium"]; // The last takes no prefixes.

    private static readonly NodeMetrics Metrics = new();

    private readonly Dictionary<SimMachine, Runtime> _runtimes = [];
    private readonly Transport _transport;
    private readonly Rival _rival;
    private readonly WorldShape? _shape;
    private readonly string? _type; // Of all machines; null: each its own.
    private TimeSpan _lagsUntil;

    /// <param name="shape">Null: the seed draws it.</param>
    public World(int seed, bool isCalm = false, Action<string>? trace = null, WorldShape? shape = null)
    {
        _shape = shape;
        Scheduler = new Scheduler(seed) { Trace = trace };
        var random = Scheduler.Random;
        Faults = new Swarm(Scheduler, isCalm);
        SettingsFile = shape?.Policy ?? Operators.Draw(random);
        var size = shape is not null ? (shape.IsOneSmallSubnet ? "24" : "22") : random.Next(3) switch { 0 => "27", 1 => "26", _ => "24" };
        Vpc = new Vpc(shape?.Vpc ?? new VpcDescription
        {
            VpcId = VpcId, Cidrs = ["10.0.0.0/16"],
            Subnets =
            [
                new SubnetDescription { Id = "subnet-a", Cidr = $"10.0.0.0/{size}", Zone = "eu-west-1a", ZoneId = "euw1-az1" },
                new SubnetDescription { Id = "subnet-b", Cidr = shape is null ? $"10.0.1.0/{size}" : $"10.0.4.0/{size}", Zone = "eu-west-1b", ZoneId = "euw1-az2" },
                new SubnetDescription { Id = "subnet-c", Cidr = "10.0.8.0/26", Zone = "eu-west-1a", ZoneId = "euw1-az1" },
            ],
            SecurityGroups = [new SecurityGroupDescription { Id = "sg-1", Name = "default" }, new SecurityGroupDescription { Id = "sg-2", Name = "pods" }],
            Times = shape?.Times ?? new VpcTimes(),
        }, new WorldClock(Scheduler), new Random(random.Next()));
        Ec2 = new ModelEc2(Vpc) { NewerType = shape is null && random.Next(4) == 0 ? "m9.large" : null, PageSize = shape is null ? SmallestPage : null };
        _type = shape?.InstanceType ?? (Ec2.NewerType is null ? null : Types[random.Next(Types.Length)]);
        _rival = new Rival(Scheduler, Faults, Vpc);
        Loose = new LooseInterfaces(Faults, Vpc, Forgotten);
        Neighbour = new Neighbour(Vpc, "theirs", new Random(random.Next()));
        if (shape is null)
        {
            Neighbour.Launch(new InstanceDescription { Type = "t3.small", Subnet = "subnet-a" });
        }

        Invariants = new Invariants(this);
        Ledgers = new Ledgers(this);
        Histories = new Histories(this);
        SwitchedOff = new SwitchedOff(this);
        Store = new SimStore(Scheduler, Faults) { Written = shape?.Vpc is null ? Written : null, Released = Invariants.RowEnded };
        Throttle = shape?.Vpc is { } own ? new Throttle(new WorldClock(Scheduler), own.Buckets) : null;
        Vpc.Happened += _ => Invariants.Changed();
        for (var n = 0; n < 3; n++)
        {
            Silos.Add(new SiloNode(Scheduler, $"silo-{n}", new WallClock { Offset = TimeSpan.FromSeconds(random.Next(-2, 3)) }, () => SettingsFile));
        }

        _transport = new Transport(Scheduler, Faults, Silos, Create);
        Codecs.Running = _transport;
        Scheduler.AfterStep = shape?.Vpc is null ? Invariants.Look : null;
        Silos.ForEach(StartSilo);
    }

    public Scheduler Scheduler { get; }

    public Swarm Faults { get; }

    /// <summary>The section <c>Pool</c> of the silos' settings, as the file has it now.</summary>
    public PoolOptions SettingsFile { get; set; }

    /// <summary>The same in every policy here.</summary>
    public TimeSpan Cooldown => SettingsFile.Cooldown;

    /// <summary>What this node should hold, as operators and settings have it now.</summary>
    public PoolPolicy PolicyOf(string instanceId)
    {
        var document = DocumentOf<ClusterDocument>("cluster", ClusterName);
        return document?.Nodes.GetValueOrDefault(instanceId) ?? document?.Pool ?? SettingsFile.ToPolicy();
    }

    public Vpc Vpc { get; }

    public ModelEc2 Ec2 { get; }

    /// <summary>EC2's buckets; null: it has none.</summary>
    public Throttle? Throttle { get; }

    /// <summary>Calls that they have refused.</summary>
    public int Throttled { get; private set; }

    public LooseInterfaces Loose { get; }

    /// <summary>Another cluster with a node in our first subnet.</summary>
    public Neighbour Neighbour { get; }

    public SimStore Store { get; }

    public Invariants Invariants { get; }

    public Ledgers Ledgers { get; }

    public Histories Histories { get; }

    public SwitchedOff SwitchedOff { get; }

    public Transport Transport => _transport;

    public List<SiloNode> Silos { get; } = [];

    public List<SimMachine> Machines { get; } = [];

    /// <summary>By hand put on an interface of ours.</summary>
    public HashSet<Ip> AddedByHands { get; } = [];

    /// <summary>Instances, or all for the empty id, whose provisioning was left to somebody else for a while.</summary>
    public HashSet<string> LeftToHands { get; } = new(StringComparer.Ordinal);

    /// <summary>Interfaces of ours that a store which went back does not know: no silo looks for such yet.</summary>
    public HashSet<string> Forgotten { get; } = new(StringComparer.Ordinal);

    /// <summary>The store has gone back. What it does not know any more is forgotten, but for what an executor's lease says.</summary>
    public void Restored()
    {
        Invariants.Restored();
        Ledgers.Restored();
        SwitchedOff.Restored();
        Forgotten.UnionWith(Vpc.Enis.Where(eni => IsOurs(eni) && eni.Attachment is null).Select(eni => eni.Id));
        foreach (var machine in Machines.Where(one => !one.IsGone))
        {
            // When the node is no newer than the document, nothing shows that this one is old: a draw and an interface of its last seconds are as
            // if hands had added them.
            var document = DocumentOf<NodeDocument>("node", machine.InstanceId) ?? new NodeDocument();
            var lease = machine.LeaseOnDisk();
            foreach (var eni in Vpc.EnisOf(Vpc.FindInstance(machine.InstanceId)!))
            {
                if (IsOurs(eni) && document.Eni(eni.Id) is null)
                {
                    Forgotten.Add(eni.Id);
                }

                AddedByHands.UnionWith(eni.Delivered.Skip(1).Select(Ip.From).Where(address => lease?.Slots.ContainsKey(address) != true && !document.Holds(new Core.Addressing.Block(address))));
            }
        }
    }

    public T? DocumentOf<T>(string name, string key)
        where T : class => Store.Documents.Read(name, GrainId.Create(name, key)).Json is { } json ? JsonSerializer.Deserialize<T>(json, DocumentJson.Options) : null;

    /// <summary>Whether what hands have put on its interfaces may be the instance's since.</summary>
    public bool WereHandsTakenIn(string instanceId) => LeftToHands.Contains("") || LeftToHands.Contains(instanceId);

    /// <summary>What operators have switched off, as it is stored.</summary>
    public ImmutableArray<OperatorSwitch> Switches => DocumentOf<ClusterDocument>("cluster", ClusterName)?.Switches ?? [];

    /// <summary>ADDs and DELs so far.</summary>
    public int PodEvents { get; private set; }

    public Runtime RuntimeOf(SimMachine machine) => _runtimes[machine];

    /// <summary>In a dry subnet EC2 launches nothing.</summary>
    public void TryLaunch()
    {
        try
        {
            Launch();
        }
        catch (Ec2Exception)
        {
            // Fewer nodes from here on; two are left at least.
        }
    }

    public SimMachine Launch()
    {
        var random = Scheduler.Random;
        var type = _type ?? Types[random.Next(Types.Length)];
        var instance = Vpc.Launch(_shape?.Vpc?.Instances[Machines.Count] ?? new InstanceDescription { Type = type, Subnet = Machines.Count % 2 == 0 || _shape is { IsOneSmallSubnet: true } ? "subnet-a" : "subnet-b" });
        if (_shape is null && random.Next(4) == 0)
        {
            MadeByHands.Add(AttachByHand(instance));
        }

        var machine = new SimMachine(Scheduler, Faults, instance.Id);
        machine.Wall.Offset = TimeSpan.FromSeconds(random.Next(-5, 6));
        machine.Kernel.Wired = (sandbox, address, _) =>
        {
            Invariants.Wired(machine, sandbox, address);
            Histories.Wired(machine, sandbox, address);
        };
        machine.Kernel.Gone = address =>
        {
            Invariants.LinkGone(address);
            Histories.LinkGone(machine, address);
        };
        Machines.Add(machine);
        Scheduler.After(_shape is not null ? TimeSpan.Zero : Scheduler.Between(TimeSpan.Zero, BootTakes), () => StartExecutor(machine));
        _runtimes[machine] = new Runtime(Scheduler, Faults, machine, _shape is not null ? 0 : random.Next(3, type == "t3.small" ? 8 : 12), () => PodEvents++);
        return machine;
    }

    /// <summary>Nobody's tag is on it: whose it is, MANAGE_UNTAGGED_ENI says.</summary>
    private string AttachByHand(Instance instance)
    {
        var eni = Vpc.CreateNetworkInterface(new CreateEni { SubnetId = instance.Subnet.Id, SecondaryCount = Scheduler.Random.Next(3) });
        Vpc.AttachNetworkInterface(eni.Id, instance.Id, 1);
        return eni.Id;
    }

    public void StartExecutor(SimMachine machine) => machine.StartExecutor(_transport, Silos, FindEniNow, new SimLog<SimMachine>(Scheduler));

    /// <summary>As the instance sees it: attached as soon as EC2 is through with it, not only when somebody calls EC2 again.</summary>
    private Eni? FindEniNow(string eniId)
    {
        Vpc.Advance();
        return Vpc.FindEni(eniId);
    }

    /// <summary>A machine starts anew; its executor does so a little later.</summary>
    public void Reboot(SimMachine machine, bool cutsPower)
    {
        Histories.Stopped(machine);
        machine.Reboot(cutsPower);
        _runtimes[machine] = new Runtime(_runtimes[machine]);
        Scheduler.After(Scheduler.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30)), () => StartExecutor(machine));
    }

    /// <summary>EC2's readers lag behind from now on, for a while.</summary>
    public void LagReaders()
    {
        // Up to 2 s is usual, minutes are possible (ec2.md 11): what is not shown for a minute is taken for gone.
        Vpc.Lag = new ReadLag { NewInterfaceMs = Scheduler.Random.Next(5001), DescribeMs = Scheduler.Random.Next(3) == 0 ? 30_000 : 2000 };
        var until = Scheduler.Now + Scheduler.Between(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(90));
        (_lagsUntil, LooksTrueAt) = (until, TimeSpan.MaxValue);
        Scheduler.After(until - Scheduler.Now, () =>
        {
            if (_lagsUntil == until)
            {
                EndLag();
            }
        });
    }

    public void EndLag()
    {
        if (Vpc.Lag != ReadLag.None)
        {
            (Vpc.Lag, LooksTrueAt) = (ReadLag.None, Scheduler.Now + TimeSpan.FromSeconds(60)); // A look that began before may come late.
        }
    }

    /// <summary>From when on a look that arrives shows what is; MaxValue: readers lag.</summary>
    public TimeSpan LooksTrueAt { get; private set; }

    public void StartSilo(SiloNode silo) => silo.Start(file => new ClusterSettings(ClusterName, VpcId, QuotaKey, file.ToPolicy(),
        new Timing { ReservationLapse = TimeSpan.FromMinutes(10), LeakedAfter = TimeSpan.FromMinutes(1) }) { BudgetShare = _shape?.BudgetShare ?? Core.Ec2Quota.TokenBucket.DefaultShare, Switches = OperatorSwitches.NotRead }); // A lost settlement keeps names aside so long; effects here come within half a minute, and what leaks is to be deleted while things still go wrong.

    /// <summary>Ids of interfaces without tags that were attached when their instance came.</summary>
    public HashSet<string> MadeByHands { get; } = new(StringComparer.Ordinal);

    /// <summary>Someone else's: not made by us, no node's primary interface, and none that we may manage.</summary>
    public bool IsForeign(Eni eni) => !IsOurs(eni) && !MadeByHands.Contains(eni.Id) && !(eni.Attachment is { DeviceIndex: 0 } attachment && Machines.Exists(machine => machine.InstanceId == attachment.Instance.Id));

    public static bool IsOurs(Eni eni) => eni.Tags.GetValueOrDefault(ClusterTag) == ClusterName;

    /// <summary>A pod whose link a successor of the same name has taken, or whose namespace somebody has removed.</summary>
    public static bool MayLackLink(SimMachine machine, string pod) => machine.Kernel.Links.Any(link => link.Pod == $"default/{pod}");

    /// <summary>What instances held when they were lost. The ledger keeps it from being named until the silos know that they are gone.</summary>
    public HashSet<Ip> HeldByLost { get; } = [];

    /// <summary>How many of a subnet's addresses may be named, and whether a /28 of it may.</summary>
    public (int Addresses, bool Prefixes) RoomIn(string subnetId)
    {
        var subnet = Vpc.FindSubnet(subnetId)!;
        var kept = Invariants.TakenByHands.Where(address => subnet.Cidr.Contains(address.ToIPAddress()) && subnet.HolderOf(address.ToIPAddress()) is null).ToHashSet();
        var cidr = Cidr.Parse(subnet.Cidr.ToString());
        return (subnet.AvailableIpAddressCount - kept.Count,
            !AddressNamer.ChoosePrefixes(cidr, offset => subnet.HolderOf((cidr.Base + offset).ToIPAddress()) is not null || kept.Contains(cidr.Base + offset), 1).IsEmpty);
    }

    private void Written(string key, object document, IInvokable? request)
    {
        switch (document)
        {
            case ClusterDocument cluster: SwitchedOff.Stored(cluster); break;
            case NodeDocument node: Invariants.Stored(key, node); break;
            case SubnetDocument subnet: Ledgers.Stored(key, subnet, request?.GetArgumentCount() == 1 ? request.GetArgument(0) as SubnetSweep : null); break;
            default: break;
        }
    }

    private IGrainBase Create(Activation activation)
    {
        var store = Store;
        var ec2 = new SimEc2(Scheduler, Faults, Ec2, _rival, Invariants, _shape?.LatencyOf)
        {
            Throttle = Throttle, Throttled = () => Throttled++, Deleting = Loose.Deleting,
            Begins = (action, target, subnet) =>
            {
                SwitchedOff.Begins(activation, action, target, subnet);
                Invariants.Begins(activation, action, target);
            },
        };
        var grains = new Factory();
        return activation.GrainId.Type.ToString() switch
        {
            "node" => new NodeGrain(activation, new PersistentState<NodeDocument>(store, activation, "node"), store.BookOf(), ec2, grains, activation.Silo.Settings, activation.Clock,
                new Random(Scheduler.Random.Next()), Metrics, new SimLog<NodeGrain>(Scheduler)),
            "subnet" => new SubnetGrain(activation, new PersistentState<SubnetDocument>(store, activation, "subnet"), new PersistentState<SubnetUsage>(store, activation, "subnet-usage"), grains, activation.Silo.Settings, activation.Clock, new SimLog<SubnetGrain>(Scheduler)),
            "vpc" => new VpcGrain(activation, new PersistentState<VpcDocument>(store, activation, "vpc"), ec2, grains, activation.Silo.Settings, activation.Clock, new SimLog<VpcGrain>(Scheduler)),
            "quota" => new Ec2QuotaGrain(activation, new PersistentState<QuotaDocument>(store, activation, "quota"), activation.Silo.Settings, activation.Clock, new SimLog<Ec2QuotaGrain>(Scheduler)),
            "cluster" => new ClusterGrain(activation, new PersistentState<ClusterDocument>(store, activation, "cluster"), activation.Silo.Settings, activation.Clock, new SimLog<ClusterGrain>(Scheduler)),
            "history" => new AddressHistoryGrain(activation, store.BookOf(), grains),
            var other => throw new InvalidOperationException($"no grain is of the type {other}"),
        };
    }

    /// <summary>EC2's own clock is right.</summary>
    private sealed class WorldClock(Scheduler scheduler) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => WallClock.Begin + scheduler.Now;
    }
}
