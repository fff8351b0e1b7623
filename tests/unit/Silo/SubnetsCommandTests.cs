using AwsVpcCni.Core.Subnets;
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

    private static TimeSpan? Hours(double? hours) => hours is { } some ? TimeSpan.FromHours(some) : null;
}
