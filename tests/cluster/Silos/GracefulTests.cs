using System.Collections.Immutable;
using System.Net;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Silos that get SIGTERM while pods come and go.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class GracefulTests(DynamoDbLocal dynamo)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_silo_that_leaves_closes_its_door_and_ends_and_all_are_restarted_one_after_the_other()
    {
        await using var fleet = await Fleet.StartAsync(dynamo, ChurnTests.Nodes, Cancellation);
        await using var churn = ChurnTests.Start(fleet);
        var leaving = await Episode.WatchAsync("SIGTERM of silo 1", fleet, churn, 1, () => LeaveAsync(dynamo, fleet, 1), Cancellation);
        await ChurnTests.CheckAsync(fleet, churn, leaving);
        await fleet.Silos.RestartAsync(1, Cancellation);

        for (var silo = 1; silo <= Fleet.SiloCount; silo++)
        {
            var restart = await Episode.WatchAsync($"restart of silo {silo}", fleet, churn, silo, async () =>
            {
                await fleet.Silos.SignalAsync(silo, "TERM", Cancellation);
                Assert.Equal(0, await fleet.Silos.EndAsync(silo, Cancellation));
                await fleet.Silos.RestartAsync(silo, Cancellation);
            }, Cancellation);
            await ChurnTests.CheckAsync(fleet, churn, restart);
        }

        await ChurnTests.EndAsync(fleet, churn);
    }

    /// <summary>SIGTERM of a silo, or of an edge: from then on it is not ready, then its door closes, and it ends well.</summary>
    internal static async Task LeaveAsync(DynamoDbLocal dynamo, Fleet fleet, int silo)
    {
        using var http = dynamo.Http();
        var ended = new AssignRequest(new Stamp(0, 1), new SandboxKey("probe", "eth0"), new PodName("", "", ""), ImmutableArray<Refusal>.Empty);
        await fleet.Silos.ReadyAsync(silo, Cancellation);
        var began = TimeProvider.System.GetTimestamp();
        await fleet.Silos.SignalAsync(silo, "TERM", Cancellation);
        TimeSpan? notReady = null;
        while (await IsOpenAsync())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < SiloProcesses.Patience, $"its door is open {SiloProcesses.Patience.TotalSeconds} s after SIGTERM");
            if (await SiloProcesses.ReadinessAsync(http, silo, Cancellation) is not HttpStatusCode.OK)
            {
                notReady ??= TimeProvider.System.GetElapsedTime(began);
            }
        }

        var closed = TimeProvider.System.GetElapsedTime(began);
        Assert.NotEqual(HttpStatusCode.OK, await SiloProcesses.ReadinessAsync(http, silo, Cancellation));
        Assert.Equal(0, await fleet.Silos.EndAsync(silo, Cancellation));
        TestContext.Current.SendDiagnosticMessage(
            "SIGTERM: not ready after {0:0.000} s, its door closed after {1:0.000} s, it ended after {2:0.00} s", (notReady ?? closed).TotalSeconds, closed.TotalSeconds, TimeProvider.System.GetElapsedTime(began).TotalSeconds);

        async Task<bool> IsOpenAsync()
        {
            try
            {
                await fleet.Calls.AssignAsync(SiloProcesses.DoorOf(silo), fleet.Nodes[0].Id, ended, Cancellation);
                return true; // A refusal too is an answer.
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }
    }
}
