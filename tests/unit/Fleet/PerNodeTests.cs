using AwsVpcCni.Tests.Fleet;
using AwsVpcCni.Tests.Fleet.PerNode;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Fleet;

/// <summary>Whether the per-node design that a fleet is compared with is amazon-vpc-cni-k8s', by the figures of vpc-cni.md.</summary>
public sealed class PerNodeTests
{
    /// <summary>Section 2.12 (c): a burst on one node, EC2 takes no time.</summary>
    [Theory]
    [InlineData("m5.large", 29, 27, 0, 0, 10, 12)]
    [InlineData("m5.large", 29, 27, 1, 0, 130, 36)]
    [InlineData("m5.large", 29, 27, 2, 10, 45, 14)]
    [InlineData("m5.large", 29, 27, 5, 13, 15, 8)]
    [InlineData("m5.4xlarge", 234, 232, 0, 0, 35, 42)]
    [InlineData("m5.4xlarge", 234, 232, 1, 0, 1155, 266)]
    [InlineData("m5.4xlarge", 234, 232, 2, 10, 575, 150)]
    [InlineData("m5.4xlarge", 234, 232, 5, 116, 120, 44)]
    public void A_burst_takes_as_long_and_as_many_calls_as_the_reference(string type, int maxPods, int pods, int warm, int minimum, int seconds, int calls)
    {
        var node = new Node(type, new DaemonSettings { WarmIps = warm, MinimumIps = minimum, MaxPods = maxPods });
        node.Time.Run(TimeSpan.FromSeconds(597.5), () => false); // At a turn of the pool, which has all that it wants: the next turn is 5 s away.
        var before = node.Calls.Count;
        var began = node.Time.Now;
        node.Daemon.Pods = pods;
        node.Time.Run(TimeSpan.FromHours(2), () => node.Daemon.Placed.Count == pods);
        Assert.Equal(pods, node.Daemon.Placed.Count);
        Assert.Equal(seconds, (node.Daemon.Placed[^1] - began).TotalSeconds, 3);

        node.Time.Run(node.Time.Now + TimeSpan.FromSeconds(30), () => false);
        Assert.Equal(calls, node.Calls.Skip(before).Count(call => call != LeakedJob));
    }

    /// <summary>Section 3.2, rows A and B: 12 calls with the first job that looks for leaks.</summary>
    [Fact]
    public void A_node_that_joins_and_gets_its_first_pod_makes_the_twelve_calls_in_order()
    {
        var node = new Node("m5.large", new DaemonSettings { MaxPods = 29 });
        node.Daemon.Pods = 1;
        node.Time.Run(TimeSpan.FromMinutes(6), () => false);
        var calls = node.Calls;
        Assert.Equal(2, calls.Count(call => call == LeakedJob));
        calls.RemoveAt(calls.LastIndexOf(LeakedJob)); // Some time within five minutes.
        Assert.Equal(
            [
                "DescribeNetworkInterfaces", "CreateTags", "DescribeSubnets", "ModifyNetworkInterfaceAttribute", "AssignPrivateIpAddresses",
                "DescribeSubnets", "CreateNetworkInterface", "DescribeInstances", "AttachNetworkInterface", "ModifyNetworkInterfaceAttribute", "DescribeSubnets",
            ],
            calls);
    }

    /// <summary>Section 3.5: a throttle at the start ends the process, and each start costs its calls again.</summary>
    [Fact]
    public void A_node_whose_first_draw_is_throttled_starts_anew()
    {
        var node = new Node("m5.large", new DaemonSettings { MaxPods = 29 }, new() { ["AssignPrivateIpAddresses"] = new(1, 0.02) });
        node.Throttle.Take("AssignPrivateIpAddresses", filtered: true); // The next token is there after 50 s.
        node.Daemon.Pods = 1;
        node.Time.Run(TimeSpan.FromMinutes(10), () => node.Daemon.Placed.Count == 1);
        Assert.InRange(node.Daemon.Placed[0].TotalSeconds, 50, 300);
        Assert.InRange(node.Daemon.Starts, 2, 6);
        Assert.Equal(node.Daemon.Starts, node.Calls.Count(call => call == "ModifyNetworkInterfaceAttribute"));
        Assert.Single(node.Calls, "CreateTags"); // It has them since.
    }

    /// <summary>Section 3.5, lower bounds of time: 1,000 calls of one bucket, and nobody wastes a token.</summary>
    [Fact]
    public void A_fleet_ends_no_sooner_than_its_buckets_allow_and_the_same_seed_ends_the_same()
    {
        var (one, other) = (PerNodeFleet.Run(FleetVpc.Of(300)), PerNodeFleet.Run(FleetVpc.Of(300)));
        Assert.Equal(0, one.Unfinished);
        Assert.InRange(one.Seconds, (300 - 100) / 5.0, 300);
        Assert.InRange(one.Converged!.Value, Math.Max(one.Seconds, (300 - 50) / 5.0), 600);
        Assert.True(one.Calls.All - one.Calls.Throttled >= 300 * 11, $"{one.Calls.All} calls, {one.Calls.Throttled} of them throttled");
        Assert.Equal((one.Seconds, one.Converged, one.Starts), (other.Seconds, other.Converged, other.Starts));
        Assert.Equal(one.Calls.ByAction, other.Calls.ByAction);
    }

    [Fact]
    public void What_breaks_in_a_life_breaks_the_run()
    {
        var time = new VirtualTime();
        time.Start(async () =>
        {
            await time.After(TimeSpan.FromSeconds(3));
            throw new FormatException("broken");
        });
        Assert.Throws<FormatException>(() => time.Run(TimeSpan.FromSeconds(5), () => false));
        Assert.Equal(3, time.Now.TotalSeconds);
    }

    private const string LeakedJob = "DescribeNetworkInterfaces";

    private sealed class Node
    {
        private readonly CallCounts _counts = new();

        public Node(string type, DaemonSettings settings, Dictionary<string, BucketSize>? buckets = null)
        {
            var description = FleetVpc.Of(1) with { Times = new() { CreateMs = 0, AttachMs = 0 } };
            var vpc = new Vpc(description, Time, new Random(1));
            var id = vpc.Launch(description.Instances[0] with { Type = type }).Id;
            var random = new Random(1);
            Throttle = new Throttle(Time, buckets);
            Daemon = new Daemon(id, settings, vpc, new SdkCaller(vpc, new Ec2Calls(Throttle, new FaultPlan(random)), Time, random, _counts), Time, random);
            Time.Start(Daemon.LiveAsync);
        }

        public VirtualTime Time { get; } = new();

        public Throttle Throttle { get; }

        public Daemon Daemon { get; }

        /// <summary>Those that were answered.</summary>
        public List<string> Calls => _counts.Answered;
    }
}
