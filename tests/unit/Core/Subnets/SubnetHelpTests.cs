using AwsVpcCni.Core.Subnets;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Subnets;

public sealed class SubnetHelpTests
{
    private static readonly DryTime Soon = new(TimeSpan.FromHours(2), TimeSpan.FromHours(9), null);
    private static readonly DryTime Never = new(TimeSpan.FromDays(5), null, null); // Early is one in ten only.

    [Theory]
    [InlineData(100, 3, 20, 7, 2, "")]
    [InlineData(0, 0, 20, 7, 2, "LowerTargets 20, FreeOthers 7, AwaitReservations 2, FurtherSubnet 0")]
    [InlineData(0, 0, 5, 200, 0, "FreeOthers 200, LowerTargets 5, FurtherSubnet 0")]
    [InlineData(0, 0, 0, 0, 0, "FurtherSubnet 0")]
    [InlineData(100, 0, 20, 7, 2, "WholeBlocks 0")]
    [InlineData(15, 0, 20, 7, 2, "")] // Too few for one anyway.
    public void What_brings_most_comes_first_and_nothing_is_said_while_there_is_plenty(int free, int blocks, int warm, int others, int reserved, string said) =>
        Assert.Equal(said, Told(SubnetHelp.For(free, blocks, warm, others, reserved, Never, SubnetLevel.Plenty)));

    [Fact]
    public void A_subnet_that_will_run_dry_is_helped_before_it_does()
    {
        Assert.Equal("LowerTargets 20, FurtherSubnet 0", Told(SubnetHelp.For(100, 3, 20, 0, 0, Soon, SubnetLevel.Plenty)));
        Assert.Equal("LowerTargets 20, WholeBlocks 0, FurtherSubnet 0", Told(SubnetHelp.For(100, 0, 20, 0, 0, Soon, SubnetLevel.Plenty)));
        Assert.Equal("", Told(SubnetHelp.For(100, 3, 20, 0, 0, null, SubnetLevel.Plenty)));
    }

    [Fact]
    public void One_on_which_nodes_are_kept_from_drawing_is_helped_too() => Assert.Equal("FreeOthers 7, FurtherSubnet 0", Told(SubnetHelp.For(10, 0, 0, 7, 0, Never, SubnetLevel.Low)));

    [Fact]
    public void An_empty_subnet_is_never_without_help_and_no_help_brings_more_than_there_is() =>
        Gen.Select(Gen.Int[0, 300], Gen.Int[0, 20], Gen.Int[0, 300], Gen.Int[0, 300], Gen.Int[0, 300]).Sample((free, blocks, warm, others, reserved) =>
        {
            var help = SubnetHelp.For(free, blocks, warm, others, reserved, Never, SubnetLevel.Plenty);
            return (free > 0 || help[^1].Code == SubnetHelpCode.FurtherSubnet)
                && help.Sum(one => one.Addresses) <= warm + others + reserved
                && help.All(one => one.Addresses == 0 || one.Text.StartsWith($"{one.Addresses} ", StringComparison.Ordinal))
                && help.Select(one => one.Code).Distinct().Count() == help.Length;
        });

    private static string Told(IEnumerable<SubnetHelp> help) => string.Join(", ", help.Select(one => $"{one.Code} {one.Addresses}"));
}
