using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Metrics;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Silo.Metrics;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo.Metrics;

public sealed class ClusterMetricsTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 29, 14, 2, 0, TimeSpan.Zero);

    private static readonly SubnetSummary Read = new(
        "subnet-1", "eu-west-1a", Cidr.Parse("10.0.0.0/24"), 256, Used: 100, Leased: 90, OnPods: 60, Warm: 20, Cooling: 10, Reserved: 5, Others: 7, Free: 146,
        ImmutableSortedDictionary<string, int>.Empty.Add("i-0123456789abcdef0", 90), Now.AddSeconds(-30), FreePrefixes: 8, new DryTime(TimeSpan.FromHours(2), TimeSpan.FromHours(9), null));

    [Theory]
    [InlineData("size_addresses", "256")]
    [InlineData("free_addresses", "146")]
    [InlineData("free_blocks", "8")]
    [InlineData("used_addresses", "100")]
    [InlineData("other_addresses", "7")]
    [InlineData("reserved_addresses", "5")]
    [InlineData("leased_addresses", "90")]
    [InlineData("pod_addresses", "60")]
    [InlineData("warm_addresses", "20")]
    [InlineData("cooling_addresses", "10")]
    [InlineData("read_age_seconds", "30")]
    [InlineData("dry_seconds", "32400")]
    [InlineData("dry_early_seconds", "7200")]
    public void Each_figure_of_a_subnet_is_a_gauge_of_its_own(string name, string value) =>
        Assert.Contains($"\np_subnet_{name}{{subnet=\"subnet-1\"}} {value}\n", Text(Read), StringComparison.Ordinal);

    [Fact]
    public void No_node_is_a_label() => Assert.DoesNotContain("i-0123456789abcdef0", Text(Read), StringComparison.Ordinal);

    [Fact]
    public void A_subnet_that_does_not_run_dry_is_infinite_and_one_of_which_nothing_can_be_told_has_no_figure()
    {
        Assert.Contains("p_subnet_dry_seconds{subnet=\"subnet-1\"} +Inf\n", Text(Read with { Dry = new DryTime(null, null, null) }), StringComparison.Ordinal);
        Assert.DoesNotContain("dry_seconds{", Text(Read with { Dry = null }), StringComparison.Ordinal);
        Assert.DoesNotContain("read_age_seconds{", Text(Read with { ReadAt = null }), StringComparison.Ordinal);
        Assert.DoesNotContain("subnet-1", Text(Read with { Cidr = null, Free = 0 }), StringComparison.Ordinal); // Not read: 0 free is no news.
    }

    [Fact]
    public void Calls_and_waits_are_there_for_each_need_from_the_start()
    {
        var text = new PrometheusText("p_");
        ClusterMetrics.Write(text, [new ActionBudget(
            "AttachNetworkInterface", 40, 2, 33, 0.5, ImmutableSortedDictionary<string, long>.Empty.Add("PodWaiting", 12), ImmutableSortedDictionary<string, long>.Empty.Add("CleanUp", 3), 4, Queued: 7, Turn: TimeSpan.FromSeconds(3.5), ImmutableSortedDictionary<string, double>.Empty.Add("PodWaiting", 8.25))]);
        var lines = text.ToString().Split('\n').Where(line => line is not ("" or ['#', ..])).ToArray();

        Assert.Equal(7 + (3 * 5), lines.Length);
        Assert.All(
            ["p_ec2_budget_size{action=\"AttachNetworkInterface\"} 40", "p_ec2_budget_permits{action=\"AttachNetworkInterface\"} 33", "p_ec2_budget_rate{action=\"AttachNetworkInterface\"} 2", "p_ec2_budget_factor{action=\"AttachNetworkInterface\"} 0.5", "p_ec2_queued_calls{action=\"AttachNetworkInterface\"} 7", "p_ec2_turn_seconds{action=\"AttachNetworkInterface\"} 3.5", "p_ec2_throttled_total{action=\"AttachNetworkInterface\"} 4", "p_ec2_calls_total{action=\"AttachNetworkInterface\",need=\"PodWaiting\"} 12", "p_ec2_calls_total{action=\"AttachNetworkInterface\",need=\"CleanUp\"} 0", "p_ec2_waits_total{action=\"AttachNetworkInterface\",need=\"CleanUp\"} 3", "p_ec2_waited_seconds_total{action=\"AttachNetworkInterface\",need=\"PodWaiting\"} 8.25", "p_ec2_waited_seconds_total{action=\"AttachNetworkInterface\",need=\"CleanUp\"} 0"],
            line => Assert.Contains(line, lines));
    }

    private static string Text(SubnetSummary subnet)
    {
        var text = new PrometheusText("p_");
        ClusterMetrics.Write(text, [subnet], Now);
        return text.ToString();
    }
}
