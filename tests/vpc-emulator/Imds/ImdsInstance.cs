using System.Net;

namespace AwsVpcCni.VpcEmulator.Imds;

/// <summary>What the metadata service says of one instance at one moment.</summary>
public sealed record ImdsInstance
{
    public required string InstanceId { get; init; }

    public required string InstanceType { get; init; }

    public required string AccountId { get; init; }

    public required string Region { get; init; }

    public required string AvailabilityZone { get; init; }

    public required string AvailabilityZoneId { get; init; }

    /// <summary>The image that the instance was launched from.</summary>
    public string ImageId { get; init; } = "ami-00000000000000001";

    /// <summary>As EC2 writes it: x86_64 or arm64.</summary>
    public string Architecture { get; init; } = "x86_64";

    /// <summary>When the instance was launched, UTC.</summary>
    public DateTimeOffset PendingTime { get; init; }

    /// <summary>False: the service is switched off for this instance, and answers 403.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>The attached interfaces; device 0 of card 0 is the primary one.</summary>
    public required IReadOnlyList<ImdsInterface> Interfaces { get; init; }
}

/// <summary>One attached interface as the metadata service shows it.</summary>
public sealed record ImdsInterface
{
    /// <summary>Lower case with colons.</summary>
    public required string Mac { get; init; }

    public required string EniId { get; init; }

    public required int DeviceNumber { get; init; }

    public int NetworkCard { get; init; }

    public required string OwnerId { get; init; }

    public required string SubnetId { get; init; }

    public required IPNetwork SubnetCidr { get; init; }

    public required string VpcId { get; init; }

    /// <summary>The VPC's primary CIDR first.</summary>
    public required IReadOnlyList<IPNetwork> VpcCidrs { get; init; }

    public required IReadOnlyList<string> SecurityGroupIds { get; init; }

    /// <summary>The primary address first.</summary>
    public required IReadOnlyList<IPAddress> LocalIpv4s { get; init; }

    /// <summary>False: it has just come; its MAC address is listed, but all below is 404 yet.</summary>
    public bool IsWhole { get; init; } = true;

    /// <summary>Delegated /28 blocks. Empty: their key is absent.</summary>
    public IReadOnlyList<IPNetwork> Ipv4Prefixes { get; init; } = [];
}
