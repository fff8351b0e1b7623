using System.Net;
using Amazon.EC2;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;

namespace AwsVpcCni.Tests.Cluster.VpcEmulator;

/// <summary>What tests do to a running VPC through its control door, as the SDK then sees it.</summary>
public sealed class ControlTests
{
    [Fact]
    public async Task A_hand_changes_what_EC2_has_past_faults_and_call_log()
    {
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "*", Code = "InternalError" });
        var eni = vpc.PrimaryOf(Node);
        using var done = await vpc.ControlAsync(HttpMethod.Post, "hand",
            new Dictionary<string, string> { ["Action"] = "UnassignPrivateIpAddresses", ["NetworkInterfaceId"] = eni, ["PrivateIpAddress.1"] = "10.0.1.11" });
        Assert.Equal(HttpStatusCode.OK, done.StatusCode);
        Assert.Equal(["10.0.1.10"], vpc.AddressesOf(eni));
        Assert.Empty(vpc.Emulator.Calls.Entries());
        using var refused = await vpc.ControlAsync(HttpMethod.Post, "hand", new Dictionary<string, string> { ["Action"] = "RebootInstances" });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
    }

    [Fact]
    public async Task A_lag_lets_describes_show_what_was()
    {
        await using var vpc = await StartAsync();
        using var set = await vpc.ControlAsync(HttpMethod.Post, "lag", new { describeMs = 5000 });
        Assert.Equal(HttpStatusCode.OK, set.StatusCode);
        var eni = vpc.PrimaryOf(Node);
        await vpc.Ec2.AssignPrivateIpAddressesAsync(new() { NetworkInterfaceId = eni, PrivateIpAddresses = ["10.0.1.60"] }, Cancellation);
        Assert.Equal(2, (await vpc.DescribeAsync(eni)).PrivateIpAddresses.Count);
        var instance = (await vpc.Ec2.DescribeInstancesAsync(new() { InstanceIds = [Node] }, Cancellation)).Reservations[0].Instances[0];
        Assert.Equal(2, Assert.Single(instance.NetworkInterfaces).PrivateIpAddresses.Count);
        vpc.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(3, (await vpc.DescribeAsync(eni)).PrivateIpAddresses.Count);
    }

    [Fact]
    public async Task A_new_interface_is_unknown_by_its_id_for_a_while()
    {
        await using var vpc = await StartAsync();
        using var set = await vpc.ControlAsync(HttpMethod.Post, "lag", new { newInterfaceMs = 5000 });
        var eni = (await vpc.Ec2.CreateNetworkInterfaceAsync(new() { SubnetId = SubnetIdA }, Cancellation)).NetworkInterface.NetworkInterfaceId;
        await vpc.RefusedAsync("InvalidNetworkInterfaceID.NotFound", HttpStatusCode.BadRequest,
            ec2 => ec2.DescribeNetworkInterfacesAsync(new() { NetworkInterfaceIds = [eni] }, Cancellation));
        await vpc.RefusedAsync("InvalidNetworkInterfaceID.NotFound", HttpStatusCode.BadRequest,
            ec2 => ec2.AttachNetworkInterfaceAsync(new() { NetworkInterfaceId = eni, InstanceId = Node, DeviceIndex = 1 }, Cancellation));
        vpc.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(eni, (await vpc.DescribeAsync(eni)).NetworkInterfaceId);
    }

    [Fact]
    public async Task An_error_without_a_code_has_its_status_only()
    {
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "DescribeVpcs", Calls = 1, Code = "ServiceUnavailable", Html = true });
        var failure = await Assert.ThrowsAsync<AmazonEC2Exception>(() => vpc.Ec2.DescribeVpcsAsync(new(), Cancellation));
        Assert.True(string.IsNullOrEmpty(failure.ErrorCode), failure.ErrorCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, failure.StatusCode);
    }

    [Fact]
    public async Task An_instance_is_stopped_and_started()
    {
        await using var vpc = await StartAsync();
        foreach (var (turn, through, to) in new[] { ("stop", "stopping", "stopped"), ("start", "pending", "running") })
        {
            using var turned = await vpc.ControlAsync(HttpMethod.Post, $"instances/{Node}/{turn}", new { });
            Assert.Equal(HttpStatusCode.OK, turned.StatusCode);
            Assert.Equal(through, await StateAsync(vpc));
            vpc.Settle();
            Assert.Equal(to, await StateAsync(vpc));
        }
    }

    [Fact]
    public async Task A_call_takes_the_time_that_its_action_takes()
    {
        await using var vpc = await StartAsync(
            description => description with { LatencyMs = new Dictionary<string, int> { ["DescribeVpcs"] = 100 } }, time: TimeProvider.System);
        Assert.Single((await vpc.Ec2.DescribeVpcsAsync(new(), Cancellation)).Vpcs);
        Assert.InRange(Assert.Single(vpc.Emulator.Calls.Entries()).DurationMs, 99, double.MaxValue);
    }

    private static async Task<string> StateAsync(RunningVpc vpc) =>
        (await vpc.Ec2.DescribeInstancesAsync(new() { InstanceIds = [Node] }, Cancellation)).Reservations[0].Instances[0].State.Name.Value;
}
