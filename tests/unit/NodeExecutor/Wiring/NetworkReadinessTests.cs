using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Wiring;

public sealed class NetworkReadinessTests
{
    private readonly FakeTimeProvider time = new();
    private readonly NetworkReadiness network = new();

    [Fact]
    public async Task Who_waits_is_told_after_that_time_what_was_said_last()
    {
        var waiting = network.WhyNotAsync(TimeSpan.FromSeconds(200), isPod: true, time, TestContext.Current.CancellationToken).AsTask();
        time.Advance(TimeSpan.FromSeconds(199));
        Assert.False(waiting.IsCompleted);
        network.NotYet("the metadata service is off");
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.EndsWith(": the metadata service is off", await waiting, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_waits_goes_on_when_it_is_set()
    {
        var waiting = network.WhyNotAsync(TimeSpan.FromSeconds(200), isPod: true, time, TestContext.Current.CancellationToken).AsTask();
        network.Set();
        Assert.Null(await waiting);
    }
}
