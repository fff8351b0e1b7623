using System.Collections.Immutable;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>The items of <c>addresses</c>: each change is one conditional write of one item of less than 1 KB, so of one write unit.</summary>
internal sealed class AddressBook(Sender sender, AddressHistory history, IOptions<StorageOptions> options) : IAddressBook
{
    private readonly string _table = options.Value.AddressTable;
    private readonly TimeSpan _deadline = options.Value.AttemptDeadline;

    /// <inheritdoc/>
    public async Task<ImmutableArray<AddressRow>> ReadNodeAsync(string nodeId, CancellationToken cancellation)
    {
        var request = new QueryRequest
        {
            TableName = _table,
            KeyConditionExpression = "node = :node",
            ExpressionAttributeValues = new() { [":node"] = AddressItem.S(nodeId) },
            ConsistentRead = true,
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        List<AddressRow> rows = [];
        do
        {
            var page = await SendAsync(
                $"read the addresses of {nodeId}", "Query", options.Value.DocumentDeadline, (sdk, ends) => sdk.QueryAsync(request, ends), cancellation);
            rows.AddRange((page.Items ?? []).Select(item => AddressItem.Read(item, _table)));
            request.ExclusiveStartKey = page.LastEvaluatedKey;
        }
        while (request.ExclusiveStartKey is { Count: > 0 });

        // By number: as text, 10.0.0.10 would come before 10.0.0.9.
        return [.. rows.OrderBy(row => row.Address)];
    }

    /// <inheritdoc/>
    public async Task<AddressRow?> TryAssignAsync(AddressRow row, CancellationToken cancellation)
    {
        var request = new PutItemRequest
        {
            TableName = _table,
            Item = AddressItem.Write(row),
            ConditionExpression = "attribute_not_exists(node) OR attribute_exists(released)",
            ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure.ALL_OLD,
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        try
        {
            await SendAsync($"assign {row.Address} of {row.NodeId} to {row.Sandbox}", "PutItem", _deadline, (sdk, ends) => sdk.PutItemAsync(request, ends), cancellation);
            return null;
        }
        catch (ConditionalCheckFailedException e)
        {
            var stands = AddressItem.Read(e.Item, _table);
            return stands.Stamp == row.Stamp && stands.Sandbox == row.Sandbox ? null : stands;
        }
    }

    /// <inheritdoc/>
    public async Task<bool> TryReleaseAsync(AddressRow ended, CancellationToken cancellation)
    {
        var what = $"release {ended.Address} of {ended.NodeId} from {ended.Sandbox}";
        await history.AddAsync(what, ended, cancellation);
        return await ReleaseAsync(what, ended, cancellation);
    }

    /// <inheritdoc/>
    public Task<bool> TryWithdrawAsync(AddressRow offer, CancellationToken cancellation) =>
        ReleaseAsync($"withdraw {offer.Address} of {offer.NodeId} from {offer.Sandbox}", offer, cancellation);

    private Task<bool> ReleaseAsync(string what, AddressRow ended, CancellationToken cancellation)
    {
        var request = new UpdateItemRequest
        {
            TableName = _table,
            Key = AddressItem.Key(ended.NodeId, ended.Address),
            UpdateExpression = "SET released = if_not_exists(released, :released)",
            ConditionExpression = "container = :container AND ifname = :ifname AND (incarnation < :incarnation OR (incarnation = :incarnation AND #number <= :number))",
            ExpressionAttributeNames = new() { ["#number"] = "number" }, // A word of DynamoDB's own.
            ExpressionAttributeValues = new()
            {
                [":released"] = AddressItem.S(AddressItem.Text(ended.Released!.Value)),
                [":container"] = AddressItem.S(ended.Sandbox.ContainerId),
                [":ifname"] = AddressItem.S(ended.Sandbox.IfName),
                [":incarnation"] = AddressItem.N(ended.Stamp.Incarnation),
                [":number"] = AddressItem.N(ended.Stamp.Number),
            },
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        return TryAsync(what, "UpdateItem", (sdk, ends) => sdk.UpdateItemAsync(request, ends), cancellation);
    }

    /// <inheritdoc/>
    public Task<bool> TryRemoveAsync(string nodeId, Ip address, CancellationToken cancellation)
    {
        var request = new DeleteItemRequest
        {
            TableName = _table,
            Key = AddressItem.Key(nodeId, address),
            ConditionExpression = "attribute_not_exists(node) OR attribute_exists(released)",
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        return TryAsync($"remove the row of {address} of {nodeId}", "DeleteItem", (sdk, ends) => sdk.DeleteItemAsync(request, ends), cancellation);
    }

    /// <inheritdoc/>
    public Task<ImmutableArray<AddressRow>> ReadHistoryAsync(Ip address, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellation) =>
        history.ReadAsync(address, from, to, cancellation);

    private async Task<bool> TryAsync<TAnswer>(string what, string action, Func<IAmazonDynamoDB, CancellationToken, Task<TAnswer>> send, CancellationToken cancellation)
        where TAnswer : AmazonWebServiceResponse
    {
        try
        {
            await SendAsync(what, action, _deadline, send, cancellation);
            return true;
        }
        catch (ConditionalCheckFailedException)
        {
            return false;
        }
    }

    private Task<TAnswer> SendAsync<TAnswer>(
        string what, string action, TimeSpan deadline, Func<IAmazonDynamoDB, CancellationToken, Task<TAnswer>> send, CancellationToken cancellation)
        where TAnswer : AmazonWebServiceResponse =>
        sender.SendAsync(new TableCall(what, _table, action), deadline, send, cancellation);
}
