using AwsVpcCni.NodeExecutor;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor;

public sealed class RepeatedTests
{
    private readonly FakeTimeProvider time = new();
    private readonly Repeated repeated;

    public RepeatedTests() => repeated = new Repeated(time);

    [Fact]
    public void A_failure_each_second_is_said_at_once_and_then_once_a_minute_with_its_count()
    {
        var said = Enumerable.Range(0, 121).Select(_ => Next("away")).OfType<string>().ToList();
        Assert.Equal(["away", "away (59 times more since this was said last)", "away (59 times more since this was said last)"], said);
    }

    [Fact]
    public void Two_that_come_by_turns_are_each_said_once()
    {
        var said = Enumerable.Range(0, 50).Select(n => Next(n % 2 == 0 ? "a" : "b")).OfType<string>().ToList();
        Assert.Equal(["a", "b"], said);
    }

    [Fact]
    public void One_that_comes_back_later_is_said_without_a_count()
    {
        Next("away");
        time.Advance(Repeated.Period);
        Assert.Equal("away", repeated.Say("away"));
    }

    [Fact]
    public void A_text_that_differs_each_time_fills_neither_log_nor_memory()
    {
        var said = Enumerable.Range(0, 600).Select(n => Next($"port {n}")).OfType<string>().Count(); // Ten minutes.
        Assert.InRange(said, Repeated.MaxTexts, 11 * Repeated.MaxTexts);
        time.Advance(Repeated.Period);
        Assert.Equal("another", repeated.Say("another")); // The oldest makes room.
    }

    private string? Next(string text)
    {
        var line = repeated.Say(text);
        time.Advance(TimeSpan.FromSeconds(1));
        return line;
    }
}
