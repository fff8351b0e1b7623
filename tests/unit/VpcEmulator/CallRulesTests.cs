using AwsVpcCni.VpcEmulator.Control;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

public sealed class CallRulesTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly CallRules Rules = new(0.8, TimeSpan.FromMilliseconds(250), AllowCounted: false);
    private static readonly Dictionary<string, string> Named = new() { ["NetworkInterfaceId"] = "eni-01", ["PrivateIpAddress.1"] = "10.0.0.4" };
    private readonly List<CallEntry> _calls = [];

    [Theory]
    [InlineData(81, 0)] // 80 of 100, and one of grace.
    [InlineData(82, 1)]
    public void A_burst_may_have_its_share_of_the_bucket(int calls, int violations)
    {
        for (var i = 0; i < calls; i++)
        {
            Call("DeleteNetworkInterface", 0);
        }

        Assert.Equal(violations, Rules.Violations(_calls, null).Count());
    }

    [Theory]
    [InlineData(251, 0)] // 4 a second for ever.
    [InlineData(190, 1)]
    public void A_steady_stream_may_have_its_share_of_the_refill(int gapMs, int violations)
    {
        for (var i = 0; i < 500; i++)
        {
            Call("DeleteNetworkInterface", i * gapMs);
        }

        Assert.Equal(violations, Rules.Violations(_calls, null).Count());
    }

    [Fact]
    public void A_counted_draw_is_named_unless_it_is_allowed()
    {
        Call("AssignPrivateIpAddresses", 0, new() { ["SecondaryPrivateIpAddressCount"] = "3" });
        Assert.Contains("draws by count (SecondaryPrivateIpAddressCount=3)", Assert.Single(Rules.Violations(_calls, null)), StringComparison.Ordinal);
        Assert.Empty((Rules with { AllowCounted = true }).Violations(_calls, null));
    }

    [Fact]
    public void The_SDK_sends_nothing_again()
    {
        Call("AssignPrivateIpAddresses", 0, Named, invocation: "a", cut: true);
        Call("AssignPrivateIpAddresses", 5, Named, invocation: "a");
        Assert.Contains("the SDK has sent call 1 again", Assert.Single(Rules.Violations(_calls, null)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(500, "InternalError", false, true)]
    [InlineData(200, null, true, true)] // Cut: the caller does not know.
    [InlineData(200, null, false, true)] // Or has not waited for the answer.
    [InlineData(503, "RequestLimitExceeded", false, false)] // Surely not executed.
    [InlineData(400, "InvalidParameterValue", false, false)]
    public void Nobody_repeats_a_draw_blindly(int status, string? error, bool cut, bool violation)
    {
        Call("AssignPrivateIpAddresses", 0, Named, "a", status, error, cut);
        Call("AssignPrivateIpAddresses", 900, Named, "b");
        Assert.Equal(violation, Rules.Violations(_calls, null).Any());
        _calls.Insert(1, _calls[0] with { Action = "DescribeNetworkInterfaces", Invocation = "c" });
        Assert.Empty(Rules.Violations(_calls, null)); // It has looked.
    }

    [Theory]
    [InlineData(200, "a b", null, 0)]
    [InlineData(200, "a", "b", 1)]
    [InlineData(300, "a", "b", 0)] // Not in one window.
    [InlineData(200, "a", null, 1)] // The second was never described.
    public void Nodes_that_join_together_are_described_together(int gapMs, string first, string? second, int violations)
    {
        Join[] joins = [new(Start, "a"), new(Start.AddMilliseconds(gapMs), "b")];
        Describe(400, first.Split(' '));
        if (second is not null)
        {
            Describe(600, second);
        }

        Assert.Equal(violations, Rules.Violations(_calls, joins).Count());
        Assert.Empty(Rules.Violations(_calls, null));
    }

    [Fact]
    public void A_window_opens_with_the_first_join_that_no_open_window_holds()
    {
        Join[] joins = [new(Start, "a"), new(Start.AddMilliseconds(240), "b"), new(Start.AddMilliseconds(260), "c")];
        Describe(255, "a", "b");
        Describe(520, "c");
        Assert.Empty(Rules.Violations(_calls, joins));
    }

    [Fact]
    public void A_join_is_a_time_and_an_instance()
    {
        Assert.Equal(new Join(Start.AddMilliseconds(5), "i-01"), Join.Parse("2026-01-01T00:00:00.005Z  i-01"));
        Assert.Throws<FormatException>(() => Join.Parse("yesterday i-01"));
    }

    private void Describe(int atMs, params string[] instances)
    {
        Call("DescribeInstances", atMs);
        _calls[^1] = _calls[^1] with { InstanceIds = instances, Filters = new Dictionary<string, IReadOnlyList<string>> { ["instance-id"] = instances } };
    }

    private void Call(
        string action, int atMs, Dictionary<string, string>? parameters = null, string? invocation = null, int status = 200, string? error = null, bool cut = false) =>
        _calls.Add(new CallEntry
        {
            At = Start.AddMilliseconds(atMs),
            Sequence = _calls.Count + 1,
            Action = action,
            Parameters = parameters ?? [],
            Invocation = invocation,
            Status = status,
            Error = error,
            Cut = cut,
        });
}
