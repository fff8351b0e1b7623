using System.Globalization;
using System.Security.Cryptography;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>Which silos there are, in the layout of Orleans' own provider: an item a silo, and one with the version of the whole.</summary>
/// <remarks>A change is a transaction over both. It carries a token, by which DynamoDB knows a transaction that is sent again.</remarks>
internal sealed class MembershipTable(Sender sender, MembershipRows silos, Tables tables, IOptions<StorageOptions> options, IOptions<ClusterOptions> cluster) : IMembershipTable
{
    /// <summary>The cluster's id.</summary>
    public const string HashKey = "DeploymentId";

    /// <summary>Of a silo, or <see cref="VersionRow"/>.</summary>
    public const string RangeKey = "SiloIdentity";

    /// <summary>The range key of the version of the whole.</summary>
    public const string VersionRow = "VersionRow";

    // A change between the reads of the version and of the rows makes them read again; membership changes seldom.
    private const int Reads = 10;

    private readonly string _table = options.Value.MembershipTable;

    /// <inheritdoc/>
    public async Task InitializeMembershipTable(bool tryInitTableVersion)
    {
        await tables.OpenAsync(tables.OfMembership, CancellationToken.None);
        if (!tryInitTableVersion)
        {
            return;
        }

        var request = new PutItemRequest
        {
            TableName = _table,
            Item = new(Key(VersionRow)) { ["MembershipVersion"] = MembershipItem.N(0), ["ETag"] = MembershipItem.N(0) },
            ConditionExpression = $"attribute_not_exists({HashKey})",
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        try
        {
            await SendAsync("begin the membership", "PutItem", (sdk, ends) => sdk.PutItemAsync(request, ends));
        }
        catch (ConditionalCheckFailedException)
        {
            // Another silo has begun it.
        }
    }

    /// <inheritdoc/>
    public async Task<MembershipTableData> ReadAll()
    {
        for (var read = 1; read <= Reads; read++)
        {
            // The version first: what has changed since shows a newer one, and what shows none is as it was then.
            var version = await ReadVersionAsync();
            var rows = await silos.QueryAsync();
            if (rows.All(row => MembershipItem.VersionOf(row) <= version.Version))
            {
                return new MembershipTableData([.. rows.Select(MembershipItem.Read)], version);
            }
        }

        throw new StoreException($"read the membership of {cluster.Value.ClusterId}: table {_table} has changed during each of {Reads} reads. Try again.");
    }

    /// <inheritdoc/>
    public async Task<MembershipTableData> ReadRow(SiloAddress key)
    {
        var request = new TransactGetItemsRequest
        {
            TransactItems = [Get(MembershipItem.Identity(key)), Get(VersionRow)],
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        var answer = await SendAsync($"read {key} in the membership", "GetItem", (sdk, ends) => sdk.TransactGetItemsAsync(request, ends));
        var (row, version) = (answer.Responses[0].Item, Version(answer.Responses[1].Item));
        return row is { Count: > 0 } ? new MembershipTableData(MembershipItem.Read(row), version) : new MembershipTableData(version);
    }

    /// <inheritdoc/>
    public Task<bool> InsertRow(MembershipEntry entry, TableVersion tableVersion) => TryPutAsync($"join as {entry.SiloAddress}", new Put
    {
        TableName = _table,
        Item = MembershipItem.Write(Key(MembershipItem.Identity(entry.SiloAddress)), entry, tableVersion.Version, 0),
        ConditionExpression = $"attribute_not_exists({HashKey})",
    }, tableVersion);

    /// <inheritdoc/>
    public Task<bool> UpdateRow(MembershipEntry entry, string etag, TableVersion tableVersion) => TryPutAsync($"change {entry.SiloAddress} to {entry.Status}", new Put
    {
        TableName = _table,
        Item = MembershipItem.Write(Key(MembershipItem.Identity(entry.SiloAddress)), entry, tableVersion.Version, Next(etag)),
        ConditionExpression = "ETag = :expected",
        ExpressionAttributeValues = new() { [":expected"] = new AttributeValue { N = etag } },
    }, tableVersion);

    /// <inheritdoc/>
    public async Task UpdateIAmAlive(MembershipEntry entry)
    {
        var request = new UpdateItemRequest
        {
            TableName = _table,
            Key = Key(MembershipItem.Identity(entry.SiloAddress)),
            UpdateExpression = "SET IAmAliveTime = :now",
            ConditionExpression = $"attribute_exists({HashKey})",
            ExpressionAttributeValues = new() { [":now"] = new AttributeValue(MembershipItem.Text(entry.IAmAliveTime)) },
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        try
        {
            await SendAsync($"say that {entry.SiloAddress} is alive", "UpdateItem", (sdk, ends) => sdk.UpdateItemAsync(request, ends));
        }
        catch (ConditionalCheckFailedException e)
        {
            throw new StoreException($"say that {entry.SiloAddress} is alive: table {_table} has no such silo. It was declared dead and taken out, or the table was restored: start the silo again.", e);
        }
    }

    /// <inheritdoc/>
    public async Task CleanupDefunctSiloEntries(DateTimeOffset beforeDate)
    {
        foreach (var row in await silos.QueryAsync())
        {
            var (entry, _) = MembershipItem.Read(row);
            if (entry.Status != SiloStatus.Active && entry.IAmAliveTime < beforeDate.UtcDateTime)
            {
                await DeleteAsync(cluster.Value.ClusterId, row[RangeKey].S);
            }
        }
    }

    /// <inheritdoc/>
    public async Task DeleteMembershipTableEntries(string clusterId)
    {
        foreach (var row in await silos.QueryAsync(clusterId))
        {
            await DeleteAsync(clusterId, row[RangeKey].S);
        }

        await DeleteAsync(clusterId, VersionRow);
    }

    private async Task<TableVersion> ReadVersionAsync()
    {
        var request = new GetItemRequest
        {
            TableName = _table,
            Key = Key(VersionRow),
            ConsistentRead = true,
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        return Version((await SendAsync("read the membership's version", "GetItem", (sdk, ends) => sdk.GetItemAsync(request, ends))).Item);
    }

    private TableVersion Version(Dictionary<string, AttributeValue>? item) => item is { Count: > 0 }
        ? new TableVersion(int.Parse(item["MembershipVersion"].N, CultureInfo.InvariantCulture), item["ETag"].N)
        : throw new StoreException($"read the membership of {cluster.Value.ClusterId}: table {_table} has no {VersionRow} of it. It was deleted, or the table restored: start the silo again.");

    private async Task<bool> TryPutAsync(string what, Put row, TableVersion version)
    {
        var request = new TransactWriteItemsRequest
        {
            TransactItems =
            [
                new TransactWriteItem { Put = row },
                new TransactWriteItem
                {
                    Update = new Update
                    {
                        TableName = _table,
                        Key = Key(VersionRow),
                        UpdateExpression = "SET MembershipVersion = :version, ETag = :next",
                        ConditionExpression = "ETag = :expected",
                        ExpressionAttributeValues = new()
                        {
                            [":version"] = MembershipItem.N(version.Version),
                            [":next"] = MembershipItem.N(Next(version.VersionEtag)),
                            [":expected"] = new AttributeValue { N = version.VersionEtag },
                        },
                    },
                },
            ],
            ClientRequestToken = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)),
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        try
        {
            await SendAsync(what, "PutItem", (sdk, ends) => sdk.TransactWriteItemsAsync(request, ends));
            return true;
        }
        catch (TransactionCanceledException)
        {
            return false; // The sender passes it on for a failed condition only.
        }
    }

    private Task<DeleteItemResponse> DeleteAsync(string clusterId, string identity)
    {
        var request = new DeleteItemRequest
        {
            TableName = _table,
            Key = new() { [HashKey] = new AttributeValue(clusterId), [RangeKey] = new AttributeValue(identity) },
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        return SendAsync($"take {identity} out of the membership", "DeleteItem", (sdk, ends) => sdk.DeleteItemAsync(request, ends));
    }

    private static int Next(string etag) => int.Parse(etag, CultureInfo.InvariantCulture) + 1;

    private TransactGetItem Get(string identity) => new() { Get = new Get { TableName = _table, Key = Key(identity) } };

    private Dictionary<string, AttributeValue> Key(string identity) =>
        new() { [HashKey] = new AttributeValue(cluster.Value.ClusterId), [RangeKey] = new AttributeValue(identity) };

    private Task<TAnswer> SendAsync<TAnswer>(string what, string action, Func<IAmazonDynamoDB, CancellationToken, Task<TAnswer>> send)
        where TAnswer : AmazonWebServiceResponse =>
        sender.SendAsync(new TableCall($"{what} of {cluster.Value.ClusterId}", _table, action), options.Value.DocumentDeadline, send, CancellationToken.None);
}
