using AwsVpcCni.Core.Subnets;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Subnets;

public sealed class UsageHistoryTests
{
    [Theory]
    [InlineData(new[] { 10 }, null, null)]
    [InlineData(new[] { 10, 12 }, null, null)] // Half an hour.
    [InlineData(new[] { 10, 12, 7 }, -3, null)]
    [InlineData(new[] { 10, 12, 7, 20 }, 8, null)]
    public void A_change_is_told_as_far_as_the_past_goes(int[] most, int? hour, int? day)
    {
        var past = new UsageHistory { Most = [.. most] };
        Assert.Equal((hour, day), (past.ChangeOver(TimeSpan.FromHours(1)), past.ChangeOver(TimeSpan.FromDays(1))));
    }

    [Fact]
    public void A_day_is_48_slots()
    {
        var past = new UsageHistory { Most = [.. Enumerable.Range(0, UsageHistory.SlotsADay + 1)] };
        Assert.Equal(UsageHistory.SlotsADay, past.ChangeOver(TimeSpan.FromDays(1)));
        Assert.Null((past with { Most = past.Most.RemoveAt(0) }).ChangeOver(TimeSpan.FromDays(1)));
    }
}
