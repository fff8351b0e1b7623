using System.Net;
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;

namespace AwsVpcCni.Tests.Cluster.VpcEmulator;

/// <summary>The unmodified SDK understands every answer.</summary>
public sealed class SdkTests
{
    [Fact]
    public async Task An_interface_lives_its_whole_life()
    {
        await using var vpc = await StartAsync();
        var create = new CreateNetworkInterfaceRequest
        {
            SubnetId = SubnetIdA,
            Description = "pods",
            ClientToken = "token",
            Groups = ["sg-02"],
            PrivateIpAddresses = [new() { PrivateIpAddress = "10.0.1.50", Primary = true }, new() { PrivateIpAddress = "10.0.1.51" }],
            TagSpecifications = [new() { ResourceType = ResourceType.NetworkInterface, Tags = [new("node", Node)] }],
        };
        var created = (await vpc.Ec2.CreateNetworkInterfaceAsync(create, Cancellation)).NetworkInterface;
        Assert.Equal("pending", created.Status.Value);
        Assert.Equal("10.0.1.50", created.PrivateIpAddress);
        Assert.Null(created.Attachment);
        Assert.Equal(created.NetworkInterfaceId, (await vpc.Ec2.CreateNetworkInterfaceAsync(create, Cancellation)).NetworkInterface.NetworkInterfaceId);
        vpc.Settle();
        Assert.Equal(NetworkInterfaceStatus.Available, (await vpc.DescribeAsync(created.NetworkInterfaceId)).Status);

        var attach = await vpc.Ec2.AttachNetworkInterfaceAsync(
            new() { NetworkInterfaceId = created.NetworkInterfaceId, InstanceId = Node, DeviceIndex = 1, NetworkCardIndex = 0 }, Cancellation);
        var attaching = await vpc.DescribeAsync(created.NetworkInterfaceId);
        Assert.Equal((NetworkInterfaceStatus.InUse, AttachmentStatus.Attaching), (attaching.Status, attaching.Attachment.Status));
        Assert.Equal((attach.AttachmentId, Node, 1, false),
            (attaching.Attachment.AttachmentId, attaching.Attachment.InstanceId, attaching.Attachment.DeviceIndex, attaching.Attachment.DeleteOnTermination));
        vpc.Settle();
        await vpc.Ec2.ModifyNetworkInterfaceAttributeAsync(
            new() { NetworkInterfaceId = created.NetworkInterfaceId, Attachment = new() { AttachmentId = attach.AttachmentId, DeleteOnTermination = true } }, Cancellation);

        var assigned = await vpc.Ec2.AssignPrivateIpAddressesAsync(
            new() { NetworkInterfaceId = created.NetworkInterfaceId, PrivateIpAddresses = ["10.0.1.52", "10.0.1.53"], AllowReassignment = false }, Cancellation);
        Assert.Equal(["10.0.1.52", "10.0.1.53"], assigned.AssignedPrivateIpAddresses.Select(address => address.PrivateIpAddress));
        var counted = await vpc.Ec2.AssignPrivateIpAddressesAsync(new() { NetworkInterfaceId = created.NetworkInterfaceId, SecondaryPrivateIpAddressCount = 2 }, Cancellation);
        Assert.Equal(2, counted.AssignedPrivateIpAddresses.Count);
        await vpc.Ec2.UnassignPrivateIpAddressesAsync(new() { NetworkInterfaceId = created.NetworkInterfaceId, PrivateIpAddresses = ["10.0.1.51"] }, Cancellation);

        var attached = await vpc.DescribeAsync(created.NetworkInterfaceId);
        Assert.Equal((AttachmentStatus.Attached, true), (attached.Attachment.Status, attached.Attachment.DeleteOnTermination));
        Assert.Equal(["10.0.1.50", "10.0.1.52", "10.0.1.53"], attached.PrivateIpAddresses.Take(3).Select(address => address.PrivateIpAddress));
        Assert.Equal([true, false, false, false, false], attached.PrivateIpAddresses.Select(address => address.Primary));
        Assert.Equal(("pods", "eu-west-1a", "euw1-az1", "vpc-01"), (attached.Description, attached.AvailabilityZone, attached.AvailabilityZoneId, attached.VpcId));
        Assert.Equal(("sg-02", "pods"), (Assert.Single(attached.Groups).GroupId, attached.Groups[0].GroupName));
        Assert.Equal(("node", Node), (Assert.Single(attached.TagSet).Key, attached.TagSet[0].Value));
        Assert.Matches("^02(:[0-9a-f]{2}){5}$", attached.MacAddress);

        await vpc.Ec2.DetachNetworkInterfaceAsync(new() { AttachmentId = attach.AttachmentId }, Cancellation);
        Assert.Equal(AttachmentStatus.Detaching, (await vpc.DescribeAsync(created.NetworkInterfaceId)).Attachment.Status);
        vpc.Settle();
        var detached = await vpc.DescribeAsync(created.NetworkInterfaceId);
        Assert.Equal((NetworkInterfaceStatus.Available, null), (detached.Status, detached.Attachment));
        await vpc.Ec2.DeleteNetworkInterfaceAsync(new() { NetworkInterfaceId = created.NetworkInterfaceId }, Cancellation);
        await vpc.RefusedAsync("InvalidNetworkInterfaceID.NotFound", HttpStatusCode.BadRequest, ec2 =>
            ec2.DeleteNetworkInterfaceAsync(new() { NetworkInterfaceId = created.NetworkInterfaceId }, Cancellation));
    }

