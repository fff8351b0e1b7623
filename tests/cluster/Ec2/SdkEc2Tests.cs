using Amazon.EC2;
using Amazon.Runtime;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Silo.Ec2;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Cluster.VpcEmulator;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;
using Ec2Exception = AwsVpcCni.Grains.Ec2.Ec2Exception;

namespace AwsVpcCni.Tests.Cluster.Ec2;

/// <summary>The product's EC2 client with its own settings, against an EC2 API on a socket.</summary>
public sealed class SdkEc2Tests
{
    [Fact]
    public async Task A_connection_cut_in_the_middle_of_an_answer_is_one_post_and_an_unknown_effect()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        vpc.Emulator.Add(new Fault { Action = "AssignPrivateIpAddresses", Cut = true, Moment = FaultMoment.AfterEffect });
        var eni = vpc.PrimaryOf(Node);

        var refusal = await Assert.ThrowsAsync<Ec2Exception>(() => Ec2Of(vpc).AssignAsync(eni, [new(Ip.Parse("10.0.1.60"))], Cancellation));

        Assert.Equal((Ec2Fault.EffectUnknown, ""), (refusal.Fault, refusal.Code));
        Assert.Contains($"AssignPrivateIpAddresses {eni} 10.0.1.60", refusal.Message, StringComparison.Ordinal);
        var post = Assert.Single(vpc.Emulator.Calls.Entries());
        Assert.Equal(("AssignPrivateIpAddresses", true), (post.Action, post.Cut));
    }

    [Theory]
    [InlineData("InternalError", Ec2Fault.EffectUnknown)]
    [InlineData("RequestLimitExceeded", Ec2Fault.Throttled)]
    [InlineData("UnauthorizedOperation", Ec2Fault.NotAuthorized)]
    public async Task A_refusal_is_one_post_and_named(string code, Ec2Fault fault)
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        vpc.Emulator.Add(new Fault { Action = "*", Code = code });

        var refusal = await Assert.ThrowsAsync<Ec2Exception>(() => Ec2Of(vpc).DescribeSubnetsAsync("vpc-01", Cancellation));

        Assert.Equal((fault, code), (refusal.Fault, refusal.Code));
        Assert.Single(vpc.Emulator.Calls.Entries());
    }

    [Fact]
    public async Task Without_an_endpoint_the_effect_is_unknown_and_without_credentials_nothing_is_sent()
    {
        var nobody = new SdkEc2(() => new AmazonEC2Client(new BasicAWSCredentials("x", "y"), Ec2Setup.Config(new Ec2Options { Region = "eu-west-1", Endpoint = "http://127.0.0.1:9" }, new Timing())));
        Assert.Equal(Ec2Fault.EffectUnknown, (await Assert.ThrowsAsync<Ec2Exception>(() => nobody.DescribeSubnetsAsync("vpc-01", Cancellation))).Fault);

        var poor = new SdkEc2(() => throw new AmazonClientException("Failed to resolve AWS credentials."));
        Assert.Equal(Ec2Fault.Credentials, (await Assert.ThrowsAsync<Ec2Exception>(() => poor.DescribeSubnetsAsync("vpc-01", Cancellation))).Fault);
    }

    [Fact]
    public async Task A_caller_that_gives_up_is_told_so_and_nothing_else()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        using var givenUp = new CancellationTokenSource();
        await givenUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Ec2Of(vpc).DescribeSubnetsAsync("vpc-01", givenUp.Token));
    }

    [Fact]
    public async Task Instances_are_described_by_filter_so_that_an_unknown_one_is_absent()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);

        var instance = Assert.Single(await Ec2Of(vpc).DescribeInstancesAsync([Node, "i-0ffffffffffffffff"], Cancellation));

        Assert.Equal((Node, "m5.large", "running", "eu-west-1a", "vpc-01", SubnetIdA), (instance.InstanceId, instance.InstanceType, instance.State, instance.Zone, instance.VpcId, instance.SubnetId));
        var call = Assert.Single(vpc.Emulator.Calls.Entries());
        Assert.Equal([Node, "i-0ffffffffffffffff"], call.Filters["instance-id"]);
        Assert.Equal("1000", call.Parameters["MaxResults"]);
    }

    [Fact]
    public async Task An_interface_is_shown_with_its_primary_address_first()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);

        var page = await Ec2Of(vpc).DescribeInterfacesAsync(new Ec2InterfaceQuery { VpcId = "vpc-01", Zone = "eu-west-1a", InstanceIds = [Node] }, null, Cancellation);

        Assert.Null(page.NextToken);
        var shown = Assert.Single(page.Interfaces);
        Assert.Equal(vpc.PrimaryOf(Node), shown.EniId);
        Assert.Equal(["10.0.1.10", "10.0.1.11"], shown.Addresses.Select(address => address.ToString()));
        Assert.Equal((SubnetIdA, "in-use", Node, 0, "attached"), (shown.SubnetId, shown.Status, shown.Attachment!.InstanceId, shown.Attachment.DeviceIndex, shown.Attachment.Status));
    }

    [Fact]
    public async Task Subnets_types_and_unknown_types_are_read()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        var ec2 = Ec2Of(vpc);

        var subnets = await ec2.DescribeSubnetsAsync("vpc-01", Cancellation);
        Assert.Equal([SubnetIdA, "subnet-0b"], subnets.Select(subnet => subnet.SubnetId).Order());
        Assert.Equal("1", subnets.Single(subnet => subnet.SubnetId == SubnetIdA).Tags["kubernetes.io/role/cni"]);
        var (types, next, empty) = (new List<InstanceLimits>(), (string?)null, 0);
        do
        {
            (var page, next) = await ec2.DescribeInstanceTypesAsync(["m5.large", "x99.huge", "p4d.24xlarge"], next, Cancellation);
            types.AddRange(page);
            empty += page.IsEmpty && next is not null ? 1 : 0;
        }
        while (next is not null);
        Assert.Equivalent(new[] { InstanceLimits.Find("m5.large"), InstanceLimits.Find("p4d.24xlarge") }, types, strict: true);
        Assert.NotEqual(0, empty); // As EC2 does it: the end is where it gives no token.
    }

    [Fact]
    public async Task Addresses_are_drawn_by_name_by_count_and_returned()
    {
        await using var vpc = await StartAsync(policy: Repository.Ec2Policy);
        var (ec2, eni) = (Ec2Of(vpc), vpc.PrimaryOf(Node));

        await ec2.AssignAsync(eni, [new(Ip.Parse("10.0.1.60")), new(Ip.Parse("10.0.1.61"))], Cancellation);
        var counted = Assert.Single(await ec2.AssignCountedAsync(eni, 1, prefixes: false, Cancellation));
        Assert.Equivalent(new[] { "10.0.1.10", "10.0.1.11", "10.0.1.60", "10.0.1.61", counted.ToString() }, vpc.AddressesOf(eni), strict: true);

        await ec2.UnassignAsync(eni, [new(Ip.Parse("10.0.1.60"))], Cancellation);
        var again = await Assert.ThrowsAsync<Ec2Exception>(() => ec2.UnassignAsync(eni, [new(Ip.Parse("10.0.1.60"))], Cancellation));
        var taken = await Assert.ThrowsAsync<Ec2Exception>(() => ec2.AssignAsync(vpc.PrimaryOf("i-02"), [new(Ip.Parse("10.0.1.61"))], Cancellation));
        Assert.Equal((Ec2Fault.AlreadySo, Ec2Fault.AddressTaken), (again.Fault, taken.Fault));
        Assert.Equal("false", vpc.Emulator.Calls.Entries()[0].Parameters["AllowReassignment"]);
    }

    internal static SdkEc2 Ec2Of(RunningVpc vpc) => new(() => new AmazonEC2Client(
        new BasicAWSCredentials(RunningVpc.Cluster, "y"), Ec2Setup.Config(new Ec2Options { Region = "eu-west-1", Endpoint = vpc.Emulator.Endpoint.ToString() }, new Timing())));
}
