using System.Net;
using System.Text.Json;
using AwsVpcCni.VpcEmulator.Control;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

/// <summary>A small VPC in fake time: a /24 and a /28 in one zone, a /24 in another, and two m5.large (3 interfaces of 10 addresses).</summary>
internal sealed class TestVpc
{
    public const string Subnet = "subnet-0a";
    public const string Small = "subnet-0b";
    public const string Elsewhere = "subnet-0c";
    public const string Node = "i-01";
    public const string OtherNode = "i-02";

    public TestVpc(int seed = 1, int maximumInterfaces = 5000, int spreadPercent = 0)
    {
        Vpc = new Vpc(
            new VpcDescription
            {
                VpcId = "vpc-01",
                Cidrs = ["10.0.0.0/16"],
                Subnets =
                [
                    new() { Id = Subnet, Cidr = "10.0.1.0/24", Zone = "eu-west-1a", ZoneId = "euw1-az1" },
                    new() { Id = Small, Cidr = "10.0.2.0/28", Zone = "eu-west-1a", ZoneId = "euw1-az1" },
                    new() { Id = Elsewhere, Cidr = "10.0.3.0/24", Zone = "eu-west-1b", ZoneId = "euw1-az2" },
                ],
                SecurityGroups =
                [
                    new() { Id = "sg-01", Name = "nodes" }, new() { Id = "sg-02", Name = "default" }, new() { Id = "sg-03", Name = "c" },
                    new() { Id = "sg-04", Name = "d" }, new() { Id = "sg-05", Name = "e" }, new() { Id = "sg-06", Name = "f" },
                ],
                MaximumInterfaces = maximumInterfaces,
                Times = new() { SpreadPercent = spreadPercent },
            },
            Time,
            new Random(seed));
        Vpc.Happened += Events.Add;
        Vpc.Launch(new() { Id = Node, Type = "m5.large", Subnet = Subnet, Address = "10.0.1.10" });
        Vpc.Launch(new() { Id = OtherNode, Type = "m5.large", Subnet = Subnet, Address = "10.0.1.20" });
    }

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public Vpc Vpc { get; }

    /// <summary>Those of the launches included.</summary>
    public List<VpcEvent> Events { get; } = [];

    public Eni Primary => Vpc.EnisOf(Vpc.FindInstance(Node)!).First();

    public Eni OtherPrimary => Vpc.EnisOf(Vpc.FindInstance(OtherNode)!).First();

    public static IPAddress Ip(string address) => IPAddress.Parse(address);

    public static List<IPAddress> Ips(params string[] addresses) => [.. addresses.Select(IPAddress.Parse)];

    public static List<IPNetwork> Blocks(params string[] blocks) => [.. blocks.Select(block => IPNetwork.Parse(block))];

    /// <summary>Lets every transition come to its end.</summary>
    public void Settle()
    {
        Time.Advance(TimeSpan.FromMinutes(1));
        Vpc.Advance();
    }

    public Eni Create(string subnet = Subnet, string? primary = null, string? token = null, int count = 0) => Vpc.CreateNetworkInterface(
        new() { SubnetId = subnet, Primary = primary is null ? null : Ip(primary), ClientToken = token, SecondaryCount = count });

    /// <summary>A second interface on the node, attached.</summary>
    public Eni Attached()
    {
        var eni = Create();
        Vpc.AttachNetworkInterface(eni.Id, Node, 1);
        Settle();
        return eni;
    }

    /// <summary>All that can be seen of the VPC, as text to compare.</summary>
    public string Snapshot() => JsonSerializer.Serialize(VpcState.Of(Vpc));

    /// <summary>Asserts that the call is refused with this code and text, and has changed nothing.</summary>
    public void Refused(string code, string message, Action<Vpc> call)
    {
        var before = Snapshot();
        var refusal = Assert.Throws<Ec2Exception>(() => call(Vpc));
        Assert.Equal((code, message), (refusal.Code, refusal.Message));
        Assert.Equal(before, Snapshot());
    }
}
