using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Fleet;

/// <summary>The VPC of a run: empty m5.large in three zones, whose subnets hold three interfaces of each; an attach takes 5 s.</summary>
internal static class FleetVpc
{
    public const string Id = "vpc-0123456789abcdef0";
    public const string Region = "eu-west-1";
    public const string InstanceType = "m5.large";
    public const string Cluster = "fleet";

    /// <summary>Of an m5.large, by the reference's formula: 3 interfaces of 9 addresses, and 2 pods on the host's network.</summary>
    public const int MaxPods = 29;

    public static readonly TimeSpan AttachTakes = TimeSpan.FromSeconds(5);

    public static VpcDescription Of(int nodes) => new()
    {
        VpcId = Id,
        Region = Region,
        Cidrs = ["10.0.0.0/16"],
        Subnets =
        [
            .. Enumerable.Range(0, 3).Select(n => new SubnetDescription
            {
                Id = $"subnet-0123456789abcdef{n}", Cidr = $"10.0.{n * 64}.0/18", Zone = $"{Region}{(char)('a' + n)}", ZoneId = $"euw1-az{n + 1}",
            }),
        ],
        SecurityGroups = [new() { Id = "sg-0123456789abcdef0", Name = "default" }],
        Times = new() { AttachMs = (int)AttachTakes.TotalMilliseconds },
        MaximumInterfaces = 5000,
        Instances =
        [
            .. Enumerable.Range(0, nodes).Select(n => new InstanceDescription
            {
                Id = $"i-{n + 1:x17}", Type = InstanceType, Subnet = $"subnet-0123456789abcdef{n % 3}", Tags = new Dictionary<string, string> { [$"kubernetes.io/cluster/{Cluster}"] = "owned" },
            }),
        ],
    };
}
