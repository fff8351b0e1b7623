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
    public void When_all_are_silent_none_is_asked_for_a_while()
    {
        var silos = new SiloList([A], time);
        silos.Silent(A);

        Assert.Empty(silos.InOrder());
    }
}
