using System.Collections.Immutable;
using System.Net;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>An edge, a process of its own, before real silos.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class EdgeTests(DynamoDbLocal dynamo)
{
    private const int SiloCount = 2;
    private const int Edge = 3;
    private static readonly AssignRequest Probe = new(new Stamp(0, 1), new SandboxKey("probe", "eth0"), new PodName("", "", ""), ImmutableArray<Refusal>.Empty);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pods_come_and_go_by_an_edge_while_silos_are_restarted_and_by_the_lease_while_there_is_none()
    {
        // Gateways are nowhere but at the silos' own addresses, so the edge has found them by the membership table.
        await using var fleet = await Fleet.StartAsync(
            dynamo, nodes: 5, Cancellation, SiloCount, new Dictionary<string, string> { ["Silo__GatewayForEdges"] = "true" },
            silos => Enumerable.Range(1, SiloCount).ToList().ForEach(silo => silos.Own[silo] = new() { ["Silo__Address"] = $"127.0.0.{1 + silo}" }), hasEdge: true);
        Assert.Equal([SiloStatus.Active, SiloStatus.Active], await fleet.Silos.StatusesAsync()); // The edge is no place for a grain.
        await HintedAsync(fleet);

        await using (var churn = ChurnTests.Start(fleet, addsPerSecond: 4))
        {
            for (var silo = 1; silo <= SiloCount; silo++)
            {
                churn.Take();
                await fleet.Silos.SignalAsync(silo, "TERM", Cancellation);
                Assert.Equal(0, await fleet.Silos.EndAsync(silo, Cancellation));
                await fleet.Silos.RestartAsync(silo, Cancellation);
                await fleet.Silos.ReadyAsync(Edge, Cancellation);
                var adds = churn.Take();
                TestContext.Current.SendDiagnosticMessage("restart of silo {0} behind the edge: {1}", silo, adds);
                Assert.True(adds.Count > 0, "no ADD");
            }

            await churn.StopAsync();
            Assert.Empty(churn.Failures);
        }

        foreach (var node in fleet.Nodes)
        {
            foreach (var sandbox in node.Wired.Keys)
            {
                await node.DeleteAsync(sandbox); // So that each lease has addresses.
            }
        }

        await fleet.Books.RowsAgreeAsync(fleet.Nodes, Cancellation);

        for (var silo = 1; silo <= SiloCount; silo++)
        {
            await fleet.Silos.SignalAsync(silo, "TERM", Cancellation);
        }

        for (var silo = 1; silo <= SiloCount; silo++)
        {
            await fleet.Silos.EndAsync(silo, Cancellation); // The last one may find nobody to hand over to.
        }

        Assert.Contains("no silo answers", await SaidAsync(fleet.Silos, HttpStatusCode.ServiceUnavailable), StringComparison.Ordinal);
        Assert.Null(await fleet.Calls.AssignAsync(SiloProcesses.DoorOf(Edge), fleet.Nodes[0].Id, Probe, Cancellation)); // Refused, and in time.
        foreach (var node in fleet.Nodes)
        {
            Assert.Null((await node.AddAsync(Cancellation)).Failure);
            await node.DeleteAsync(node.Wired.Keys.First());
        }

        await fleet.Silos.StartAllAsync(SiloCount, Cancellation);
        await fleet.Silos.ReadyAsync(Edge, Cancellation);
        await HintedAsync(fleet);
        await fleet.Books.RowsAgreeAsync(fleet.Nodes, Cancellation);
        Assert.Empty(fleet.Register.Wrong);
        var way = fleet.Store.EdgeWay;
        Assert.Empty(way.Refusals);
        Assert.Equal(way.Policy!.Grants.Order(), way.Policy.Used.Order()); // docs/iam/dynamodb-edge.json grants what it does, and nothing else.

        await GracefulTests.LeaveAsync(dynamo, fleet, Edge);
    }

    [Fact]
    public async Task An_edge_waits_for_the_gateways_that_it_is_given_and_finds_a_silo_again_that_was_killed()
    {
        await using var store = new DynamoDbStore(dynamo); // Of no use here but for its namespace: this silo has a file.
        await using var silos = new SiloProcesses(dynamo, store, new Dictionary<string, string> { ["Silo__Clustering"] = "single", ["Storage__Provider"] = "sqlite" });
        silos.Own[1] = new() { ["Storage__Path"] = Path.Combine(silos.Folder.FullName, "silo.db") };
        silos.Own[Edge] = new() { ["Edge__Gateways__0"] = "127.0.0.1:30001" };

        silos.StartEdge(Edge);
        Assert.Contains("no silo answers", await SaidAsync(silos, HttpStatusCode.ServiceUnavailable), StringComparison.Ordinal);
        await silos.SignalAsync(Edge, "TERM", Cancellation);
        Assert.Equal(0, await silos.EndAsync(Edge, Cancellation));

        silos.StartEdge(Edge);
        await SaidAsync(silos, HttpStatusCode.ServiceUnavailable);
        await silos.RestartAsync(1, Cancellation);
        await silos.ReadyAsync(Edge, Cancellation);

        await silos.SignalAsync(1, "KILL", Cancellation);
        await silos.EndAsync(1, Cancellation);
        await SaidAsync(silos, HttpStatusCode.ServiceUnavailable);
        await silos.RestartAsync(1, Cancellation); // Its membership begins anew.
        await silos.ReadyAsync(Edge, Cancellation);
    }

    /// <summary>What the edge says when it answers so.</summary>
    private async Task<string> SaidAsync(SiloProcesses silos, HttpStatusCode status)
    {
        using var http = dynamo.Http();
        (HttpStatusCode? Status, string Said) last = (null, "");
        await silos.UntilAsync(() => $"the edge to answer {status} (it is {last})", async () => (last = await SiloProcesses.ReadinessSaidAsync(http, Edge, Cancellation)).Status == status, Cancellation);
        return last.Said;
    }

    /// <summary>The policy changes by the edge's HTTP API, and each node's grain tells its executor by the edge that there is news.</summary>
    private static async Task HintedAsync(Fleet fleet)
    {
        var before = fleet.Nodes.Select(node => node.Answers.Hints).ToList();
        await fleet.RaiseAsync(Edge, Cancellation);
        await fleet.Silos.UntilAsync("each executor to be hinted", () => Task.FromResult(fleet.Nodes.Zip(before).All(node => node.First.Answers.Hints > node.Second)), Cancellation);
    }
}
