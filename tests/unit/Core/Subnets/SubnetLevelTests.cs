using AwsVpcCni.Core.Subnets;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Subnets;

public sealed class SubnetLevelTests
{
    [Theory] // Of a /24: a twentieth of 251 is 12.
    [InlineData(SubnetLevel.Plenty, 12, 0, 0, SubnetLevel.Plenty)]
    [InlineData(SubnetLevel.Plenty, 11, 0, 0, SubnetLevel.Low)]
    [InlineData(SubnetLevel.Low, 23, 0, 0, SubnetLevel.Low)]
    [InlineData(SubnetLevel.Low, 24, 0, 0, SubnetLevel.Plenty)]
    [InlineData(SubnetLevel.Low, 100, 80, 0, SubnetLevel.Low)] // All would draw it again.
    [InlineData(SubnetLevel.Low, 104, 80, 0, SubnetLevel.Plenty)]
    [InlineData(SubnetLevel.Low, 200, -1, 0, SubnetLevel.Low)] // Not all have told yet.
    [InlineData(SubnetLevel.Plenty, 20, 0, 21, SubnetLevel.Dry)]
    [InlineData(SubnetLevel.Low, 0, 0, 1, SubnetLevel.Dry)]
    [InlineData(SubnetLevel.Dry, 5, 0, 5, SubnetLevel.Dry)] // What has come back is for these.
    [InlineData(SubnetLevel.Dry, 5, 0, 0, SubnetLevel.Low)]
    [InlineData(SubnetLevel.Dry, 200, 0, 0, SubnetLevel.Plenty)]
    public void A_subnet_is_low_with_less_than_a_twentieth_and_until_twice_that_would_be_left_to_all(SubnetLevel before, int free, int withheld, int waiting, SubnetLevel level) =>
        Assert.Equal(level, SubnetLevels.Of(before, free, 251, withheld < 0 ? null : withheld, waiting));

    [Theory] // A /28 has 11.
    [InlineData(4, SubnetLevel.Plenty)]
    [InlineData(3, SubnetLevel.Low)]
    public void A_small_subnet_is_low_with_less_than_four(int free, SubnetLevel level) => Assert.Equal(level, SubnetLevels.Of(SubnetLevel.Plenty, free, 11, 0, 0));
}
