using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using AwsVpcCni.Silo.Storage.DynamoDb;
using AwsVpcCni.Silo.Views;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>What a node that joins costs in DynamoDB, and that its documents are written with EC2's calls and not with pods: a real silo, by the capacity that the
/// store's answers tell it and by what goes over the wire.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed partial class JoinCostTests(DynamoDbLocal dynamo)
{
    private const double AloneAtMost = 24; // 16 measured.
    private const double EachOfFiftyAtMost = 48; // 32 measured, at load 37, where it took 75 s.
    private const int Together = 50;
    private const int WritesOfQuietNode = 2; // In half a minute; whatever its pods do.

    private static readonly string[] Reads = ["GetItem", "Query", "Scan"];
    private static readonly TimeSpan MetricsAreKept = Recent<string>.Age + TimeSpan.FromSeconds(0.5); // A node can have joined by then.
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(10);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_a_node_that_joins_costs_until_its_first_pod_has_an_address_alone_and_with_49_others_is_bounded()
    {
        await using var fleet = await Fleet.StartAsync(dynamo, 1, Cancellation, silosCount: 1, later: 1 + Together);
        using var http = dynamo.Http();
        await QuietAsync(http, fleet);

        var alone = await JoinAsync(1);
        await QuietAsync(http, fleet);
        var together = await JoinAsync(Together);

        Assert.InRange(alone, 1, AloneAtMost);
        Assert.InRange(together, 1, EachOfFiftyAtMost);

        async Task<double> JoinAsync(int count)
        {
            var (before, writes) = (await UnitsAsync(http, fleet), new Writes(fleet));
            var began = TimeProvider.System.GetTimestamp();
            await fleet.JoinAsync(count, FirstPodAsync, Cancellation);
            var took = TimeProvider.System.GetElapsedTime(began);
            await Task.Delay(MetricsAreKept, Cancellation);
            var (after, said) = (await UnitsAsync(http, fleet), writes.Said());
            var each = (after.Values.Sum() - before.Values.Sum()) / count;
            TestContext.Current.SendDiagnosticMessage(
                "{0} joined in {1:0.0} s: {2:0.0} write units each ({3}); writes of documents: {4}", count, took.TotalSeconds, each,
                Said(before, after), said);
            return each;
        }
    }

    [Fact]
    public async Task No_document_is_written_for_pods_within_a_nodes_warm_pool_be_they_10_or_100()
    {
        await using var fleet = await Fleet.StartAsync(dynamo, 1, Cancellation, silosCount: 1, settings: new Dictionary<string, string>
        {
            ["Pool__Prefixes"] = "true", ["Pool__MinimumIps"] = "128", ["Pool__WarmIps"] = "0",
        });
        using var http = dynamo.Http();
        await fleet.Silos.UntilAsync("128 leased addresses", () => Task.FromResult(fleet.Nodes[0].Lease.Slots.Count >= 128), Cancellation);
        await QuietAsync(http, fleet);

        var written = new List<int>();
        foreach (var pods in new[] { 10, 100 })
        {
            var (before, writes, began) = (await UnitsAsync(http, fleet), new Writes(fleet), TimeProvider.System.GetTimestamp());
            for (var pod = 0; pod < pods; pod++)
            {
                Assert.Null((await fleet.Nodes[0].AddAsync(Cancellation)).Failure);
            }

            await Task.Delay(TimeSpan.FromSeconds(30) - TimeProvider.System.GetElapsedTime(began) is { Ticks: > 0 } left ? left : TimeSpan.Zero, Cancellation); // As long for 10 as for 100.
            var units = await UnitsAsync(http, fleet);
            written.Add(writes.Count);
            TestContext.Current.SendDiagnosticMessage(
                "{0} pods: {1} writes of documents ({2}); write units: {3}", pods, writes.Count, writes.Said(), Said(before, units));
            Assert.InRange(units["addresses PutItem"] - before.GetValueOrDefault("addresses PutItem"), pods, 2 * pods); // They have gone through the store; on a busy machine some twice.
        }

        Assert.All(written, writes => Assert.InRange(writes, 0, WritesOfQuietNode));
    }

    /// <summary>As a kubelet does: on a busy machine the first sync may be sent twice, and an ADD from between the two answers is refused.</summary>
    private static async Task FirstPodAsync(FleetNode node)
    {
        while ((await node.AddAsync(Cancellation)).Failure is { } failure)
        {
            TestContext.Current.SendDiagnosticMessage("again: {0}", failure);
            await Task.Delay(TimeSpan.FromSeconds(1), Cancellation);
        }
    }

    private static string Said(SortedDictionary<string, double> before, SortedDictionary<string, double> after) =>
        string.Join(", ", after.Select(one => (one.Key, Units: one.Value - before.GetValueOrDefault(one.Key))).Where(one => one.Units > 0).Select(one => $"{one.Key} {one.Units:0}"));

    /// <summary>Until nothing but the silo's own heartbeat is written.</summary>
    private static async Task QuietAsync(HttpClient http, Fleet fleet)
    {
        double before, after = (await UnitsAsync(http, fleet)).Values.Sum();
        do
        {
            before = after;
            await Task.Delay(Idle, Cancellation);
            after = (await UnitsAsync(http, fleet)).Values.Sum();
            TestContext.Current.SendDiagnosticMessage("idle for {0} s: {1} write units", Idle.TotalSeconds, after - before);
        }
        while (after - before > 5);
    }

    /// <summary>Write units since the silo's start, by table and operation, without its membership's.</summary>
    private static async Task<SortedDictionary<string, double>> UnitsAsync(HttpClient http, Fleet fleet)
    {
        var (text, units) = (await http.GetStringAsync(new Uri("http://127.0.0.1:20001/metrics"), Cancellation), new SortedDictionary<string, double>(StringComparer.Ordinal));
        foreach (var line in text.Split('\n').Where(line => line.StartsWith("aws_vpc_cni_store_capacity_total{", StringComparison.Ordinal)))
        {
            var (table, operation) = (Table().Match(line).Groups[1].Value, Operation().Match(line).Groups[1].Value);
            if (table != fleet.Store.Settings.MembershipTable && !Reads.Contains(operation))
            {
                units[$"{table[(table.LastIndexOf('-') + 1)..]} {operation}"] = double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
            }
        }

        return units;
    }

    [GeneratedRegex("table=\"([^\"]*)\"")]
    private static partial Regex Table();

    [GeneratedRegex("operation=\"([^\"]*)\"")]
    private static partial Regex Operation();

    /// <summary>Of documents, from now on: what the silos send.</summary>
    private sealed class Writes
    {
        private readonly ConcurrentQueue<string> _names = new();

        public Writes(Fleet fleet) => fleet.Way.Always = call =>
        {
            if (call.Operation == "UpdateItem" && call.Parts[0].Table == fleet.Store.Settings.GrainTable)
            {
                using var body = JsonDocument.Parse(call.Body);
                _names.Enqueue(body.RootElement.GetProperty("Key").GetProperty(GrainStorage.RangeKey).GetProperty("S").GetString()!);
            }

            return null;
        };

        public int Count => _names.Count;

        public string Said() => string.Join(", ", _names.CountBy(one => one).OrderBy(one => one.Key, StringComparer.Ordinal).Select(one => $"{one.Key} {one.Value}"));
    }
}