    [Fact]
    public async Task An_instance_shows_its_interfaces()
    {
        await using var vpc = await StartAsync();
        var answer = await vpc.Ec2.DescribeInstancesAsync(new() { Filters = [new("instance-id", [Node, "i-99"])] }, Cancellation);
        var instance = Assert.Single(Assert.Single(answer.Reservations).Instances);
        Assert.Equal((Node, InstanceType.M5Large, InstanceStateName.Running), (instance.InstanceId, instance.InstanceType, instance.State.Name));
        Assert.Equal(("eu-west-1a", SubnetIdA, "vpc-01", "10.0.1.10"), (instance.Placement.AvailabilityZone, instance.SubnetId, instance.VpcId, instance.PrivateIpAddress));
        Assert.Equal("one", Assert.Single(instance.Tags, tag => tag.Key == "Name").Value);
        var eni = Assert.Single(instance.NetworkInterfaces);
        Assert.Equal(["10.0.1.10", "10.0.1.11"], eni.PrivateIpAddresses.Select(address => address.PrivateIpAddress));
        Assert.Equal((0, 0, true), (eni.Attachment.DeviceIndex, eni.Attachment.NetworkCardIndex, eni.Attachment.DeleteOnTermination));
    }

    [Fact]
    public async Task A_terminated_instance_stays_visible_without_interfaces()
    {
        await using var vpc = await StartAsync();
        using var deleted = await vpc.ControlAsync(HttpMethod.Delete, $"instances/{Node}");
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        vpc.Settle();
        var answer = await vpc.Ec2.DescribeInstancesAsync(new() { InstanceIds = [Node] }, Cancellation);
        var instance = answer.Reservations[0].Instances[0];
        Assert.Equal(InstanceStateName.Terminated, instance.State.Name);
        Assert.Null(instance.NetworkInterfaces);
        vpc.Time.Advance(TimeSpan.FromHours(1));
        await vpc.RefusedAsync("InvalidInstanceID.NotFound", HttpStatusCode.BadRequest, ec2 => ec2.DescribeInstancesAsync(new() { InstanceIds = [Node] }, Cancellation));
    }

    [Fact]
    public async Task Types_subnets_VPCs_and_groups_are_described()
    {
        await using var vpc = await StartAsync();
        var type = Assert.Single((await vpc.Ec2.DescribeInstanceTypesAsync(new() { InstanceTypes = ["p4d.24xlarge"] }, Cancellation)).InstanceTypes);
        Assert.Equal((60, 50, 4, 0), (type.NetworkInfo.MaximumNetworkInterfaces, type.NetworkInfo.Ipv4AddressesPerInterface,
            type.NetworkInfo.NetworkCards.Count, type.NetworkInfo.DefaultNetworkCardIndex));
        Assert.Equal((15, InstanceTypeHypervisor.Nitro, false), (type.NetworkInfo.NetworkCards[3].MaximumNetworkInterfaces, type.Hypervisor, type.BareMetal));

        var subnets = (await vpc.Ec2.DescribeSubnetsAsync(new() { Filters = [new("vpc-id", ["vpc-01"])] }, Cancellation)).Subnets;
        Assert.Equal(["subnet-0a", "subnet-0b"], subnets.Select(subnet => subnet.SubnetId));
        Assert.Equal(("10.0.1.0/24", 256 - 5 - 3, "eu-west-1a"), (subnets[0].CidrBlock, subnets[0].AvailableIpAddressCount, subnets[0].AvailabilityZone));
        Assert.Equal("kubernetes.io/role/cni", Assert.Single(subnets[0].Tags).Key);
        Assert.Null(subnets[1].Tags);

        var found = Assert.Single((await vpc.Ec2.DescribeVpcsAsync(new() { VpcIds = ["vpc-01"] }, Cancellation)).Vpcs);
        Assert.Equal(["10.0.0.0/16", "100.64.0.0/16"], found.CidrBlockAssociationSet.Select(association => association.CidrBlock));

        var group = Assert.Single((await vpc.Ec2.DescribeSecurityGroupsAsync(new() { Filters = [new("group-name", ["po*"])] }, Cancellation)).SecurityGroups);
        Assert.Equal("sg-02", group.GroupId);
    }

