using Xunit;

namespace AwsVpcCni.Tests.Unit.Charts;

/// <summary>An alert on a metric that nobody has never rings; a panel of it stays empty.</summary>
public sealed class MetricNamesTests
{
    [Fact]
    public void Alerts_ask_only_for_what_silo_and_executor_show() => Assert.Empty(ChartFiles.OfAlerts.SelectMany(PromQl.Missing));

    [Fact]
    public void Dashboards_ask_only_for_what_silo_and_executor_show() => Assert.Empty(ChartFiles.OfDashboards.SelectMany(PromQl.Missing));

    [Fact]
    public void All_of_them_are_looked_at()
    {
        Assert.InRange(ChartFiles.OfAlerts.Length, 18, 100);
        Assert.InRange(ChartFiles.OfDashboards.Length, 35, 200);
        Assert.All(ChartFiles.OfAlerts.Concat(ChartFiles.OfDashboards), expression => Assert.NotEmpty(PromQl.Names(expression)));
    }

    [Theory]
    [InlineData("max(aws_vpc_cni_subnet_free) == 0", "no metric aws_vpc_cni_subnet_free")]
    [InlineData("rate(aws_vpc_cni_node_request_seconds[5m])", "no metric aws_vpc_cni_node_request_seconds")] // A histogram has no series of its own name.
    [InlineData("aws_vpc_cni_waiting_pods{why=\"Drawing\"}", "no label why of aws_vpc_cni_waiting_pods")]
    [InlineData("aws_vpc_cni_waiting_pods{reason=~\"Drawing|Drawn\"}", "no reason=\"Drawn\" of aws_vpc_cni_waiting_pods")]
    [InlineData("max by (zone) (aws_vpc_cni_subnet_free_addresses)", "no label zone of any that is grouped by it")]
    public void What_nobody_shows_is_found(string expression, string said) => Assert.Equal([said], PromQl.Missing(expression));

    [Theory]
    [InlineData("sum by (le) (rate(aws_vpc_cni_node_request_seconds_bucket{command=\"ADD\"}[5m]))")]
    [InlineData("max by (instance) (aws_vpc_cni_ec2_calls_total{action=\"CreateNetworkInterface\",need=\"PodWaiting\"})")]
    [InlineData("aws_vpc_cni_subnet_free_addresses{subnet=~\"$subnet\"}")]
    public void What_is_shown_is_not(string expression) => Assert.Empty(PromQl.Missing(expression));
}
