using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Storage;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>Grains' documents as JSON, each written only over the version that the grain has read, in the layout of Orleans' own provider.</summary>
/// <remarks>
/// The ETag is a number that only goes up. A cleared document leaves its number behind, so that an activation from before cannot
/// take a later document for its own.
/// <para>A write that is sent again meets its own effect when only the first answer was lost. Each write therefore leaves its id in
/// the item, an attribute that Orleans' provider does not look at: the id of this process and a number. When the condition fails
/// and our id stands there, this write was done. ETag and bytes would not tell: two activations may write the same.</para>
/// <para>In a table that was made or restored under a running silo the numbers begin anew, and one day come to that of a document which an
/// activation has read before. A write is therefore over the id that was read, too; the state's tag is both.</para>
/// </remarks>
internal sealed class GrainStorage(Sender sender, IOptions<StorageOptions> options, IOptions<ClusterOptions> cluster) : IGrainStorage
{
    /// <summary>Service id and grain id.</summary>
    public const string HashKey = "GrainReference";

    /// <summary>The document's name.</summary>
    public const string RangeKey = "GrainType";

    private const string State = "GrainState";
    private const string ETag = "ETag";
    private const string WriteId = "WriteId";
    private const char TagSeparator = ' ';

    // Of DynamoDB ("Service, account, and table quotas"): an item with its attributes' names.
    private const int ItemBytes = 400 * 1024;

    // 8 bytes in hexadecimal, and a number.
    private static readonly string LongestWrite = new('0', 16 + 1 + 19);

    private static readonly AttributeValue None = new() { NULL = true };

    private readonly string _table = options.Value.GrainTable;
    private readonly string _writer = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
    private long _writes;

    private string Prefix => $"{cluster.Value.ServiceId}_";

    /// <inheritdoc/>
    /// <exception cref="StoreException">The store does not answer, or the document is not one of this version.</exception>
    public async Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var request = new GetItemRequest
        {
            TableName = _table,
            Key = Key(stateName, grainId),
            ConsistentRead = true,
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        var answer = await SendAsync($"read {stateName} of {grainId}", "GetItem", (sdk, ends) => sdk.GetItemAsync(request, ends));
        var body = answer.Item is { Count: > 0 } item ? Body(item, stateName, grainId.ToString()) : null;
        grainState.State = body is null ? Activator.CreateInstance<T>() : DocumentJson.Read<T>(body, stateName, grainId);
        grainState.ETag = Tag(answer.Item);
        grainState.RecordExists = body is not null;
    }

