using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>The tables are lost, or restored to an earlier moment, under pods that run and pods that come and go (ADR 0010).</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class LostStoreTests(DynamoDbLocal dynamo)
{
    private const int Nodes = 20;
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
        await fleet.Silos.StartAllAsync(Fleet.SiloCount, Cancellation);
        await fleet.Silos.UntilAsync("each node's grain to offer an address", () => Task.FromResult(fleet.Nodes.Zip(offers).All(one => one.First.Answers.Offers > one.Second)), Cancellation);

        await ChurnTests.EndAsync(fleet, churn);
        foreach (var (node, sandbox, address) in running)
        {
            var row = await fleet.Books.RowOfAsync(node, address, Cancellation);
            Assert.True(row is { Released: null } && row.Sandbox == sandbox, $"{address} of {node} is on {sandbox}, and its row says {row?.Sandbox} {row?.Released}");
        }

        var older = Enumerable.Range(1, Fleet.SiloCount).SelectMany(silo => File.ReadLines(fleet.Silos.LogOf(silo))).Count(line => line.Contains("NodeGrain[2115]", StringComparison.Ordinal));
        TestContext.Current.SendDiagnosticMessage("{0} pods ran through it; {1} times a node was newer than the store; {2} addresses were used again; of {3} only EC2 knew", running.Count, older, fleet.Register.Reused, unheard);
        Assert.True(isRestored || older > 0, "no node was newer than the store"); // Between two moments few nodes may have drawn or returned anything.
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
