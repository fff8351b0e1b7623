using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

public sealed class OperatorSwitchTests
{
    private static readonly DateTimeOffset Then = new(2026, 11, 29, 12, 0, 0, TimeSpan.Zero);

    [Theory] // The strictest of those that are about the node and the subnet.
    [InlineData("", SwitchMode.Normal, null)]
    [InlineData("all Hold", SwitchMode.Hold, "all")]
    [InlineData("i-1 Frozen", SwitchMode.Frozen, "i-1")]
    [InlineData("subnet-1 Hold", SwitchMode.Hold, "subnet-1")]
    [InlineData("i-2 Frozen,subnet-2 Frozen", SwitchMode.Normal, null)]
    [InlineData("all Hold,i-1 Frozen,subnet-1 Hold", SwitchMode.Frozen, "i-1")]
    [InlineData("i-1 Hold,all Hold", SwitchMode.Hold, "all")]
    [InlineData("all Frozen,i-1 Normal", SwitchMode.Frozen, "all")] // Nothing is freed from what holds for all.
    public void The_strictest_switch_holds(string switches, SwitchMode mode, string? target)
    {
        ImmutableArray<OperatorSwitch> all = [.. switches.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(one => one.Split(' ')).Select(one => new OperatorSwitch(one[0], Enum.Parse<SwitchMode>(one[1]), "ada", "why", Then))];

        var inForce = OperatorSwitches.InForce(all, "i-1", "subnet-1");

        Assert.Equal((mode, target), (inForce?.Mode ?? SwitchMode.Normal, inForce?.Target));
    }

    [Theory]
    [InlineData(SwitchMode.Normal, 12)]
    [InlineData(SwitchMode.Hold, 9)]
    [InlineData(SwitchMode.Frozen, 5)]
    public void On_hold_nothing_is_taken_away_and_what_is_frozen_is_only_read(SwitchMode mode, int permitted)
    {
        var actions = Enum.GetValues<Ec2Action>().Where(action => OperatorSwitches.Permits(mode, action)).ToArray();

        Assert.Equal(permitted, actions.Length);
        Assert.All(Enum.GetValues<Ec2Action>(), action => Assert.Equal(!action.ToString().StartsWith("Describe", StringComparison.Ordinal) && !action.ToString().StartsWith("Get", StringComparison.Ordinal), OperatorSwitches.IsChange(action)));
        Assert.Equal(mode == SwitchMode.Normal, actions.Any(action => action is Ec2Action.UnassignPrivateIpAddresses or Ec2Action.DetachNetworkInterface or Ec2Action.DeleteNetworkInterface));
        Assert.Equal(mode != SwitchMode.Frozen, actions.Any(OperatorSwitches.IsChange));
    }

    [Fact]
    public void Who_reads_of_it_is_told_by_whom_since_when_and_why() =>
        Assert.Equal("subnet-1 is on hold, by ada at 2026-11-29T12:00:00Z: a review", new OperatorSwitch("subnet-1", SwitchMode.Hold, "ada", "a review", Then).ToString());

    [Fact]
    public void A_silo_that_has_not_heard_changes_nothing() => Assert.Equal(SwitchMode.Frozen, OperatorSwitches.InForce(OperatorSwitches.NotRead, "i-1", null)!.Mode);
}