    [Theory]
    [InlineData("subnet-id", "subnet-0b", "i-03")]
    [InlineData("vpc-id", "vpc-01", "i-01 i-02 i-03")]
    [InlineData("vpc-id", "vpc-99", "")]
    [InlineData("availability-zone", "eu-west-1b", "i-03")]
    [InlineData("attachment.instance-id", "i-02", "i-02")]
    [InlineData("attachment.status", "attached", "i-01 i-02 i-03")]
    [InlineData("status", "available", "")]
    [InlineData("tag:owner", "us", "i-01")]
    [InlineData("tag:owner", "u?", "i-01")]
    [InlineData("tag-key", "own*", "i-01")]
    [InlineData("addresses.private-ip-address", "10.0.1.11", "i-01")]
    public async Task Interfaces_are_filtered(string name, string value, string instances)
    {
        await using var vpc = await StartAsync();
        await vpc.Ec2.CreateTagsAsync(new() { Resources = [vpc.PrimaryOf(Node)], Tags = [new("owner", "us"), new("more", "")] }, Cancellation);
        await vpc.Ec2.DeleteTagsAsync(new() { Resources = [vpc.PrimaryOf(Node)], Tags = [new() { Key = "more" }] }, Cancellation);
        var answer = await vpc.Ec2.DescribeNetworkInterfacesAsync(new() { Filters = [new(name, [value])], MaxResults = 1000 }, Cancellation);
        Assert.Equal(instances, string.Join(' ', (answer.NetworkInterfaces ?? []).Select(eni => eni.Attachment.InstanceId)));
    }

    [Fact]
    public async Task Pages_add_up_to_the_whole_even_when_interfaces_come_and_go()
    {
        await using var vpc = await StartAsync();
        for (var i = 0; i < 9; i++)
        {
            await vpc.Ec2.CreateNetworkInterfaceAsync(new() { SubnetId = SubnetIdA }, Cancellation);
        }

        var before = vpc.Emulator.Do(model => model.Enis.Select(eni => eni.Id).ToList());
        var first = await vpc.Ec2.DescribeNetworkInterfacesAsync(new() { MaxResults = 5 }, Cancellation);
        await vpc.Ec2.DeleteNetworkInterfaceAsync(new() { NetworkInterfaceId = first.NetworkInterfaces[4].NetworkInterfaceId }, Cancellation);
        var seen = first.NetworkInterfaces.Select(eni => eni.NetworkInterfaceId).ToList();
        var pages = 1;
        for (var token = first.NextToken; token is not null; pages++)
        {
            var next = await vpc.Ec2.DescribeNetworkInterfacesAsync(new() { MaxResults = 5, NextToken = token }, Cancellation);
            seen.AddRange(next.NetworkInterfaces.Select(eni => eni.NetworkInterfaceId));
            token = next.NextToken;
        }

        Assert.Equal(3, pages);
        Assert.Equal(before, seen);
    }

