using System.Collections.Immutable;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>What a test's cluster looks like; the defaults are two nodes and a silo in one subnet.</summary>
/// <param name="Name">Of the work folder, and the prefix of the namespaces: lower-case letters and digits, the same in each run.</param>
internal sealed record ClusterSettings(string Name)
{
    public const string VpcId = "vpc-0a1b2c3d4e5f60718";
    public const string SubnetId = "subnet-0a1b2c3d4e5f60718";
    public const string PodSubnetId = "subnet-0b1b2c3d4e5f60718";
    public const string PodGroup = "sg-0b1b2c3d4e5f60718";

    /// <summary>Tells clusters in one VPC apart: in the cluster's name, in what its silo is called and where it is, and in instance ids.</summary>
    public int Number { get; init; }

    /// <summary>Another cluster in the same VPC and subnet, with a silo and nodes of its own, and another number.</summary>
    public ClusterSettings? Neighbour { get; init; }

    /// <summary>Runs when the silos are there and before a node joins.</summary>
    public Func<EmulatorProcess, Task>? BeforeJoins { get; init; }

    /// <summary>CLUSTER_NAME; the silo's access key too, so that the emulator's log tells callers apart.</summary>
    public string ClusterName { get => field ?? (Number == 0 ? "end-to-end" : $"end-to-end-{Number}"); init; }

    /// <summary>Of the silo's files; with an s, the end of its namespace's name.</summary>
    public string SiloName => Number == 0 ? "silo" : $"silo{Number}";

    public string SiloAddress => $"10.20.1.{10 + Number}";

    /// <summary>Names of nodes; each is the end of a namespace's name too.</summary>
    public ImmutableArray<string> Nodes { get; init; } = ["nodea", "nodeb"];

    /// <summary>Whose limits hold: an m5.large has 3 interfaces of 10 addresses.</summary>
    public string InstanceType { get; init; } = "m5.large";

    /// <summary>By name, for nodes of another type.</summary>
    public ImmutableDictionary<string, string> InstanceTypes { get; init; } = ImmutableDictionary<string, string>.Empty;

    public string SubnetCidr { get; init; } = "10.20.1.0/24";

    /// <summary>Of a second CIDR of the VPC, with <see cref="PodSubnetId"/> and <see cref="PodGroup"/>; null: there is none.</summary>
    public string? PodSubnetCidr { get; init; }

    /// <summary>Over the silo's other settings: <c>Pool__WarmIps</c> and the like.</summary>
    public ImmutableDictionary<string, string> Silo { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The silo's appsettings.json, for tests that change it; null: the one that is shipped.</summary>
    public string? SiloFile { get; init; }

    /// <summary>Debian's CNI plugins that lie beside ours on each node.</summary>
    public ImmutableArray<string> Plugins { get; init; } = [];

    /// <summary>Where the nodes' containerd is; null: Debian's own.</summary>
    public string? Containerd { get; init; }

    /// <summary>Over the executors' other settings: <c>AWS_VPC_CNI_LOG_LEVEL</c> and the like.</summary>
    public ImmutableDictionary<string, string> Executor { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The executors are containers of the image that scripts/images.sh makes.</summary>
    public bool ExecutorsInContainers { get; init; }

    /// <summary>So many of the first nodes are also where silos are, and so EC2 is to be reached from them; 0: there is an instance for silos alone.</summary>
    public int NodesWithSilos { get; init; }

    /// <summary>An instance id that says which node it is.</summary>
    public string InstanceIdOf(int node) => $"i-0a1b2c3d4e5f{6 + Number}{node:x4}";

    /// <summary>The VPC as the emulator reads it.</summary>
    public VpcDescription Vpc() => new()
    {
        VpcId = VpcId,
        Cidrs = ["10.20.0.0/16", .. PodSubnetCidr is { } more ? (string[])[more] : []],
        Subnets =
        [
            new SubnetDescription { Id = SubnetId, Cidr = SubnetCidr, Zone = "eu-west-1a", ZoneId = "euw1-az1" },
            .. PodSubnetCidr is { } cidr ? (SubnetDescription[])[new SubnetDescription { Id = PodSubnetId, Cidr = cidr, Zone = "eu-west-1a", ZoneId = "euw1-az1" }] : [],
        ],
        SecurityGroups = [new SecurityGroupDescription { Id = "sg-0a1b2c3d4e5f60718", Name = "default" }, new SecurityGroupDescription { Id = PodGroup, Name = "pods" }],
        Instances = [.. Instances(), .. Neighbour?.Instances() ?? []],
    };

    private IEnumerable<InstanceDescription> Instances() =>
    [
        .. NodesWithSilos > 0 ? Array.Empty<InstanceDescription>() : [new InstanceDescription { Id = InstanceIdOf(0xffff), Name = SiloName + "s", Type = "m5.large", Subnet = SubnetId, Address = SiloAddress, Role = InstanceRole.Silos }],
        .. Nodes.Select((name, index) => new InstanceDescription
        {
            Id = InstanceIdOf(index), Name = name, Type = InstanceTypes.GetValueOrDefault(name, InstanceType), Subnet = SubnetId, Role = index < NodesWithSilos ? InstanceRole.Silos : InstanceRole.Node,
            Tags = new Dictionary<string, string> { [$"kubernetes.io/cluster/{ClusterName}"] = "owned" }, // docs/iam/ec2.json knows nodes by it.
        }),
    ];
}
