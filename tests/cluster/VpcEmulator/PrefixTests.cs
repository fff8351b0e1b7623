using System.Net;
using Amazon.EC2;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;

namespace AwsVpcCni.Tests.Cluster.VpcEmulator;

/// <summary>Prefixes and CIDR reservations as the unmodified SDK asks for them and shows them.</summary>
public sealed class PrefixTests
{
    [Fact]
    public async Task Prefixes_are_created_drawn_shown_and_returned()
    {
        await using var vpc = await StartAsync();
        var created = (await vpc.Ec2.CreateNetworkInterfaceAsync(
            new() { SubnetId = SubnetIdA, Ipv4Prefixes = [new() { Ipv4Prefix = "10.0.1.32/28" }] }, Cancellation)).NetworkInterface;
        Assert.Equal("10.0.1.32/28", Assert.Single(created.Ipv4Prefixes).Ipv4Prefix);
        var eni = created.NetworkInterfaceId;
        var named = await vpc.Ec2.AssignPrivateIpAddressesAsync(new() { NetworkInterfaceId = eni, Ipv4Prefixes = ["10.0.1.64/28"] }, Cancellation);
        Assert.Equal("10.0.1.64/28", Assert.Single(named.AssignedIpv4Prefixes).Ipv4Prefix);
        var counted = await vpc.Ec2.AssignPrivateIpAddressesAsync(new() { NetworkInterfaceId = eni, Ipv4PrefixCount = 2 }, Cancellation);
        Assert.Equal(2, counted.AssignedIpv4Prefixes.Count);
        Assert.Equal(4, (await vpc.DescribeAsync(eni)).Ipv4Prefixes.Count);
        await vpc.Ec2.UnassignPrivateIpAddressesAsync(new() { NetworkInterfaceId = eni, Ipv4Prefixes = ["10.0.1.32/28"] }, Cancellation);
        Assert.Equal(["10.0.1.64/28", .. counted.AssignedIpv4Prefixes.Select(one => one.Ipv4Prefix)],
            (await vpc.DescribeAsync(eni)).Ipv4Prefixes.Select(one => one.Ipv4Prefix));
        Assert.Null((await vpc.DescribeAsync(vpc.PrimaryOf(Node))).Ipv4Prefixes); // Empty sets are left out.
    }

    [Fact]
    public async Task An_instance_shows_its_prefixes()
    {
        await using var vpc = await StartAsync();
        await vpc.Ec2.AssignPrivateIpAddressesAsync(new() { NetworkInterfaceId = vpc.PrimaryOf(Node), Ipv4Prefixes = ["10.0.1.64/28"] }, Cancellation);
        var shown = await vpc.Ec2.DescribeInstancesAsync(new() { InstanceIds = [Node] }, Cancellation);
        Assert.Equal("10.0.1.64/28", Assert.Single(shown.Reservations[0].Instances[0].NetworkInterfaces[0].Ipv4Prefixes).Ipv4Prefix);
    }

    [Fact]
    public async Task Wrong_and_impossible_prefixes_are_refused()
    {
        await using var vpc = await StartAsync();
        var eni = vpc.PrimaryOf(Node);
        Task Refused(string code, Func<AmazonEC2Client, Task> call) => vpc.RefusedAsync(code, HttpStatusCode.BadRequest, call);
        await Refused("InvalidParameterValue", ec2 => ec2.AssignPrivateIpAddressesAsync(new() { NetworkInterfaceId = eni, Ipv4Prefixes = ["10.0.1.40/28"] }, Cancellation));
        await Refused("InvalidParameterCombination", ec2 => ec2.AssignPrivateIpAddressesAsync(
            new() { NetworkInterfaceId = eni, Ipv4PrefixCount = 1, SecondaryPrivateIpAddressCount = 1 }, Cancellation));
        await Refused("InvalidParameterCombination", ec2 => ec2.CreateNetworkInterfaceAsync(
            new() { SubnetId = SubnetIdA, Ipv4PrefixCount = 1, Ipv4Prefixes = [new() { Ipv4Prefix = "10.0.1.32/28" }] }, Cancellation));
        await Refused("InsufficientCidrBlocks", ec2 => ec2.AssignPrivateIpAddressesAsync(new() { NetworkInterfaceId = vpc.PrimaryOf("i-03"), Ipv4PrefixCount = 1 }, Cancellation));
    }

    [Fact]
    public async Task Reservations_are_made_found_and_deleted()
    {
        await using var vpc = await StartAsync();
        var made = (await vpc.Ec2.CreateSubnetCidrReservationAsync(
            new()
            {
                SubnetId = SubnetIdA, Cidr = "10.0.1.128/26", ReservationType = SubnetCidrReservationType.Prefix, Description = "pods",
                TagSpecifications = [new() { ResourceType = ResourceType.SubnetCidrReservation, Tags = [new("a", "b")] }],
            },
            Cancellation)).SubnetCidrReservation;
        await vpc.Ec2.CreateSubnetCidrReservationAsync(new() { SubnetId = SubnetIdA, Cidr = "10.0.1.64/28", ReservationType = SubnetCidrReservationType.Explicit }, Cancellation);
        var all = (await vpc.Ec2.GetSubnetCidrReservationsAsync(new() { SubnetId = SubnetIdA }, Cancellation)).SubnetIpv4CidrReservations;
        Assert.Equal(["10.0.1.128/26", "10.0.1.64/28"], all.Select(one => one.Cidr));
        Assert.Equal(("prefix", "pods", "b", made.SubnetCidrReservationId),
            (all[0].ReservationType.Value, all[0].Description, all[0].Tags[0].Value, all[0].SubnetCidrReservationId));
        var found = await vpc.Ec2.GetSubnetCidrReservationsAsync(
            new() { SubnetId = SubnetIdA, Filters = [new("reservationType", ["explicit"])], MaxResults = 5 }, Cancellation);
        Assert.Equal("10.0.1.64/28", Assert.Single(found.SubnetIpv4CidrReservations).Cidr);
        await vpc.Ec2.DeleteSubnetCidrReservationAsync(new() { SubnetCidrReservationId = made.SubnetCidrReservationId }, Cancellation);
        Assert.Single((await vpc.Ec2.GetSubnetCidrReservationsAsync(new() { SubnetId = SubnetIdA }, Cancellation)).SubnetIpv4CidrReservations);
    }
}
