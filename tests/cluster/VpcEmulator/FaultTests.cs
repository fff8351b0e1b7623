using System.Net;
using Amazon.EC2.Model;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;

namespace AwsVpcCni.Tests.Cluster.VpcEmulator;

/// <summary>Calls that go wrong as they do on EC2, and what the SDK makes of it.</summary>
public sealed class FaultTests
{
    [Fact]
    public async Task A_cut_answer_is_sent_once_and_has_had_its_effect()
    {
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "AssignPrivateIpAddresses", Calls = 1, Cut = true, Moment = FaultMoment.AfterEffect });
        var eni = vpc.PrimaryOf(Node);
        var failure = await Record.ExceptionAsync(() => vpc.Ec2.AssignPrivateIpAddressesAsync(
            new() { NetworkInterfaceId = eni, PrivateIpAddresses = ["10.0.1.60"] }, Cancellation));
        Assert.IsAssignableFrom<IOException>(failure);
        var call = Assert.Single(vpc.Emulator.Calls.Entries());
        Assert.True(call.Cut);
        Assert.Contains("10.0.1.60", vpc.AddressesOf(eni));
    }

    [Fact]
    public async Task A_connection_cut_before_the_effect_brings_no_answer()
    {
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "AssignPrivateIpAddresses", Calls = 1, Cut = true });
        var eni = vpc.PrimaryOf(Node);
        Assert.NotNull(await Record.ExceptionAsync(() => vpc.Ec2.AssignPrivateIpAddressesAsync(
            new() { NetworkInterfaceId = eni, PrivateIpAddresses = ["10.0.1.60"] }, Cancellation)));
        Assert.DoesNotContain("10.0.1.60", vpc.AddressesOf(eni));
        Assert.Equal((0, true), (Assert.Single(vpc.Emulator.Calls.Entries()).Status, vpc.Emulator.Calls.Entries()[0].Cut));
    }

    [Fact]
    public async Task The_SDKs_own_setting_would_send_a_counted_draw_again_and_again()
    {
        // The control of the test above: with the default MaxStaleConnectionRetries, the log tells.
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "AssignPrivateIpAddresses", Cut = true, Moment = FaultMoment.AfterEffect });
        using var careless = vpc.Client(staleRetries: 10);
        await Record.ExceptionAsync(() => careless.AssignPrivateIpAddressesAsync(
            new() { NetworkInterfaceId = vpc.PrimaryOf(Node), SecondaryPrivateIpAddressCount = 1 }, Cancellation));
        var calls = vpc.Emulator.Calls.Entries();
        Assert.Equal(11, calls.Count);
        Assert.Single(calls.Select(call => call.Invocation).Distinct());
        Assert.Equal(10, vpc.AddressesOf(vpc.PrimaryOf(Node)).Count); // As many as an m5.large's interface takes.
    }

    [Fact]
    public async Task An_error_may_come_after_the_effect_and_a_token_finds_it_again()
    {
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "CreateNetworkInterface", Calls = 1, Code = "InternalError", Moment = FaultMoment.AfterEffect });
        var create = new CreateNetworkInterfaceRequest { SubnetId = SubnetIdA, ClientToken = "t" };
        await vpc.RefusedAsync("InternalError", HttpStatusCode.InternalServerError, ec2 => ec2.CreateNetworkInterfaceAsync(create, Cancellation));
        Assert.Equal(4, vpc.Emulator.Do(model => model.Enis.Count()));
        await vpc.Ec2.CreateNetworkInterfaceAsync(create, Cancellation);
        Assert.Equal(4, vpc.Emulator.Do(model => model.Enis.Count()));
    }

    [Fact]
    public async Task A_refusal_of_IAM_comes_before_a_dry_run()
    {
        await using var vpc = await StartAsync();
        using var added = await vpc.ControlAsync(HttpMethod.Post, "faults", new { action = "DeleteNetworkInterface", code = "UnauthorizedOperation" });
        Assert.Equal(HttpStatusCode.OK, added.StatusCode);
        var refusal = await vpc.RefusedAsync("UnauthorizedOperation", HttpStatusCode.Forbidden, ec2 =>
            ec2.DeleteNetworkInterfaceAsync(new() { NetworkInterfaceId = vpc.PrimaryOf(Node), DryRun = true }, Cancellation));
        Assert.Equal("You are not authorized to perform this operation.", refusal.Message);
        using var cleared = await vpc.ControlAsync(HttpMethod.Delete, "faults");
        await vpc.RefusedAsync("DryRunOperation", HttpStatusCode.PreconditionFailed, ec2 =>
            ec2.DeleteNetworkInterfaceAsync(new() { NetworkInterfaceId = vpc.PrimaryOf(Node), DryRun = true }, Cancellation));
    }

    [Fact]
    public async Task A_slow_answer_outlasts_its_caller_and_the_call_has_its_effect()
    {
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "AssignPrivateIpAddresses", Calls = 1, DelayMs = 60_000, Moment = FaultMoment.AfterEffect });
        using var hasty = vpc.Client(timeout: TimeSpan.FromMilliseconds(500));
        var eni = vpc.PrimaryOf(Node);
        await Assert.ThrowsAnyAsync<Exception>(() => hasty.AssignPrivateIpAddressesAsync(
            new() { NetworkInterfaceId = eni, PrivateIpAddresses = ["10.0.1.60"] }, Cancellation));
        Assert.Contains("10.0.1.60", vpc.AddressesOf(eni));
        vpc.Settle(); // Lets the call end, which the dispose waits for.
    }

    [Theory]
    [InlineData("InsufficientFreeAddressesInSubnet", HttpStatusCode.BadRequest)]
    [InlineData("InsufficientCidrBlocks", HttpStatusCode.BadRequest)]
    [InlineData("Unavailable", HttpStatusCode.ServiceUnavailable)]
    [InlineData("InternalFailure", HttpStatusCode.InternalServerError)]
    public async Task Any_code_can_be_had_with_its_status(string code, HttpStatusCode status)
    {
        await using var vpc = await StartAsync();
        vpc.Emulator.Add(new Fault { Action = "*", Calls = 1, Code = code });
        await vpc.RefusedAsync(code, status, ec2 => ec2.DescribeVpcsAsync(new DescribeVpcsRequest(), Cancellation));
        Assert.Single((await vpc.Ec2.DescribeVpcsAsync(new DescribeVpcsRequest(), Cancellation)).Vpcs);
    }
}
