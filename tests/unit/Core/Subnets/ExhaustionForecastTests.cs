using AwsVpcCni.Core.Subnets;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Subnets;

public sealed class ExhaustionForecastTests
{
    private const int Day = UsageHistory.SlotsADay;
    private const int Seeds = 1000;
    private const int FirstSeed = 50_001; // Others than those that the lengths of pieces were chosen with.
    private static readonly DateTimeOffset Now = new(2026, 5, 4, 12, 10, 0, TimeSpan.Zero);

    /// <summary>Fixed seeds, since the shares are those of a sample. The comparison is with what the last hour's slope says.</summary>
    [Theory]
    [InlineData("diurnal")]
    [InlineData("linear")]
    [InlineData("deploys")]
    [InlineData("jobs")]
    public void Eight_in_ten_run_dry_between_early_and_late_and_the_median_is_nearer_than_the_last_hours_slope(string shape)
    {
        var (within, errors, ofSlope) = (0, new List<double>(), new List<double>());
        for (var seed = FirstSeed; seed < FirstSeed + Seeds; seed++)
        {
            var random = new Random(seed);
            var usage = UsageShapes.Of(shape, 23, random);
            var now = (14 * Day) + random.Next(Day);
            // Half of them above what the last week has seen, and half below.
            var room = Math.Max((int)(1.02 * usage[now]), (int)(usage[(now - (7 * Day))..(now + 1)].Max() * (0.88 + (0.2 * random.NextDouble()))));
            var actual = DryAfter(usage.AsSpan(now, (7 * Day) + 1), room);

            var said = ExhaustionForecast.Of(new UsageHistory { LastSlot = Now, Most = [.. usage[(now + 1 - UsageHistory.MostSlots)..(now + 1)]] }, usage[now], room)!;

            within += Hours(said.Early) <= actual && actual <= Hours(said.Late) ? 1 : 0;
            errors.Add(Math.Abs(Hours(said.Median) - actual));
            var slope = usage[now] - usage[now - 2]; // Addresses in the last hour.
            ofSlope.Add(Math.Abs((slope <= 0 ? Hours(null) : Math.Min(Hours(null), (double)(room - usage[now]) / slope)) - actual));
        }

        errors.Sort();
        ofSlope.Sort();
        TestContext.Current.SendDiagnosticMessage("{0}: within early and late {1:0.0} %, median error {2:0.0} h, of the last hour's slope {3:0.0} h", shape, 100.0 * within / Seeds, errors[Seeds / 2], ofSlope[Seeds / 2]);
        Assert.InRange(within, 0.7 * Seeds, 0.9 * Seeds);
        Assert.True(errors[Seeds / 2] < ofSlope[Seeds / 2], $"median error {errors[Seeds / 2]} h, by the last hour's slope {ofSlope[Seeds / 2]} h");
    }

    [Fact]
    public void What_does_not_grow_does_not_run_dry_within_seven_days() =>
        Assert.Equal(new DryTime(null, null, null), ExhaustionForecast.Of(History(Enumerable.Repeat(100, 3 * Day)), 100, 200));

    [Fact]
    public void What_is_full_is_dry_now() =>
        Assert.Equal(new DryTime(TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero), ExhaustionForecast.Of(History([251]), 251, 251));

    [Theory]
    [InlineData(4)]
    [InlineData(0)]
    public void Two_hours_say_nothing(int slots) => Assert.Null(ExhaustionForecast.Of(History(Enumerable.Range(0, slots)), slots, 251));

    [Fact]
    public void A_young_cluster_that_grows_by_ten_an_hour_has_a_day_for_240()
    {
        var said = ExhaustionForecast.Of(History(Enumerable.Range(0, 12).Select(slot => 5 * slot)), 55, 295);

        Assert.Equal(new DryTime(TimeSpan.FromHours(24), TimeSpan.FromHours(24), TimeSpan.FromHours(24)), said);
    }

    [Fact]
    public void Early_is_not_after_the_median_nor_that_after_late_and_the_same_past_says_the_same() =>
        Gen.Select(Gen.Int[0, 300].Array[0, UsageHistory.MostSlots], Gen.Int[0, 300], Gen.Long[1, 400]).Sample((past, used, room) =>
        {
            var said = ExhaustionForecast.Of(History(past), used, room);
            Assert.Equal(said, ExhaustionForecast.Of(History(past), used, room));
            Assert.True(said is null || (Hours(said.Early) <= Hours(said.Median) && Hours(said.Median) <= Hours(said.Late) && Hours(said.Early) >= 0));
        }, iter: 300);

    [Fact]
    public void A_slot_keeps_the_most_and_slots_without_a_word_the_figure_before()
    {
        var history = new UsageHistory().With(Now, 5).With(Now.AddMinutes(5), 9).With(Now.AddMinutes(10), 7).With(Now.AddMinutes(100), 3);

        Assert.Equal([9, 9, 9, 3], history.Most);
        Assert.Equal(new DateTimeOffset(2026, 5, 4, 13, 30, 0, TimeSpan.Zero), history.LastSlot);
        Assert.Same(history, history.With(Now.AddMinutes(101), 2));
        Assert.Equal([9, 9, 9, 4], history.With(Now.AddHours(-3), 4).Most); // A clock that went back.
        Assert.Equal([8], history.With(Now.AddDays(15), 8).Most);
    }

    [Fact]
    public void No_more_than_two_weeks_are_kept() =>
        Assert.Equal(Enumerable.Range(100, UsageHistory.MostSlots), Enumerable.Range(0, UsageHistory.MostSlots + 100).Aggregate(new UsageHistory(), (history, slot) => history.With(Now + (slot * UsageHistory.Slot), slot)).Most);

    private static UsageHistory History(IEnumerable<int> most) => new() { LastSlot = Now, Most = [.. most] };

    private static double Hours(TimeSpan? time) => (time ?? ExhaustionForecast.Horizon).TotalHours;

    /// <summary>Hours until the room is used up, within a slot as by a line; the horizon when it is not.</summary>
    private static double DryAfter(ReadOnlySpan<int> usage, int room)
    {
        for (var slot = 1; slot < usage.Length; slot++)
        {
            if (usage[slot] >= room)
            {
                return (slot - 1 + ((double)(room - usage[slot - 1]) / (usage[slot] - usage[slot - 1]))) * UsageHistory.Slot.TotalHours;
            }
        }

        return Hours(null);
    }
}
