using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>An item in the table of documents while an import fills the tables: they are not whole then, and no silo starts on them.</summary>
internal sealed class ImportMark(Sender sender, IOptions<StorageOptions> options, IOptions<ClusterOptions> cluster)
{
    private const string ImportId = "ImportId";

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    private readonly string _table = options.Value.GrainTable;

    // Like no grain's: their ids have a slash.
    private string HashValue => $"{cluster.Value.ServiceId}_import";

    private Dictionary<string, AttributeValue> Key => new() { [GrainStorage.HashKey] = new(HashValue), [GrainStorage.RangeKey] = new("unfinished") };

    /// <summary>Of the import that is not at its end; null: there is none.</summary>
    public Task<string?> ReadAsync(CancellationToken cancellation) => ReadAsync(Deadline, cancellation);

    private async Task<string?> ReadAsync(TimeSpan deadline, CancellationToken cancellation)
    {
        var request = new GetItemRequest { TableName = _table, Key = Key, ConsistentRead = true, ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL };
        var answer = await sender.SendAsync(new TableCall("look for an unfinished import", _table, "GetItem"), deadline, (sdk, ends) => sdk.GetItemAsync(request, ends), cancellation);
        return answer.Item?.GetValueOrDefault(ImportId)?.S;
    }

    /// <exception cref="StoreException">There is an unfinished import.</exception>
    public Task RefuseUnfinishedAsync(CancellationToken cancellation) => RefuseUnfinishedAsync(Deadline, cancellation);

    /// <exception cref="StoreException">There is an unfinished import, or it is not known.</exception>
    public async Task RefuseUnfinishedAsync(TimeSpan deadline, CancellationToken cancellation)
    {
        if (await ReadAsync(deadline, cancellation) is not null)
        {
            throw new StoreException($"Table {_table} holds a part of an import that was interrupted. Run the same `ipam import` again: it goes on, and may be run as often as it takes. Or delete the tables.");
        }
    }

    /// <summary>Begins an import.</summary>
    /// <returns>False: another one has begun.</returns>
    public async Task<bool> TrySetAsync(string importId, CancellationToken cancellation)
    {
        var request = new PutItemRequest
        {
            TableName = _table,
            Item = new(Key) { [ImportId] = new(importId) },
            ConditionExpression = $"attribute_not_exists({GrainStorage.HashKey}) OR {ImportId} = :import",
            ExpressionAttributeValues = new() { [":import"] = new(importId) },
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        try
        {
            await SendAsync("begin an import", "PutItem", (sdk, ends) => sdk.PutItemAsync(request, ends), cancellation);
            return true;
        }
        catch (ConditionalCheckFailedException)
        {
            return false;
        }
    }

    /// <summary>The import is at its end.</summary>
    public Task RemoveAsync(CancellationToken cancellation)
    {
        var request = new DeleteItemRequest { TableName = _table, Key = Key, ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL };
        return SendAsync("end an import", "DeleteItem", (sdk, ends) => sdk.DeleteItemAsync(request, ends), cancellation);
    }

    private Task<TAnswer> SendAsync<TAnswer>(string what, string action, Func<IAmazonDynamoDB, CancellationToken, Task<TAnswer>> send, CancellationToken cancellation)
        where TAnswer : AmazonWebServiceResponse =>
        sender.SendAsync(new TableCall(what, _table, action), Deadline, send, cancellation);
}
