using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>How real silos join and leave, and what they do by themselves: no node calls.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class SilosTests(DynamoDbLocal dynamo)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EC2_is_read_without_any_node_that_calls_also_after_the_silo_that_read_it_was_killed()
    {
        await using var store = new DynamoDbStore(dynamo);
        await using var silos = new SiloProcesses(dynamo, store, new Dictionary<string, string> { ["Ec2__Endpoint"] = Ec2Process.Endpoint });
        await using var ec2 = await Ec2Process.StartAsync(dynamo, silos.Folder, Fleet.Vpc([]), Cancellation);
        async Task<int> LooksAsync() => (await ec2.CallsAsync(Cancellation)).Count(call => call.Action == "DescribeSubnets");
        silos.Start(1);
        await silos.UntilAsync("the first silo to look at the subnets", async () => await LooksAsync() > 0, Cancellation);

        silos.Start(2);
        await silos.ReadyAsync(2, Cancellation);
        await silos.SignalAsync(1, "KILL", Cancellation);
        var before = await LooksAsync();
        await silos.UntilAsync("the other one to go on", async () => await LooksAsync() > before, Cancellation);
    }

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
