using AwsVpcCni.Tests.Fleet.RealTime;
using AwsVpcCni.VpcEmulator.Control;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Fleet;

public sealed class FleetCallsTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Calls_are_counted_by_action_and_those_that_were_throttled_apart()
    {
        var counts = FleetCalls.ByAction([Call("Attach", 0), Call("Create", 1, "RequestLimitExceeded"), Call("Create", 2), Call("Create", 3, "InvalidParameterValue")]);
        Assert.Equal([("Attach", (1, 0)), ("Create", (3, 1))], counts.Select(count => (count.Key, count.Value)));
    }

    [Fact]
    public void What_was_answered_last_counts_and_reading_changes_nothing()
    {
        Assert.Equal(Start.AddSeconds(3.5), FleetCalls.LastChange([Call("Create", 1), Call("Attach", 0, ms: 3500), Call("DescribeSubnets", 9)]));
        Assert.Null(FleetCalls.LastChange([Call("DescribeSubnets", 9)]));
    }

    private static CallEntry Call(string action, double at, string? error = null, double ms = 10) =>
        new() { At = Start.AddSeconds(at), Sequence = 1, Action = action, Error = error, DurationMs = ms };
}
