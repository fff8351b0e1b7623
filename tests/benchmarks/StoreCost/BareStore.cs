using System.Globalization;
using System.Text.Json;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using AwsVpcCni.Silo.Storage.Sqlite;

namespace AwsVpcCni.Benchmarks.StoreCost;

/// <summary>The other side of the comparison, a process of its own: the statements that an assignment needs, and nothing else.
/// It runs a block of as many seconds as each line of its input says, and ends with its input.</summary>
internal static class BareStore
{
    /// <summary><see cref="AmazonDynamoDBClient"/> as the silo sets it up, and its conditional PutItem.</summary>
    /// <param name="watched">Processes whose CPU is wanted beside this one's.</param>
    public static async Task PutItemsAsync(string url, string table, StoreSize size, IReadOnlyList<int> watched)
    {
        using var sdk = new AmazonDynamoDBClient(DynamoDbSetup.Config(new StorageOptions { ServiceUrl = url, Region = StoreBenchmark.Region }));
        await ServeAsync(new Rounds(size.Nodes, size.Addresses, StoreBenchmark.InFlight, (_, row) => PutAsync(sdk, table, row), () => FreeAllAsync(sdk, table, size)), watched);
    }

    /// <summary>The silo's connection and its conditional INSERT. One is under way at a time: SQLite has one writer, and with more the others wait for its lock.</summary>
    public static async Task InsertRowsAsync(string path, StoreSize size)
    {
        using var file = DatabaseFile.Open(path);
        using var session = new Session(file.Connection);
        await ServeAsync(
            new Rounds(size.Nodes, size.Addresses, inFlight: 1, InsertAsync, () => Task.FromResult(session.Execute("UPDATE addresses SET released = since"))), watched: []);

        // By itself it is a transaction, so it is on disk when it ends.
        Task InsertAsync(int n, AddressRow row) =>
            Silo.Storage.Sqlite.AddressBook.Assign(session, row) is null ? Task.CompletedTask : throw new InvalidOperationException($"{row.Address} is taken.");
    }

    private static async Task ServeAsync(Rounds rounds, IReadOnlyList<int> watched)
    {
        while (await Console.In.ReadLineAsync() is { } seconds)
        {
            var block = await rounds.RunAsync(double.Parse(seconds, CultureInfo.InvariantCulture), [Environment.ProcessId, .. watched], CancellationToken.None);
            await Console.Out.WriteLineAsync(JsonSerializer.Serialize(block));
        }
    }

    /// <summary>What <see cref="Silo.Storage.DynamoDb.AddressBook"/> sends.</summary>
    private static Task<PutItemResponse> PutAsync(AmazonDynamoDBClient sdk, string table, AddressRow row) => sdk.PutItemAsync(new PutItemRequest
    {
        TableName = table,
        Item = AddressItem.Write(row),
        ConditionExpression = "attribute_not_exists(node) OR attribute_exists(released)",
        ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure.ALL_OLD,
        ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
    });

    private static async Task FreeAllAsync(AmazonDynamoDBClient sdk, string table, StoreSize size)
    {
        List<Dictionary<string, AttributeValue>> keys = [];
        ScanResponse page = new();
        do
        {
            page = await sdk.ScanAsync(new ScanRequest { TableName = table, ExclusiveStartKey = page.LastEvaluatedKey, ProjectionExpression = "node, address" });
            keys.AddRange(page.Items);
        }
        while (page.LastEvaluatedKey is { Count: > 0 });

        if (keys.Count != size.Nodes.Count * size.Addresses)
        {
            throw new InvalidOperationException($"{keys.Count} items stand, and {size.Nodes.Count * size.Addresses} were put.");
        }

        foreach (var some in keys.Chunk(StoreBenchmark.InFlight))
        {
            await Task.WhenAll(some.Select(key => sdk.UpdateItemAsync(new UpdateItemRequest
            {
                TableName = table,
                Key = key,
                UpdateExpression = "SET released = :now",
                ExpressionAttributeValues = new() { [":now"] = AddressItem.S(AddressItem.Text(TimeProvider.System.GetUtcNow())) },
            })));
        }
    }
}
