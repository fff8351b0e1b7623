using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>How real silos join and leave, without EC2 and without nodes.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class SilosTests(DynamoDbLocal dynamo)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Silos_join_on_empty_tables_a_killed_one_is_found_dead_and_a_stopped_one_leaves()
    {
        await using var store = new DynamoDbStore(dynamo);
        await using var silos = new SiloProcesses(dynamo, store);
        await silos.StartAllAsync(3, Cancellation);
        Assert.Equal([SiloStatus.Active, SiloStatus.Active, SiloStatus.Active], await silos.StatusesAsync());

        var killed = TimeProvider.System.GetTimestamp();
        await silos.SignalAsync(1, "KILL", Cancellation);
        await silos.UntilAsync("the killed silo to be declared dead", async () => (await silos.StatusesAsync())[0] == SiloStatus.Dead, Cancellation);
        TestContext.Current.SendDiagnosticMessage("declared dead after {0:0.0} s", TimeProvider.System.GetElapsedTime(killed).TotalSeconds);
        await silos.ReadyAsync(2, Cancellation);

        await silos.SignalAsync(2, "TERM", Cancellation);
        Assert.Equal(0, await silos.EndAsync(2, Cancellation));
        Assert.Equal([SiloStatus.Dead, SiloStatus.Dead, SiloStatus.Active], await silos.StatusesAsync());
        await silos.ReadyAsync(3, Cancellation);
    }
}
