using System.Collections.Immutable;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>The items of <c>address-history</c>: who has had an address when. DynamoDB deletes each when its time has come, within days of it.</summary>
internal sealed class AddressHistory(Sender sender, IOptions<StorageOptions> options, TimeProvider time)
{
    /// <summary>When DynamoDB may delete an item: seconds since 1970.</summary>
    public const string Expires = "expires";

    private const int PageSize = 250; // Items; some 100 KB, so 25 read units. Most questions are about one moment of late.

    private static readonly TimeSpan ClocksDiffer = TimeSpan.FromMinutes(5); // Between silos, at most.

    private readonly string _table = options.Value.HistoryTable;

    /// <summary>Adds what has ended; what is there already stays as it is.</summary>
    /// <param name="what">What it is part of; for the error.</param>
    /// <exception cref="StoreException">Whether it is there is not known.</exception>
    public async Task AddAsync(string what, AddressRow ended, CancellationToken cancellation)
    {
        var request = new PutItemRequest
        {
            TableName = _table,
            Item = Item(ended),
            ConditionExpression = "attribute_not_exists(address)",
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        try
        {
            await sender.SendAsync(new TableCall(what, _table, "PutItem"), options.Value.AttemptDeadline, (sdk, ends) => sdk.PutItemAsync(request, ends), cancellation);
        }
        catch (ConditionalCheckFailedException)
        {
            // It is there already: a send of ours, or of another activation that has ended the same assignment.
        }
    }

    /// <summary>What has ended, as an item.</summary>
    public Dictionary<string, AttributeValue> Item(AddressRow ended) => new(AddressItem.Write(ended))
    {
        [Expires] = AddressItem.N((ended.Released!.Value + options.Value.HistoryKept).ToUnixTimeSeconds()),
    };

    /// <inheritdoc cref="IAddressBook.ReadHistoryAsync"/>
    /// <remarks>The latest first: an address is on one pod after the other, so what began before one that began before <paramref name="from"/> had ended by then,
    /// and is not read. An address with a pod each 90 s has 29,000 of them in a month.</remarks>
    public async Task<ImmutableArray<AddressRow>> ReadAsync(Ip address, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellation)
    {
        var kept = time.GetUtcNow() - options.Value.HistoryKept; // What DynamoDB has not deleted yet is too old all the same.
        var request = new QueryRequest
        {
            TableName = _table,
            KeyConditionExpression = "address = :address AND since <= :to",
            FilterExpression = "released >= :from",
            ExpressionAttributeValues = new()
            {
                [":address"] = AddressItem.S(address.ToString()),
                [":to"] = AddressItem.S(AddressItem.Text(to)),
                [":from"] = AddressItem.S(AddressItem.Text(from > kept ? from : kept)),
            },
            ScanIndexForward = false,
            Limit = from > kept ? PageSize : null, // All of it: in as few pages as there are.
            ConsistentRead = true,
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        var rows = ImmutableArray.CreateBuilder<AddressRow>();
        do
        {
            var page = await sender.SendAsync(
                new TableCall($"read the history of {address}", _table, "Query"), options.Value.DocumentDeadline, (sdk, ends) => sdk.QueryAsync(request, ends), cancellation);
            rows.AddRange((page.Items ?? []).Select(item => AddressItem.Read(item, _table)));
            request.ExclusiveStartKey = page.LastEvaluatedKey;
        }
        while (request.ExclusiveStartKey is { Count: > 0 } last && (from <= kept || string.CompareOrdinal(last[AddressItem.Since].S, AddressItem.Text(from - ClocksDiffer)) >= 0));

        rows.Reverse();
        return rows.ToImmutable();
    }
}
