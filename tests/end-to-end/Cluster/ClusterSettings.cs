using System.Collections.Immutable;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>What a test's cluster looks like; the defaults are two nodes and a silo in one subnet.</summary>
/// <param name="Name">Of the work folder, and the prefix of the namespaces: lower-case letters and digits, the same in each run.</param>
internal sealed record ClusterSettings(string Name)
{
    public const string VpcId = "vpc-0a1b2c3d4e5f60718";
    public const string SubnetId = "subnet-0a1b2c3d4e5f60718";
    public const string ClusterName = "end-to-end";
    public const string SiloAddress = "10.20.1.10";

    /// <summary>Names of nodes; each is the end of a namespace's name too.</summary>
    public ImmutableArray<string> Nodes { get; init; } = ["nodea", "nodeb"];

    /// <summary>Whose limits hold: an m5.large has 3 interfaces of 10 addresses.</summary>
    public string InstanceType { get; init; } = "m5.large";

    public string SubnetCidr { get; init; } = "10.20.1.0/24";

    /// <summary>Over the silo's other settings: <c>Pool__WarmIps</c> and the like.</summary>
    public ImmutableDictionary<string, string> Silo { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Over the executors' other settings: <c>AWS_VPC_CNI_LOG_LEVEL</c> and the like.</summary>
    public ImmutableDictionary<string, string> Executor { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>An instance id that says which node it is.</summary>
    public static string InstanceIdOf(int node) => $"i-0a1b2c3d4e5f6{node:x4}";

    /// <summary>The VPC as the emulator reads it.</summary>
    public VpcDescription Vpc() => new()
    {
        VpcId = VpcId,
        Cidrs = ["10.20.0.0/16"],
        Subnets = [new SubnetDescription { Id = SubnetId, Cidr = SubnetCidr, Zone = "eu-west-1a", ZoneId = "euw1-az1" }],
        SecurityGroups = [new SecurityGroupDescription { Id = "sg-0a1b2c3d4e5f60718", Name = "default" }],
        Instances =
        [
            new InstanceDescription { Id = InstanceIdOf(0xffff), Name = "silos", Type = "m5.large", Subnet = SubnetId, Address = SiloAddress, Role = InstanceRole.Silos },
            .. Nodes.Select((name, index) => new InstanceDescription { Id = InstanceIdOf(index), Name = name, Type = InstanceType, Subnet = SubnetId }),
        ],
    };
}
