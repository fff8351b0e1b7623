using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Pods come and go on 50 nodes while a silo ends: none fails, no address is on two, and the books agree. `make soak` does it longer.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class ChurnTests(DynamoDbLocal dynamo)
{
    internal const int Nodes = 50;
    internal const double AddsPerSecond = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90); // Three times the cool-down.

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pods_come_and_go_while_a_silo_is_killed_and_another_one_stands_still()
    {
        await using var fleet = await Fleet.StartAsync(dynamo, Nodes, Cancellation);
        await using var churn = Start(fleet);
        await CheckAsync(fleet, churn, await Episode.KillAsync(fleet, churn, fleet.Silos.Busiest(), Cancellation));
        await CheckAsync(fleet, churn, await Episode.StopAsync(fleet, churn, fleet.Silos.Busiest(), Cancellation));
        await EndAsync(fleet, churn);
    }

    internal static Churn Start(Fleet fleet, double addsPerSecond = AddsPerSecond)
    {
        var seed = Seed.Take();
        TestContext.Current.SendDiagnosticMessage("{0}={1}", Seed.Variable, seed);
        var churn = new Churn(fleet.Nodes, addsPerSecond, seed);
        churn.Start();
        return churn;
    }

    /// <summary>After an episode.</summary>
    internal static async Task CheckAsync(Fleet fleet, Churn churn, Episode episode)
    {
        TestContext.Current.SendDiagnosticMessage("{0}", episode);
        None(churn.Failures);
        None(fleet.Register.Wrong);
        Assert.True(episode.Adds.Count > 0, "no ADD");
        await fleet.Books.RowsAgreeAsync(fleet.Nodes, Cancellation);
    }

    /// <summary>After the last one.</summary>
    internal static async Task EndAsync(Fleet fleet, Churn churn)
    {
        // On a machine at rest the episodes may be shorter than the cool-down.
        for (var began = TimeProvider.System.GetTimestamp(); fleet.Register.Reused == 0; await Task.Delay(200, Cancellation))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Patience, $"no address was used twice within {Patience.TotalSeconds} s more, so the cool-down was not seen");
        }

        await churn.StopAsync();
        None(churn.Failures);
        None(fleet.Register.Wrong);
        await fleet.Books.AllAgreesAsync(fleet.Nodes, Cancellation);
    }

    private static void None(IReadOnlyList<string> wrong) => Assert.True(wrong.Count == 0, string.Join("; ", wrong.Take(20)));
}
