using System.Globalization;
using System.Runtime.CompilerServices;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>All that the tables of the store hold. A silo that runs on them is seen by its row in the membership table, if it has one.</summary>
internal sealed class Contents(
    Sender sender, Tables tables, MembershipRows silos, ImportMark mark, GrainStorage documents, AddressHistory history, IOptions<StorageOptions> options, IOptions<SiloNetworkOptions> network, TimeProvider time)
    : IStoreContents
{
    private const int WritesAtOnce = 8;

    // A page of 1 MB; a write that a table with little capacity throttles: its three sends are up to 22 s apart.
    private static readonly TimeSpan PageDeadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WriteDeadline = TimeSpan.FromSeconds(60);

    // A silo writes that it is alive once in a period, and is counted out when so many are missing; by its own clock, and that may be so much behind ours.
    private static readonly TimeSpan ClocksDiffer = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Silence = (new ClusterMembershipOptions().IAmAliveTablePublishTimeout * new ClusterMembershipOptions().NumMissedTableIAmAliveLimit) + ClocksDiffer;

    /// <inheritdoc/>
    public string? Caution => network.Value.Clustering == SiloNetworkOptions.DynamoDb
        ? null
        : "Silo:Clustering is single: whether a silo runs on these tables cannot be seen from here. None may, until this has ended.";

    /// <inheritdoc/>
    public async IAsyncEnumerable<StoreRecord> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        await RefuseRunningAsync("export", cancellation);
        await mark.RefuseUnfinishedAsync(cancellation);
        await foreach (var item in ScanAsync(options.Value.GrainTable, cancellation))
        {
            if (documents.Read(item) is { } document)
            {
                yield return document;
            }
        }

        await foreach (var row in RowsAsync(options.Value.AddressTable, null, cancellation))
        {
            yield return new StoreRecord.Address(row);
        }

        await foreach (var ended in RowsAsync(options.Value.HistoryTable, AddressHistory.Expires, cancellation))
        {
            yield return new StoreRecord.History(ended);
        }

        await RefuseRunningAsync("export", cancellation); // One that has started meanwhile.
    }

    /// <inheritdoc/>
    public void Check(StoreRecord record)
    {
        if (record is StoreRecord.Document document)
        {
            documents.RefuseTooLarge(document);
        }
    }

    /// <inheritdoc/>
    /// <remarks>An item at a time, and each only where none is: what stands there must be the same. So the same import may be run again,
    /// and finds what a silo has written that nobody saw. Until the last item is there no silo starts.</remarks>
    public async Task<bool> FillAsync(string importId, IAsyncEnumerable<StoreRecord> records, CancellationToken cancellation)
    {
        foreach (var table in tables.OfStore)
        {
            await tables.OpenAsync(table, cancellation);
        }

        await RefuseRunningAsync("import", cancellation);
        if (await mark.ReadAsync(cancellation) is null)
        {
            if (await HasEndedAsync(importId, cancellation))
            {
                return false;
            }

            foreach (var table in tables.OfStore)
            {
                await RefuseFilledAsync(table.Table, cancellation);
            }
        }

        if (!await mark.TrySetAsync(importId, cancellation))
        {
            throw new StoreException($"Table {options.Value.GrainTable} holds a part of another import that was interrupted. Run that one again, from the file that it was from; or delete the tables.");
        }

        // Higher than any ETag that a silo could still hold which stands still since before: those count writes, one by one.
        var etag = time.GetUtcNow().ToUnixTimeSeconds();
        await Parallel.ForEachAsync(
            records, new ParallelOptions { MaxDegreeOfParallelism = WritesAtOnce, CancellationToken = cancellation },
            async (record, ends) => await PlaceAsync(record, etag, importId, ends));
        await RefuseRunningAsync("import", cancellation); // One that has looked for the mark before it was set.
        await mark.RemoveAsync(cancellation);
        return true;
    }

    // The answer to the mark's removal may have been lost, to this command or to whoever ran it.
    private async Task<bool> HasEndedAsync(string importId, CancellationToken cancellation)
    {
        await foreach (var item in ScanAsync(options.Value.GrainTable, cancellation))
        {
            if (GrainStorage.IsOf(item, importId))
            {
                return true;
            }
        }

        return false;
    }

    private async Task RefuseRunningAsync(string verb, CancellationToken cancellation)
    {
        List<Dictionary<string, AttributeValue>> rows;
        try
        {
            rows = await silos.QueryAsync().WaitAsync(cancellation);
        }
        catch (StoreException e) when (e.InnerException is ResourceNotFoundException)
        {
            return; // No silo has ever been in it.
        }

        foreach (var (silo, _) in rows.Select(MembershipItem.Read))
        {
            var ago = time.GetUtcNow().UtcDateTime - silo.IAmAliveTime;
            if (silo.Status != SiloStatus.Dead && ago < Silence)
            {
                throw new StoreException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The silo {silo.SiloAddress.Endpoint} ({silo.HostName}) runs on these tables: it is {silo.Status}, and said {ago.TotalSeconds:0} s ago that it is alive. Stop all silos, then {verb}; one that was killed counts for {Silence.TotalSeconds:0} s."));
            }
        }
    }

    private async Task RefuseFilledAsync(string table, CancellationToken cancellation)
    {
        await foreach (var _ in ScanAsync(table, cancellation, 1))
        {
            throw new StoreException($"Table {table} is not empty, and an import goes into an empty store only. Set the names in section Storage to new tables, or delete these.");
        }
    }

    private async Task PlaceAsync(StoreRecord record, long etag, string importId, CancellationToken cancellation)
    {
        var (table, key, item, isSame) = record switch
        {
            StoreRecord.Document document => (options.Value.GrainTable, GrainStorage.HashKey, documents.Item(document, etag, importId), (Func<Dictionary<string, AttributeValue>, bool>)(stands => documents.IsOf(stands, document, importId))),
            StoreRecord.Address address => (options.Value.AddressTable, AddressItem.HashKey, AddressItem.Write(address.Row), stands => AddressItem.Unknown(stands) is null && AddressItem.Read(stands, options.Value.AddressTable) == address.Row),
            StoreRecord.History ended => (options.Value.HistoryTable, AddressItem.RangeKey, history.Item(ended.Row), stands => AddressItem.Unknown(stands, AddressHistory.Expires) is null && AddressItem.Read(stands, options.Value.HistoryTable) == ended.Row),
            _ => throw new InvalidOperationException($"A record of the kind {record.GetType().Name} has no table."),
        };
        var request = new PutItemRequest
        {
            TableName = table,
            Item = item,
            ConditionExpression = $"attribute_not_exists({key})",
            ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure.ALL_OLD,
            ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL,
        };
        try
        {
            await sender.SendAsync(new TableCall($"import the {record}", table, "PutItem"), WriteDeadline, (sdk, ends) => sdk.PutItemAsync(request, ends), cancellation);
        }
        catch (ConditionalCheckFailedException e)
        {
            if (!isSame(e.Item))
            {
                throw new StoreException($"Table {table} has another {record} than the export: a silo runs on these tables, or it is in the export twice. Stop all silos, delete the tables, import again.", e);
            }
        }
    }

    private async IAsyncEnumerable<AddressRow> RowsAsync(string table, string? also, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (var item in ScanAsync(table, cancellation))
        {
            if (AddressItem.Unknown(item, also) is { } unknown)
            {
                throw new StoreException($"Table {table} has an item with the attribute {unknown}, which this silo does not know and would lose. Export with the newer silo that has written it.");
            }

            yield return AddressItem.Read(item, table);
        }
    }

    private async IAsyncEnumerable<Dictionary<string, AttributeValue>> ScanAsync(string table, [EnumeratorCancellation] CancellationToken cancellation, int? limit = null)
    {
        var request = new ScanRequest { TableName = table, ConsistentRead = true, Limit = limit, ReturnConsumedCapacity = ReturnConsumedCapacity.TOTAL };
        do
        {
            var page = await sender.SendAsync(new TableCall($"read table {table}", table, "Scan"), PageDeadline, (sdk, ends) => sdk.ScanAsync(request, ends), cancellation);
            foreach (var item in page.Items ?? [])
            {
                yield return item;
            }

            request.ExclusiveStartKey = page.LastEvaluatedKey;
        }
        while (request.ExclusiveStartKey is { Count: > 0 });
    }
}
