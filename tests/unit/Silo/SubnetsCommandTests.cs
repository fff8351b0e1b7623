using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Silo.Cli;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class SubnetsCommandTests
{
    [Theory]
    [InlineData(0.0, 0.0, 0.0, "now")]
    [InlineData(0.5, 3.26, 36.0, "3.3 h (30 min to 1.5 d)")]
    [InlineData(50.0, null, null, "over 7 d (2.1 d to over 7 d)")]
    [InlineData(null, null, null, "not within 7 days")]
    public void When_a_subnet_runs_dry_is_said_with_how_sure_that_is(double? early, double? median, double? late, string said) =>
        Assert.Equal(said, SubnetsCommand.Dry(new DryTime(Hours(early), Hours(median), Hours(late))));

    [Fact]
    public void Nothing_is_said_of_a_past_that_is_too_short() => Assert.Null(SubnetsCommand.Dry(null));

    [Fact]
    public void What_would_help_stands_under_the_table()
    {
        var full = new SubnetSummary(
            "subnet-1", "eu-west-1a", Cidr.Parse("10.0.0.0/28"), 16, Used: 11, Leased: 10, OnPods: 3, Warm: 7, Cooling: 0, Reserved: 0, Others: 0, Free: 0, ImmutableSortedDictionary<string, int>.Empty, null, 0);
        using var output = new StringWriter();
        SubnetsCommand.Show([full, full with { SubnetId = "subnet-2", Free = 5 }, full with { SubnetId = "subnet-3", Cidr = null }], output);
        var lines = output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal(["subnet-1: 7 addresses are kept ready on nodes: lower the policy's targets (warmIps, minimumIps, warmEnis, warmPrefixes).", "subnet-1: A further subnet of the zone, tagged kubernetes.io/role/cni=1; or a further CIDR of the VPC for one."], lines[4..]);
    }

    private static TimeSpan? Hours(double? hours) => hours is { } some ? TimeSpan.FromHours(some) : null;
}
