using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

public sealed class SiloListTests
{
    private static readonly Uri A = new("http://a"), B = new("http://b"), C = new("http://c");
    private readonly FakeTimeProvider time = new();

    [Fact]
    public void The_silo_that_answered_last_is_asked_first()
    {
        var silos = new SiloList([A, B, C], time);
        silos.Answered(B);

        Assert.Equal([B, C, A], silos.InOrder());
    }

    [Fact]
    public void A_silent_silo_is_left_out_for_five_seconds()
    {
        var silos = new SiloList([A, B], time);
        silos.Silent(A);
        Assert.Equal([B], silos.InOrder());
        time.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal([B, A], silos.InOrder());
    }

    [Fact]
    public void After_a_change_the_one_that_answered_stays_the_first_and_what_is_said_of_one_that_is_gone_is_passed_over()
    {
        var silos = new SiloList([A, B], time);
        silos.Answered(B);
        silos.Replace([C, B]);
        Assert.Equal([B, C], silos.InOrder());

        silos.Silent(A);
        silos.Answered(A);
        Assert.Equal([B, C], silos.InOrder());
    }

    [Fact]
    public void It_is_lost_until_one_answers_and_again_when_none_does()
    {
        var silos = new SiloList([], time);
        Assert.True(silos.IsLost && silos.IsEmpty);
        silos.Replace([A]);
        silos.Answered(A);
        Assert.False(silos.IsLost);

        silos.Lost();
        Assert.True(silos.IsLost);
    }

    [Fact]
    public void When_all_are_silent_none_is_asked_for_a_while()
    {
        var silos = new SiloList([A, B], time);
        silos.Silent(A);
        silos.Silent(B);

        Assert.Empty(silos.InOrder());
    }

    [Theory]
    [InlineData(1, 500)]
    [InlineData(2, 1000)]
    [InlineData(4, 4000)]
    [InlineData(5, 5000)]
    [InlineData(100, 5000)]
    public void An_only_silo_is_asked_again_after_pauses_that_grow(int silences, int pauseMs)
    {
        var silos = new SiloList([A], time);
        for (var n = 1; n < silences; n++)
        {
            silos.Silent(A);
            time.Advance(TimeSpan.FromSeconds(5));
        }

        silos.Silent(A);
        time.Advance(TimeSpan.FromMilliseconds(pauseMs - 1));
        Assert.Empty(silos.InOrder());
        time.Advance(TimeSpan.FromMilliseconds(2)); // The boot clock of this fake has fractions that are rounded.
        Assert.Equal([A], silos.InOrder());
    }

    [Fact]
    public void Calls_that_an_only_silo_has_left_without_an_answer_together_are_one_silence()
    {
        var silos = new SiloList([A], time);
        for (var n = 0; n < 27; n++)
        {
            silos.Silent(A);
        }

        time.Advance(TimeSpan.FromMilliseconds(501));
        Assert.Equal([A], silos.InOrder());
    }

    [Fact]
    public void An_answer_ends_the_pause_and_the_next_one_is_the_first_again()
    {
        var silos = new SiloList([A], time);
        silos.Silent(A);
        time.Advance(TimeSpan.FromSeconds(5));
        silos.Silent(A);
        silos.Answered(A);
        Assert.Equal([A], silos.InOrder());
        silos.Silent(A);
        time.Advance(TimeSpan.FromMilliseconds(501));
        Assert.Equal([A], silos.InOrder());
    }
}
