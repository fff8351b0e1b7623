using System.Collections.Immutable;
using Amazon.EC2.Model;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Silo.Cli;
using AwsVpcCni.Silo.Ec2;
using AwsVpcCni.Tests.Cluster.VpcEmulator;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;
using static AwsVpcCni.Tests.Cluster.VpcEmulator.RunningVpc;

namespace AwsVpcCni.Tests.Cluster.Cli;

/// <summary>`ipam release`, against an EC2 API on a socket.</summary>
public sealed class ReleaseCommandTests : IDisposable
{
    private const string VpcId = "vpc-0123456789abcdef0";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-release-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Just_what_the_cluster_has_made_and_nobody_has_is_deleted()
    {
        await using var vpc = await StartAsync();
        var left = await MakeAsync(vpc, addresses: 3);
        string[] others = [await MakeAsync(vpc, cluster: "other"), await MakeAsync(vpc, intent: null)];
        var (kept, attached) = (await MakeAsync(vpc, noManage: true), await MakeAsync(vpc));
        await vpc.Ec2.AttachNetworkInterfaceAsync(new AttachNetworkInterfaceRequest { NetworkInterfaceId = attached, InstanceId = Node, DeviceIndex = 1 }, Cancellation);
        vpc.Settle();
        var leftovers = Of(vpc);

        var seen = await leftovers.LookAsync(Cancellation);
        Assert.Equal(
            new[] { (left, LeftoverOutcome.Left, 4), (others[1], LeftoverOutcome.Stays, 1), (kept, LeftoverOutcome.Stays, 1), (attached, LeftoverOutcome.Stays, 1) }.OrderBy(one => one.Item1, StringComparer.Ordinal),
            seen.Select(one => (one.EniId, one.Outcome, one.Addresses)));
        Assert.Equal([$"attached to {Node}", "its tag node.k8s.amazonaws.com/no_manage is true"], new[] { attached, kept }.Select(eni => seen.Single(one => one.EniId == eni).Why));

        var late = await MakeAsync(vpc); // Since: a silo may be about to attach it.
        vpc.Settle();
        Assert.Equal([(left, LeftoverOutcome.Deleted)], (await DeleteAsync(vpc, leftovers, seen)).Select(one => (one.EniId, one.Outcome)));
        vpc.Settle();
        Assert.Equal([late], (await leftovers.LookAsync(Cancellation)).Where(one => one.Outcome == LeftoverOutcome.Left).Select(one => one.EniId));
        Assert.All([.. others, kept, attached, late], eni => Assert.NotEmpty(vpc.AddressesOf(eni)));
    }

    [Fact]
    public async Task A_throttled_call_and_a_lost_answer_are_tried_again_and_a_refusal_is_told_and_holds_up_no_other()
    {
        await using var vpc = await StartAsync();
        await MakeAsync(vpc);
        await MakeAsync(vpc);
        vpc.Settle();
        var leftovers = Of(vpc);
        var seen = await leftovers.LookAsync(Cancellation);

        vpc.Emulator.Add(new Fault { Action = "DeleteNetworkInterface", Code = "UnauthorizedOperation", Calls = 1 });
        vpc.Emulator.Add(new Fault { Action = "DeleteNetworkInterface", Code = "RequestLimitExceeded", Calls = 1 });
        vpc.Emulator.Add(new Fault { Action = "DeleteNetworkInterface", Cut = true, Moment = FaultMoment.AfterEffect, Calls = 1 });
        var ended = await DeleteAsync(vpc, leftovers, seen);

        Assert.Equal([LeftoverOutcome.Refused, LeftoverOutcome.Deleted], ended.Select(one => one.Outcome));
        Assert.Contains("UnauthorizedOperation", ended[0].Why, StringComparison.Ordinal);
        Assert.Single(await leftovers.LookAsync(Cancellation));
    }

    [Fact]
    public async Task The_command_only_says_what_there_is_and_refuses_another_clusters_name()
    {
        await using var vpc = await StartAsync(description => description with { VpcId = VpcId });
        var left = await MakeAsync(vpc, addresses: 3);
        vpc.Settle();
        var tool = new Ipam(Path.Combine(_folder.FullName, "silo.db")).With("Ec2__Endpoint", vpc.Emulator.Endpoint.ToString()).With("AWS_ACCESS_KEY_ID", RunningVpc.Cluster).With("Cluster__Name", RunningVpc.Cluster);

        var said = await tool.RunAsync("release", "--cluster", RunningVpc.Cluster);
        Assert.True(said.ExitCode == 0, said.Errors);
        Assert.Contains($"{left} {SubnetIdA} {Node} 4 left -", said.Lines);
        Assert.Equal("1 interfaces with 4 addresses are left over; --yes deletes them.", said.Lines[^1]);

        var refused = await tool.RunAsync("release", "--cluster", "another", "--yes");
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains($"--cluster another: the settings are of cluster {RunningVpc.Cluster} (CLUSTER_NAME). Nothing was looked at.", refused.Errors, StringComparison.Ordinal);
        Assert.Equal(4, vpc.AddressesOf(left).Count);
    }

    /// <summary>Made by a node of the cluster, but for what is said.</summary>
    private static async Task<string> MakeAsync(RunningVpc vpc, string cluster = RunningVpc.Cluster, string? intent = "x/1", bool noManage = false, int addresses = 0)
    {
        (string, string?)[] tags = [(NodeGrain.ClusterTag, cluster), (NodeGrain.NodeTag, Node), (NodeGrain.IntentTag, intent), (NodeGrain.NoManageTag, noManage ? "true" : null)];
        var made = await vpc.Ec2.CreateNetworkInterfaceAsync(
            new CreateNetworkInterfaceRequest
            {
                SubnetId = SubnetIdA, SecondaryPrivateIpAddressCount = addresses,
                TagSpecifications = [new TagSpecification { ResourceType = "network-interface", Tags = [.. tags.Where(tag => tag.Item2 is not null).Select(tag => new Tag(tag.Item1, tag.Item2))] }],
            }, Cancellation);
        return made.NetworkInterface.NetworkInterfaceId;
    }

    private static Leftovers Of(RunningVpc vpc) => new(
        new SdkEc2(() => vpc.Client(credentials: new Amazon.Runtime.BasicAWSCredentials(RunningVpc.Cluster, "y"))),
        new ClusterSettings(RunningVpc.Cluster, "vpc-01", "account/eu-west-1", new PoolPolicy(), new Timing()), vpc.Time);

    private static async Task<Leftover[]> DeleteAsync(RunningVpc vpc, Leftovers leftovers, ImmutableArray<Leftover> seen)
    {
        var ends = leftovers.DeleteAsync(seen, Cancellation).ToArrayAsync(Cancellation).AsTask();
        while (!ends.IsCompleted)
        {
            vpc.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancellation);
        }

        return await ends;
    }
}
