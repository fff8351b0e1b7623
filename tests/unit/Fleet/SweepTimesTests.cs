using AwsVpcCni.Tests.Fleet.RealTime;
using AwsVpcCni.VpcEmulator.Control;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Fleet;

public sealed class SweepTimesTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_sweep_lasts_from_its_first_question_until_the_last_ledger_has_read_it()
    {
        CallEntry[] calls = [Call(0, "a"), Call(1, "a", "2"), Call(2, "b"), Call(30, null), Call(60, "a"), Call(62, "b"), Call(120, "a")];
        DateTimeOffset[] readAt = [Start.AddSeconds(1.5), Start.AddSeconds(2.5), Start.AddSeconds(61), Start.AddSeconds(64), Start.AddSeconds(121)];
        Assert.Equal([2.5, 4], SweepTimes.Of(calls, readAt)); // Whether the last one was over nobody knows.
    }

    [Fact]
    public void A_sweep_of_which_no_ledger_tells_has_no_time() =>
        Assert.Equal([1], SweepTimes.Of([Call(0, "a"), Call(60, "a"), Call(120, "a")], [Start.AddSeconds(61)]));

    [Fact]
    public void Without_a_sweep_there_is_none() => Assert.Empty(SweepTimes.Of([Call(0, null)], [Start]));

    private static CallEntry Call(double second, string? zone, string? page = null) => new()
    {
        At = Start.AddSeconds(second),
        Sequence = (long)(second * 1000) + 1,
        Action = "DescribeNetworkInterfaces",
        Filters = zone is null ? new Dictionary<string, IReadOnlyList<string>>() : new() { ["availability-zone"] = [zone] },
        Parameters = page is null ? new Dictionary<string, string>() : new() { ["NextToken"] = page },
    };
}
