using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>A large VPC: m5.xlarge in twelve subnets of three zones, each with as many secondary addresses as it will run pods, given by its launch template on as
/// many interfaces as they need.</summary>
internal static class HeldVpc
{
    private const string Type = "m5.xlarge";
    private const int OfAnInterface = 14; // Of an m5.xlarge, besides its own address.
    private const int Subnets = 12;
    private const int SubnetSize = 1 << 14;
    private const int KeptByAws = 4; // At a subnet's start.

    /// <summary>Of all nodes, so much is in a subnet: EC2 picks a primary address, which must not be one of those named here.</summary>
    private static int PrimariesOf(int nodes, int interfaces) => ((nodes / Subnets) + 1) * interfaces;

    public static VpcDescription Of(int nodes, int pods)
    {
        var interfaces = (pods + OfAnInterface - 1) / OfAnInterface;
        return new()
        {
            VpcId = FleetVpc.Id,
            Region = FleetVpc.Region,
            Cidrs = [.. Enumerable.Range(0, Subnets / 4).Select(n => $"10.{n}.0.0/16")],
            Subnets =
            [
                .. Enumerable.Range(0, Subnets).Select(n => new SubnetDescription
                {
                    Id = IdOf(n), Cidr = $"10.{n / 4}.{n % 4 * 64}.0/18", Zone = $"{FleetVpc.Region}{(char)('a' + (n % 3))}", ZoneId = $"euw1-az{(n % 3) + 1}",
                }),
            ],
            SecurityGroups = [new() { Id = "sg-0123456789abcdef0", Name = "default" }],
            MaximumInterfaces = nodes * interfaces,
            Instances = [.. Enumerable.Range(0, nodes).Select(n => Instance(n, nodes, pods, interfaces))],
        };
    }

    private static string IdOf(int subnet) => $"subnet-0123456789abcde{subnet:x2}";

    private static InstanceDescription Instance(int n, int nodes, int pods, int interfaces)
    {
        var (subnet, nth) = (n % Subnets, n / Subnets);
        var primary = KeptByAws + (nth * interfaces); // Each interface's own address is named, too: what EC2 picks may be one that a later node names.
        var first = KeptByAws + PrimariesOf(nodes, interfaces) + (nth * pods);
        if (first + pods >= SubnetSize)
        {
            throw new InvalidOperationException($"{nodes} nodes with {pods} addresses each do not fit into {Subnets} subnets of {SubnetSize} addresses.");
        }

        string Name(int offset) => $"10.{subnet / 4}.{(subnet % 4 * 64) + (offset / 256)}.{offset % 256}";
        var each = Enumerable.Range(first, pods).Select(Name).Chunk(OfAnInterface).ToArray();
        return new InstanceDescription
        {
            Id = $"i-{n + 1:x17}", Type = Type, Subnet = IdOf(subnet), Address = Name(primary), SecondaryAddresses = each[0],
            FurtherInterfaces = [.. each.Skip(1).Select((addresses, index) => new FurtherInterface { Address = Name(primary + index + 1), SecondaryAddresses = addresses })],
            Tags = new Dictionary<string, string> { [$"kubernetes.io/cluster/{FleetVpc.Cluster}"] = "owned" },
        };
    }
}
