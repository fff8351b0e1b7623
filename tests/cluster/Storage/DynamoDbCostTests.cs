using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage.DynamoDb;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>What a pod costs: the capacity units that DynamoDB's answers tell.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class DynamoDbCostTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private const string Node = "i-00000000000000001";
    private const int BatchBound = 25; // Of BatchWriteItem.

    private static readonly DateTimeOffset Yesterday = TimeProvider.System.GetUtcNow().AddDays(-1);

    private readonly DynamoDbStore _store = new(dynamo);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _store.OpenAsync();

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Theory]
    [InlineData(10)]
    [InlineData(100)]
    [InlineData(700)] // The largest instances take 737 pods.
    public async Task An_ADD_costs_one_write_unit_and_a_DEL_two_with_the_longest_names_and_however_many_pods_the_node_has(int pods)
    {
        await Parallel.ForEachAsync(Enumerable.Range(1, pods).Chunk(BatchBound), Cancellation, async (some, ends) =>
        {
            var written = await _store.Sdk.BatchWriteItemAsync(
                new Dictionary<string, List<WriteRequest>> { [_store.Settings.AddressTable] = [.. some.Select(number => new WriteRequest(new PutRequest(AddressItem.Write(Row(number)))))] }, ends);
            Assert.True(written.UnprocessedItems is not { Count: > 0 });
        });
        var (book, row) = (_store.Book(), Row(0xffff));

        var units = _store.CountCapacity(out var listener);
        using (listener)
        {
            Assert.Null(await book.TryAssignAsync(row, Cancellation));
            Assert.Equal(new Dictionary<string, double> { ["PutItem"] = 1 }, units);

            units.Clear();
            Assert.True(await book.TryReleaseAsync(row with { Released = Yesterday.AddHours(1) }, Cancellation));
            Assert.Equal(new Dictionary<string, double> { ["PutItem"] = 1, ["UpdateItem"] = 1 }, units); // Its history, the row.

            units.Clear();
            Assert.True(await book.TryRemoveAsync(Node, row.Address, Cancellation));
            Assert.Equal(new Dictionary<string, double> { ["DeleteItem"] = 1 }, units);

            units.Clear();
            Assert.Equal(pods, (await book.ReadNodeAsync(Node, Cancellation)).Length);
            TestContext.Current.SendDiagnosticMessage("{0} pods on the node: ADD 1 write unit, DEL 2, an address returned 1; to read the node, when its grain starts, {1} read units", pods, units["Query"]);
        }
    }

    private static AddressRow Row(int number) => new()
    {
        NodeId = Node,
        Address = Ip.Parse($"fd00:1111:2222:3333:4444:5555:6666:{number:x}"),
        Sandbox = new SandboxKey(new string('c', 64), new string('i', 15)), // A runtime's id; IFNAMSIZ - 1.
        Pod = new PodName(new string('n', 63), new string('p', 253), new string('u', 36)), // Kubernetes' DNS label and subdomain; a UID.
        Stamp = new Stamp(long.MaxValue, long.MaxValue),
        Since = Yesterday,
    };
}
