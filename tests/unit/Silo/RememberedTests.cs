using AwsVpcCni.Silo.Kubernetes;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class RememberedTests
{
    private static readonly TimeSpan Age = TimeSpan.FromSeconds(10);

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void It_holds_for_its_time_and_no_longer()
    {
        var kept = new Remembered<string>(3, Age, _time);
        kept.Keep("a", "yes");

        _time.Advance(Age - TimeSpan.FromTicks(1));
        Assert.True(kept.TryFind("a", out var value));
        Assert.Equal("yes", value);
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.False(kept.TryFind("a", out _));
    }

    [Fact]
    public void A_look_lengthens_nothing_and_a_new_answer_does()
    {
        var kept = new Remembered<string>(3, Age, _time);
        kept.Keep("a", "old");
        _time.Advance(Age / 2);
        Assert.True(kept.TryFind("a", out _));
        kept.Keep("a", "new");
        _time.Advance(Age / 2);
        kept.Keep("b", "another"); // The first entry of a goes now.

        Assert.True(kept.TryFind("a", out var value));
        Assert.Equal("new", value);
        _time.Advance(Age / 2);
        Assert.False(kept.TryFind("a", out _));
    }

    [Fact]
    public void Beyond_the_bound_the_oldest_goes()
    {
        var kept = new Remembered<string>(3, Age, _time);
        for (var i = 0; i < 100; i++)
        {
            kept.Keep($"{i}", "yes");
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.Equal(["97", "98", "99"], Enumerable.Range(0, 100).Select(i => $"{i}").Where(key => kept.TryFind(key, out _)));
    }
}
