using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.Silo.Storage;
using AwsVpcCni.Tests.Cluster.NodeApi;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Hosting;

public sealed class ReadinessTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SiloStatus.Active, false, null)]
    [InlineData(SiloStatus.Active, true, "it is leaving")]
    [InlineData(SiloStatus.Joining, false, "the silo is Joining")]
    [InlineData(SiloStatus.ShuttingDown, true, "it is leaving")]
    public async Task A_silo_is_ready_while_it_is_active_and_nobody_has_asked_it_to_end(SiloStatus status, bool isStopping, string? whyNot)
    {
        var readiness = new SiloReadiness(
            Fake.Of<ISiloStatusOracle>((_, _) => status), Fake.Of<IStore>((_, _) => Task.CompletedTask), TimeProvider.System, Fake.Of<IHostApplicationLifetime>((_, _) => new CancellationToken(isStopping)));

        Assert.Equal(whyNot, await readiness.WhyNotAsync(Cancellation));
    }

    [Fact]
    public async Task Whoever_asks_within_a_second_gets_the_same_answer_and_the_store_is_asked_once()
    {
        var (time, probes) = (new FakeTimeProvider(), 0);
        var readiness = new SiloReadiness(
            Fake.Of<ISiloStatusOracle>((_, _) => SiloStatus.Active), Fake.Of<IStore>((_, _) => ++probes > 1 ? throw new StoreException("away") : Task.CompletedTask), time,
            Fake.Of<IHostApplicationLifetime>((_, _) => CancellationToken.None));

        Assert.All(await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => readiness.WhyNotAsync(Cancellation))), Assert.Null);
        Assert.Equal(1, probes);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("away", await readiness.WhyNotAsync(Cancellation));
        Assert.Equal(2, probes);
    }
}