    [Fact]
    public async Task Wrong_parameters_are_refused()
    {
        await using var vpc = await StartAsync();
        var eni = vpc.PrimaryOf(Node);
        var (tooFew, tooMany) = (4, 101); // The SDK's analyzer refuses the plain figures, but the SDK sends them.
        Task Refused(string code, Func<AmazonEC2Client, Task> call) => vpc.RefusedAsync(code, HttpStatusCode.BadRequest, call);
        await Refused("InvalidParameterValue", ec2 => ec2.DescribeNetworkInterfacesAsync(new() { MaxResults = tooFew }, Cancellation));
        await Refused("InvalidParameterValue", ec2 => ec2.DescribeInstanceTypesAsync(new() { MaxResults = tooMany }, Cancellation));
        await Refused("InvalidParameterCombination", ec2 => ec2.DescribeNetworkInterfacesAsync(new() { MaxResults = 5, NetworkInterfaceIds = [eni] }, Cancellation));
        await Refused("InvalidNextToken", ec2 => ec2.DescribeNetworkInterfacesAsync(new() { NextToken = "x" }, Cancellation));
        await Refused("InvalidParameterValue", ec2 => ec2.DescribeSubnetsAsync(new() { Filters = [new("colour", ["red"])] }, Cancellation));
        await Refused("FilterLimitExceeded", ec2 => ec2.DescribeInstancesAsync(
            new() { Filters = [new("instance-id", [.. Enumerable.Range(0, 201).Select(n => $"i-{n}")])] }, Cancellation));
        await Refused("InvalidNetworkInterfaceId.Malformed", ec2 => ec2.DeleteNetworkInterfaceAsync(new() { NetworkInterfaceId = "eni-NO" }, Cancellation));
        await Refused("InvalidParameterCombination", ec2 => ec2.AssignPrivateIpAddressesAsync(
            new() { NetworkInterfaceId = eni, PrivateIpAddresses = ["10.0.1.99"], SecondaryPrivateIpAddressCount = 1 }, Cancellation));
        await Refused("MissingParameter", ec2 => ec2.AssignPrivateIpAddressesAsync(new() { NetworkInterfaceId = eni }, Cancellation));
        await Refused("UnknownParameter", ec2 => ec2.CreateNetworkInterfaceAsync(new() { SubnetId = SubnetIdA, Ipv6PrefixCount = 1 }, Cancellation));
        await Refused("InvalidParameterCombination", ec2 => ec2.ModifyNetworkInterfaceAttributeAsync(
            new() { NetworkInterfaceId = eni, Groups = ["sg-01"], Description = "x" }, Cancellation));
        await Refused("InvalidAction", ec2 => ec2.RebootInstancesAsync(new() { InstanceIds = [Node] }, Cancellation));
        var unknown = await vpc.RefusedAsync("InvalidNetworkInterfaceID.NotFound", HttpStatusCode.BadRequest, ec2 =>
            ec2.DescribeNetworkInterfacesAsync(new() { NetworkInterfaceIds = [eni, "eni-0badbad1", "eni-0badbad2"] }, Cancellation));
        Assert.Equal("The networkInterface ID 'eni-0badbad1' does not exist", unknown.Message); // Only the first is named.
    }

    [Fact]
    public async Task A_dry_run_changes_nothing_and_an_unsigned_call_is_refused()
    {
        await using var vpc = await StartAsync();
        await vpc.RefusedAsync("DryRunOperation", HttpStatusCode.PreconditionFailed, ec2 =>
            ec2.CreateNetworkInterfaceAsync(new() { SubnetId = "subnet-unknown", DryRun = true }, Cancellation)); // Before existence.
        await vpc.RefusedAsync("InvalidSubnetID.NotFound", HttpStatusCode.BadRequest, ec2 =>
            ec2.CreateNetworkInterfaceAsync(new() { SubnetId = "subnet-unknown" }, Cancellation));
        Assert.Equal(3, vpc.Emulator.Do(model => model.Enis.Count()));
        using var anonymous = vpc.Client(credentials: new AnonymousAWSCredentials());
        var refusal = await Assert.ThrowsAsync<AmazonEC2Exception>(() => anonymous.DescribeSubnetsAsync(new DescribeSubnetsRequest(), Cancellation));
        Assert.Equal(("AuthFailure", HttpStatusCode.Unauthorized), (refusal.ErrorCode, refusal.StatusCode));
    }

    [Fact]
    public async Task A_call_beyond_the_bucket_is_throttled_and_the_log_says_what_is_left()
    {
        await using var vpc = await StartAsync(description => description with
        {
            Buckets = new Dictionary<string, AwsVpcCni.VpcEmulator.Model.BucketSize> { ["DescribeSubnets"] = new(2, 0.5) },
        });
        await vpc.Ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest(), Cancellation);
        await vpc.Ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest(), Cancellation);
        await vpc.RefusedAsync("RequestLimitExceeded", HttpStatusCode.ServiceUnavailable, ec2 => ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest(), Cancellation));
        vpc.Time.Advance(TimeSpan.FromSeconds(2));
        await vpc.Ec2.DescribeSubnetsAsync(new DescribeSubnetsRequest(), Cancellation);
        Assert.Equal([1.0, 0.0, null, 0.0], vpc.Emulator.Calls.Entries().Select(call => call.TokensLeft));
    }
}