    /// <inheritdoc/>
    /// <exception cref="InconsistentStateException">Another activation has written since; nothing is changed.</exception>
    /// <exception cref="StoreException">The store does not answer, or the document is larger than DynamoDB takes.</exception>
    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) =>
        ReplaceAsync("write", stateName, grainId, grainState, JsonSerializer.SerializeToUtf8Bytes(grainState.State, DocumentJson.Options));

    /// <inheritdoc/>
    /// <exception cref="InconsistentStateException">Another activation has written since; nothing is changed.</exception>
    public async Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        await ReplaceAsync("clear", stateName, grainId, grainState, null);
        grainState.State = Activator.CreateInstance<T>();
    }

    /// <summary>The document of an item; null: it was cleared.</summary>
    /// <exception cref="StoreException">It is none of ours.</exception>
    public StoreRecord.Document? Read(Dictionary<string, AttributeValue> item)
    {
        var (hash, name) = (item[HashKey].S, item[RangeKey].S);
        if (!hash.StartsWith(Prefix, StringComparison.Ordinal))
        {
            throw new StoreException($"Table {_table}: the item of {hash}, {name} is of another service than {cluster.Value.ServiceId}. Delete it, or set Storage:GrainTable to a table of this silo's own.");
        }

        return Body(item, name, hash[Prefix.Length..]) is { } body ? new StoreRecord.Document(hash[Prefix.Length..], name, body) : null;
    }

    /// <summary>The item of a document that comes from another store.</summary>
    /// <param name="etag">The first that it has here.</param>
    /// <param name="write">The id of the write.</param>
    public Dictionary<string, AttributeValue> Item(StoreRecord.Document document, long etag, string write) => new(Key(document.Name, document.Grain))
    {
        [State] = new AttributeValue { B = new MemoryStream(Encoding.UTF8.GetBytes(document.Body)) },
        [ETag] = new AttributeValue { N = etag.ToString(CultureInfo.InvariantCulture) },
        [WriteId] = new AttributeValue(write),
    };

    /// <summary>Whether that write has made the item, with this document.</summary>
    public bool IsOf(Dictionary<string, AttributeValue> item, StoreRecord.Document document, string write) => IsOf(item, write) && Read(item) == document;

    /// <summary>Whether that write has made the item.</summary>
    public static bool IsOf(Dictionary<string, AttributeValue> item, string write) => item.GetValueOrDefault(WriteId)?.S == write;

    /// <exception cref="StoreException">The document is larger than DynamoDB takes.</exception>
    public void RefuseTooLarge(StoreRecord.Document document) =>
        RefuseTooLarge($"{document.Name} of {document.Grain}", Key(document.Name, document.Grain), Encoding.UTF8.GetByteCount(document.Body), LongestWrite);

    private async Task ReplaceAsync<T>(string verb, string stateName, GrainId grainId, IGrainState<T> grainState, byte[]? body)
    {
        var expected = grainState.ETag?.Split(TagSeparator);
        var next = expected is null ? "0" : (long.Parse(expected[0], CultureInfo.InvariantCulture) + 1).ToString(CultureInfo.InvariantCulture);
        var write = $"{_writer}-{Interlocked.Increment(ref _writes)}";
        var request = new UpdateItemRequest
        {
            TableName = _table,
            Key = Key(stateName, grainId),
            UpdateExpression = "SET GrainState = :state, ETag = :next, WriteId = :write",
            ConditionExpression = expected is null ? "attribute_not_exists(GrainReference)"
                : expected.Length > 1 ? "ETag = :expected AND WriteId = :read" : "ETag = :expected AND attribute_not_exists(WriteId)",
            ExpressionAttributeValues = new()
            {
                [":state"] = body is null ? None : new AttributeValue { B = new MemoryStream(body) },
                [":next"] = new AttributeValue { N = next },
                [":write"] = new AttributeValue(write),
            },
            ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure.ALL_OLD,
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        if (expected is not null)
        {
            request.ExpressionAttributeValues[":expected"] = new AttributeValue { N = expected[0] };
        }

        if (expected?.Length > 1)
        {
            request.ExpressionAttributeValues[":read"] = new AttributeValue(expected[1]);
        }

        RefuseTooLarge($"{stateName} of {grainId}", request.Key, body?.Length ?? 1, write);
        try
        {
            await SendAsync($"{verb} {stateName} of {grainId}", "UpdateItem", (sdk, ends) => sdk.UpdateItemAsync(request, ends));
        }
        catch (ConditionalCheckFailedException e) when (e.Item?.GetValueOrDefault(WriteId)?.S != write)
        {
            var (stored, read) = (Tag(e.Item) ?? "none", grainState.ETag ?? "none");
            throw new InconsistentStateException($"{stateName} of {grainId}: another activation has written since (stored version {stored}, expected {read}).", stored, read);
        }
        catch (ConditionalCheckFailedException)
        {
            // Our own write stands there: only its answer was lost.
        }

        grainState.ETag = next + TagSeparator + write;
        grainState.RecordExists = body is not null;
    }

    private static void RefuseTooLarge(string what, Dictionary<string, AttributeValue> key, int bodyBytes, string write)
    {
        var bytes = bodyBytes + key.Sum(part => part.Key.Length + Encoding.UTF8.GetByteCount(part.Value.S))
            + State.Length + ETag.Length + WriteId.Length + write.Length + 21; // A number has at most 21 bytes.
        if (bytes > ItemBytes)
        {
            throw new StoreException($"{what}: the document has {bytes} bytes with its keys, and DynamoDB takes {ItemBytes} in an item. It is not written. Move to Storage:Provider=sqlite, or make it smaller: fewer nodes a subnet, fewer subnets a VPC.");
        }
    }

    private string? Body(Dictionary<string, AttributeValue> item, string stateName, string grainId) => item.GetValueOrDefault(State) switch
    {
        { NULL: true } => null,
        { B: { } bytes } => Encoding.UTF8.GetString(bytes.ToArray()),
        _ => throw new StoreException($"{stateName} of {grainId}: the item in table {_table} has no attribute {State} of type B. Something else has written it; restore it, or set Storage:GrainTable to a table of this silo's own."),
    };

    /// <summary>Number and id; only the number of an item that Orleans' own provider has made.</summary>
    private static string? Tag(Dictionary<string, AttributeValue>? item) =>
        item?.GetValueOrDefault(ETag)?.N is not { } number ? null : item.GetValueOrDefault(WriteId)?.S is { } write ? number + TagSeparator + write : number;

    private Dictionary<string, AttributeValue> Key(string stateName, GrainId grainId) =>
        Key(stateName, grainId.ToString());

    private Dictionary<string, AttributeValue> Key(string stateName, string grainId) =>
        new() { [HashKey] = new AttributeValue(Prefix + grainId), [RangeKey] = new AttributeValue(stateName) };

    private Task<TAnswer> SendAsync<TAnswer>(string what, string action, Func<IAmazonDynamoDB, CancellationToken, Task<TAnswer>> send)
        where TAnswer : AmazonWebServiceResponse =>
        sender.SendAsync(new TableCall(what, _table, action), options.Value.DocumentDeadline, send, CancellationToken.None);
}
