using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>A VPC as a test writes it down: what is there before the first call. The file of `vpc-emulator run --vpc`.</summary>
public sealed record VpcDescription
{
    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    public string Region { get; init; } = "eu-west-1";

    public string AccountId { get; init; } = "123456789012";

    public required string VpcId { get; init; }

    /// <summary>The primary one first.</summary>
    public required IReadOnlyList<string> Cidrs { get; init; }

    public required IReadOnlyList<SubnetDescription> Subnets { get; init; }

    /// <summary>The one named `default`, or else the first, is the VPC's default group.</summary>
    public required IReadOnlyList<SecurityGroupDescription> SecurityGroups { get; init; }

    /// <summary>Launched, in this order, before the first call.</summary>
    public IReadOnlyList<InstanceDescription> Instances { get; init; } = [];

    /// <summary>Seeds ids and EC2's choice of addresses.</summary>
    public int Seed { get; init; } = 1;

    public VpcTimes Times { get; init; } = new();

    /// <summary>How far readers lag behind from the start.</summary>
    public ReadLag Lag { get; init; } = ReadLag.None;

    /// <summary>How long calls take, in milliseconds, by action; `*`: any other. Half of it passes before the effect.</summary>
    public IReadOnlyDictionary<string, int> LatencyMs { get; init; } = new Dictionary<string, int>();

    /// <summary>Token buckets that differ from the documented ones, by action; `DescribeInstances.Unfiltered` names a small one.</summary>
    public IReadOnlyDictionary<string, BucketSize> Buckets { get; init; } = new Dictionary<string, BucketSize>();

    /// <summary>The account's quota of interfaces in the Region: 5,000 by default, VPC user guide.</summary>
    public int MaximumInterfaces { get; init; } = 5000;

    /// <exception cref="InvalidDataException">The file is not such a description; says where.</exception>
    public static VpcDescription Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<VpcDescription>(File.ReadAllText(path), Json)
                ?? throw new InvalidDataException($"{path}: holds `null`. Write a VPC description there.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path}: not a VPC description. {e.Message}", e);
        }
    }
}

/// <summary>A subnet, bound to one zone.</summary>
public sealed record SubnetDescription
{
    public required string Id { get; init; }

    public required string Cidr { get; init; }

    public required string Zone { get; init; }

    public required string ZoneId { get; init; }

    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>();
}

/// <summary>A security group. The emulator keeps no rules.</summary>
public sealed record SecurityGroupDescription
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>();
}

/// <summary>An instance to launch, with its primary interface.</summary>
public sealed record InstanceDescription
{
    /// <summary>Null: EC2 makes one up.</summary>
    public string? Id { get; init; }

    /// <summary>The end of its network namespace's name. Null: its tag `Name`, or else its id.</summary>
    public string? Name { get; init; }

    public required string Type { get; init; }

    /// <summary>The subnet's id.</summary>
    public required string Subnet { get; init; }

    /// <summary>The primary address. Null: EC2 picks one.</summary>
    public string? Address { get; init; }

    public IReadOnlyList<string> SecondaryAddresses { get; init; } = [];

    /// <summary>/28 blocks that its launch template gives it.</summary>
    public IReadOnlyList<string> Prefixes { get; init; } = [];

    /// <summary>What its launch template gives it beside the primary interface, in the same subnet: devices 1, 2 and so on, which die with it.</summary>
    public IReadOnlyList<FurtherInterface> FurtherInterfaces { get; init; } = [];

    /// <summary>Ids. Empty: the VPC's default group.</summary>
    public IReadOnlyList<string> SecurityGroups { get; init; } = [];

    public IReadOnlyDictionary<string, string> Tags { get; init; } = new Dictionary<string, string>();

    public InstanceRole Role { get; init; } = InstanceRole.Node;
}

/// <summary>An interface that an instance is launched with.</summary>
public sealed record FurtherInterface
{
    /// <summary>Its own address. Null: EC2 picks one.</summary>
    public string? Address { get; init; }

    public IReadOnlyList<string> SecondaryAddresses { get; init; } = [];
}

/// <summary>What an instance is for. Only one for silos can reach the EC2 API.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<InstanceRole>))]
public enum InstanceRole
{
    Node,
    Silos,
}

/// <summary>How long EC2 takes, in milliseconds, between its answer and the state that follows.</summary>
public sealed record VpcTimes
{
    /// <summary>An interface from `pending` to `available`.</summary>
    public int CreateMs { get; init; } = 500;

    /// <summary>From `attaching` to `attached`, when the instance sees the interface. Up to about 10 s on EC2.</summary>
    public int AttachMs { get; init; } = 1000;

    /// <summary>From `detaching` to gone. Usually below 10 s on EC2.</summary>
    public int DetachMs { get; init; } = 1000;

    /// <summary>From `shutting-down` to `terminated`.</summary>
    public int TerminateMs { get; init; } = 1000;

    /// <summary>From `stopping` to `stopped`.</summary>
    public int StopMs { get; init; } = 1000;

    /// <summary>From `pending` to `running`, of an instance that was stopped.</summary>
    public int StartMs { get; init; } = 1000;

    /// <summary>Each time above is longer by up to this share of it, another one each time. EC2's attaches take 1 to 10 s, its detaches 1 to 200 s.</summary>
    public int SpreadPercent { get; init; }

    /// <summary>How long a ClientToken is remembered. Not documented for interfaces; 24 h for instances.</summary>
    public int ClientTokenHours { get; init; } = 24;

    /// <summary>How long a terminated instance stays visible: about an hour, API reference.</summary>
    public int TerminatedVisibleMinutes { get; init; } = 60;
}

/// <summary>A token bucket: how many calls at once, and how many a second for ever.</summary>
public sealed record BucketSize(double Size, double RefillPerSecond);
