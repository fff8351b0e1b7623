using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.Silo.Storage;
using AwsVpcCni.Tests.Cluster.NodeApi;
using Microsoft.Extensions.Hosting;
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
            Fake.Of<ISiloStatusOracle>((_, _) => status), Fake.Of<IStore>((_, _) => Task.CompletedTask), Fake.Of<IHostApplicationLifetime>((_, _) => new CancellationToken(isStopping)));

        Assert.Equal(whyNot, await readiness.WhyNotAsync(Cancellation));
    }
}
