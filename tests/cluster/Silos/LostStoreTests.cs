using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Tests.Cluster.Cli;
using AwsVpcCni.Tests.Cluster.Storage;
using AwsVpcCni.VpcEmulator.Control;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>The tables are lost, or restored to an earlier moment, under pods that run and pods that come and go (ADR 0010).</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class LostStoreTests(DynamoDbLocal dynamo)
{
    private const int Nodes = 20;
    private const int Late = 5; // Of them, whose executors report when the others have had their orders.
    private const double AddsPerSecond = 5;
    private static readonly TimeSpan ForAWhile = TimeSpan.FromSeconds(12); // Longer than the cool-down.
    private static readonly TimeSpan HalfAMinute = TimeSpan.FromSeconds(30); // docs/operating.md.

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task No_pod_loses_its_address_when_all_tables_are_lost_or_of_an_earlier_moment(bool isRestored)
    {
        await using var fleet = await Fleet.StartAsync(dynamo, Nodes, Cancellation);
        await using var first = ChurnTests.Start(fleet, AddsPerSecond);
        await Task.Delay(ForAWhile, Cancellation);
        var earlier = isRestored ? await ReadAsync(fleet.Store) : [];
        await RaiseAllAsync(fleet); // So that each document of then is older than its node, and EC2 shows what it does not know.
        await Task.Delay(ForAWhile, Cancellation);
        await first.StopAsync();
        await fleet.Books.AllAgreesAsync(fleet.Nodes, Cancellation);
        var running = fleet.Nodes.SelectMany(node => node.Wired, (node, pod) => (Node: node.Id, Sandbox: pod.Key, Address: pod.Value)).ToList();
        Assert.NotEmpty(running);

        await using var churn = ChurnTests.Start(fleet, AddsPerSecond);
        for (var silo = 1; silo <= Fleet.SiloCount; silo++)
        {
            await fleet.Silos.SignalAsync(silo, "TERM", Cancellation);
        }

        for (var silo = 1; silo <= Fleet.SiloCount; silo++)
        {
            await fleet.Silos.EndAsync(silo, Cancellation);
        }

        var unheard = isRestored ? await fleet.Books.NoteUnheardAsync(fleet.Nodes, Cancellation) : 0;
        foreach (var table in TablesOf(fleet.Store))
        {
            await fleet.Store.Sdk.DeleteTableAsync(table, Cancellation);
        }

        if (isRestored)
        {
            await Task.Delay(HalfAMinute, Cancellation);
            await fleet.Store.OpenAsync();
            await fleet.Store.Membership().InitializeMembershipTable(true);
            foreach (var (table, item) in earlier)
            {
                await fleet.Store.Sdk.PutItemAsync(table, item, Cancellation);
            }
        }

        var offers = fleet.Nodes.Select(node => node.Answers.Offers).ToArray();
        var down = TimeProvider.System.GetUtcNow();
        var (reports, lateReports) = (new TaskCompletionSource(), new TaskCompletionSource());
        for (var node = 0; node < Nodes; node++)
        {
            fleet.Nodes[node].Answers.HoldReports((node < Late ? lateReports : reports).Task);
        }

        await fleet.Silos.StartAllAsync(Fleet.SiloCount, Cancellation);
        await Task.Delay(ForAWhile, Cancellation); // What is not to be done would be done: grains are there, ADDs ask them.
        reports.SetResult();
        await OffersAsync(Late);
        await Task.Delay(ForAWhile, Cancellation);
        lateReports.SetResult();
        await OffersAsync(0);

        await ChurnTests.EndAsync(fleet, churn);
        await NothingIsReturnedBeforeItsNodeHasReportedAsync(fleet, down);
        foreach (var (node, sandbox, address) in running)
        {
            var row = await fleet.Books.RowOfAsync(node, address, Cancellation);
            Assert.True(row is { Released: null } && row.Sandbox == sandbox, $"{address} of {node} is on {sandbox}, and its row says {row?.Sandbox} {row?.Released}");
        }

        var older = Enumerable.Range(1, Fleet.SiloCount).SelectMany(silo => File.ReadLines(fleet.Silos.LogOf(silo))).Count(line => line.Contains("NodeGrain[2115]", StringComparison.Ordinal));
        TestContext.Current.SendDiagnosticMessage("{0} pods ran through it; {1} times a node was newer than the store; {2} addresses were used again; of {3} only EC2 knew", running.Count, older, fleet.Register.Reused, unheard);
        Assert.True(older >= Nodes, $"{older} nodes were newer than the store");

        Task OffersAsync(int from) => fleet.Silos.UntilAsync(
            $"the grains of nodes from {from} on to offer an address", () => Task.FromResult(fleet.Nodes.Zip(offers).Skip(from).All(one => one.First.Answers.Offers > one.Second)), Cancellation);
    }

    [Fact]
    public async Task No_pod_loses_its_address_when_rows_history_and_documents_are_lost_under_silos_that_run()
    {
        await using var fleet = await Fleet.StartAsync(dynamo, Nodes, Cancellation);
        await using var churn = ChurnTests.Start(fleet, AddsPerSecond);
        await Task.Delay(ForAWhile, Cancellation);
        using var http = dynamo.Http();

        string[] lost = [fleet.Store.Settings.AddressTable, fleet.Store.Settings.HistoryTable, fleet.Store.Settings.GrainTable];
        foreach (var table in lost)
        {
            await fleet.Store.Sdk.DeleteTableAsync(table, Cancellation);
        }

        await fleet.Silos.UntilAsync("/readyz to name what is lost", async () =>
            await SiloProcesses.ReadinessSaidAsync(http, 1, Cancellation) is var (_, said) && lost.All(table => said.Contains($"no table {table} here", StringComparison.Ordinal)), Cancellation);
        await Task.Delay(ForAWhile, Cancellation);
        var made = await new Ipam(dynamo, fleet.Store.Settings).RunAsync("tables", "create");
        Assert.True(made.ExitCode == 0, made.Errors);
        for (var silo = 1; silo <= Fleet.SiloCount; silo++)
        {
            await fleet.Silos.ReadyAsync(silo, Cancellation);
        }

        await RaiseAllAsync(fleet); // A document that is not written is not missed.
        await ChurnTests.EndAsync(fleet, churn);
    }

    /// <summary>Each node has drawn what a policy of now wants.</summary>
    private static async Task RaiseAllAsync(Fleet fleet)
    {
        var most = fleet.Nodes.Max(node => node.Lease.Slots.Count);
        await fleet.RaiseAsync(1, Cancellation);
        await fleet.Silos.UntilAsync($"each node to have more than {most} addresses", () => Task.FromResult(fleet.Nodes.All(node => node.Lease.Slots.Count > most)), Cancellation);
    }

    /// <summary>By EC2's own log: nothing has left an interface of a node, nor an interface a node, before that node's executor had reported to the silos of now.</summary>
    private static async Task NothingIsReturnedBeforeItsNodeHasReportedAsync(Fleet fleet, DateTimeOffset down)
    {
        CallEntry[] calls = [];
        var nodeOf = await fleet.NodesOfInterfacesAsync(Cancellation);
        var reported = fleet.Nodes.ToDictionary(node => node.Id, node => node.Answers.ReportedFirst ?? DateTimeOffset.MaxValue);
        var all = reported.Values.Max();
        // The policy of now is lost, too: what it had drawn goes back, when all that is there has been told.
        await fleet.Silos.UntilAsync("something to be returned to EC2", async () =>
        {
            calls = [.. (await fleet.CallsAsync(Cancellation)).Where(call => call.Error is null && call.Action is "UnassignPrivateIpAddresses" or "DetachNetworkInterface" or "DeleteNetworkInterface")];
            return calls.Any(call => call.At > all);
        }, Cancellation);
        Assert.Empty(
            from call in calls
            where call.At > down
            let node = call.Parameters.GetValueOrDefault("NetworkInterfaceId") is { } eni ? nodeOf.GetValueOrDefault(eni) : null
            where call.At < (node is null ? all : reported[node])
            select $"{call.At:O} {call.Action} of {node}, which has reported at {(node is null ? all : reported[node]):O}");
        TestContext.Current.SendDiagnosticMessage("{0} returns after {1:O}", calls.Count(call => call.At > all), all);
    }

    private static string[] TablesOf(DynamoDbStore store) => [store.Settings.AddressTable, store.Settings.HistoryTable, store.Settings.GrainTable, store.Settings.MembershipTable];

    private static async Task<List<(string Table, Dictionary<string, AttributeValue> Item)>> ReadAsync(DynamoDbStore store)
    {
        List<(string, Dictionary<string, AttributeValue>)> items = [];
        foreach (var table in TablesOf(store))
        {
            await foreach (var page in store.Sdk.Paginators.Scan(new ScanRequest(table) { ConsistentRead = true }).Responses.WithCancellation(Cancellation))
            {
                items.AddRange(page.Items.Select(item => (table, item)));
            }
        }

        return items;
    }
}
