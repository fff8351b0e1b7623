using System.Collections.Immutable;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>A table of the store, with its keys; both are strings.</summary>
/// <param name="Expires">The attribute by whose time DynamoDB deletes items; null: they stay.</param>
internal sealed record TableKeys(string Table, string Hash, string Range, string? Expires = null);

/// <summary>A table as DynamoDB shows it.</summary>
/// <param name="Table">Its name.</param>
/// <param name="State">DynamoDB's word; null: there is none, or it is not shown.</param>
/// <param name="Keys">Kind, name and type of each.</param>
/// <param name="Billing">On demand, or how many units it has.</param>
/// <param name="Expires">By which attribute items expire, in a table whose items should; null: they stay.</param>
/// <param name="Wrong">Why a silo would not start on it, and what to do; null when it would.</param>
/// <param name="IsMissing">Whether there is no such table.</param>
internal sealed record TableLook(string Table, string? State, string? Keys, string? Billing, string? Expires, string? Wrong, bool IsMissing = false);

/// <summary>The tables are there, with the keys that we use; else they are made where that is allowed.</summary>
internal sealed partial class Tables(Sender sender, ImportMark mark, IOptions<StorageOptions> options, TimeProvider time, ILogger<Tables> log) : IStore
{
    /// <summary>Where items should expire and do not.</summary>
    public const string Grows = "off: it only grows";

    // One call about a table; DynamoDB makes one within seconds, and a minute says that it does not.
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ActiveDeadline = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LookPeriod = TimeSpan.FromSeconds(1);

    /// <summary>Those of rows, of their history, and of documents.</summary>
    public ImmutableArray<TableKeys> OfStore =>
    [
        new(options.Value.AddressTable, AddressItem.HashKey, AddressItem.RangeKey),
        new(options.Value.HistoryTable, AddressItem.RangeKey, AddressItem.Since, AddressHistory.Expires),
        new(options.Value.GrainTable, GrainStorage.HashKey, GrainStorage.RangeKey),
    ];

    /// <summary>The one of silos.</summary>
    public TableKeys OfMembership => new(options.Value.MembershipTable, MembershipTable.HashKey, MembershipTable.RangeKey);

    /// <inheritdoc/>
    public async Task OpenAsync(CancellationToken cancellation)
    {
        foreach (var table in OfStore)
        {
            await OpenAsync(table, cancellation);
        }

        try
        {
            await TryAsync(CallDeadline, CallDeadline, cancellation); // A silo that may not use them would take grains from those that may.
        }
        catch (StoreException e) when (MayPass(e))
        {
            LogNotYet(e.Message); // As it would while it runs; /readyz says when it is over.
        }
    }

    /// <inheritdoc/>
    /// <remarks>Each table that pods need: without documents no grain starts, without the history no DEL is recorded. A write that changes nothing
    /// needs the table, the right to change it, and capacity, as any other does.</remarks>
    public Task ProbeAsync(CancellationToken cancellation) => TryAsync(options.Value.AttemptDeadline, options.Value.DocumentDeadline, cancellation);

    /// <exception cref="StoreException">What is not in order in any of them.</exception>
    private async Task TryAsync(TimeSpan ofRows, TimeSpan ofDocuments, CancellationToken cancellation)
    {
        var (rows, history, documents) = (OfStore[0], OfStore[1], OfStore[2]);
        Task[] tries = [OneAsync(rows, "DeleteItem", ofRows), OneAsync(history, "PutItem", ofRows), DocumentsAsync()];
        await Task.WhenAll(tries).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (tries.FirstOrDefault(one => one.IsCanceled || one.Exception?.InnerException is not (null or StoreException)) is { } other)
        {
            await other; // The caller has given up, or it is none of the store's.
        }

        if (tries.Select(one => one.Exception?.InnerException).OfType<StoreException>().OrderBy(MayPass).ToList() is [var first, ..] wrong)
        {
            throw new StoreException(string.Join(" Also: ", wrong.Select(one => one.Message)), first.InnerException ?? first);
        }

        async Task DocumentsAsync()
        {
            await mark.RefuseUnfinishedAsync(ofDocuments, cancellation);
            await OneAsync(documents, "UpdateItem", ofDocuments);
        }

        Task OneAsync(TableKeys table, string action, TimeSpan deadline) => Trial.SendAsync(sender, table, action, "aws-vpc-cni-probe", deadline, cancellation);
    }

    private static bool MayPass(StoreException thrown) => thrown.InnerException is { } cause and not StoreException && DynamoFaults.MayPass(DynamoFaults.Of(cause));

    /// <summary>The same for one table.</summary>
    /// <exception cref="StoreException">What is not in order, and what to do.</exception>
    public async Task OpenAsync(TableKeys table, CancellationToken cancellation)
    {
        if (options.Value.CreateTables)
        {
            await MakeAsync(table, cancellation);
        }
        else if (await FindAsync(table.Table, cancellation) is { } found)
        {
            await ReadyAsync(table, found, cancellation);
        }
        else
        {
            throw new StoreException($"DynamoDB has no table {table.Table} here, and Storage:CreateTables is false. Make it with the hash key {table.Hash} (S) and the range key {table.Range} (S) (`silo ipam tables create` does), or correct its name, Storage:Region or Storage:ServiceUrl.");
        }

        try
        {
            await ExpireAsync(table, options.Value.CreateTables, cancellation);
        }
        catch (StoreException e)
        {
            LogGrows(table.Table, e.Message); // No reason not to serve pods.
        }
    }

    /// <summary>Makes the table where there is none, and lets its items expire.</summary>
    /// <returns>Whether it was made, and not there before.</returns>
    /// <exception cref="StoreException">It is not in order, or cannot be made; and what to do.</exception>
    public async Task<bool> CreateAsync(TableKeys table, CancellationToken cancellation)
    {
        var made = await MakeAsync(table, cancellation);
        await ExpireAsync(table, true, cancellation);
        return made;
    }

    /// <summary>Looks at it, and changes nothing.</summary>
    public async Task<TableLook> LookAsync(TableKeys table, CancellationToken cancellation)
    {
        try
        {
            return await FindAsync(table.Table, cancellation) is { } found
                ? new TableLook(
                    table.Table, found.TableStatus.Value, string.Join(", ", Keys(found)), Billing(found), await ShowExpiryAsync(table, cancellation), OtherKeys(table, found) ?? NotActive(table, found))
                : new TableLook(table.Table, null, null, null, null, $"There is no table {table.Table} here. `silo ipam tables create` makes it; or correct its name, Storage:Region or Storage:ServiceUrl.", IsMissing: true);
        }
        catch (StoreException e)
        {
            return new TableLook(table.Table, null, null, null, null, e.Message);
        }
    }

    private async Task<string?> ShowExpiryAsync(TableKeys table, CancellationToken cancellation)
    {
        try
        {
            return table.Expires is null ? null : await ExpiresAsync(table, cancellation) ? $"by {table.Expires}" : Grows;
        }
        catch (StoreException)
        {
            return "not known";
        }
    }

    private async Task<bool> MakeAsync(TableKeys table, CancellationToken cancellation)
    {
        var found = await FindAsync(table.Table, cancellation);
        var made = found is null && await TryMakeAsync(table, cancellation);
        await ReadyAsync(table, found, cancellation);
        return made;
    }

    /// <exception cref="StoreException">Its items should expire, and are not known to.</exception>
    private async Task ExpireAsync(TableKeys table, bool mayChange, CancellationToken cancellation)
    {
        if (table.Expires is not null && !await ExpiresAsync(table, cancellation) && !(mayChange && await TryExpireAsync(table, cancellation)))
        {
            throw new StoreException($"Time to Live of table {table.Table} is off, or by another attribute than {table.Expires}. Turn it on (`silo ipam tables create` does where it is off).");
        }
    }

    private async Task<bool> ExpiresAsync(TableKeys table, CancellationToken cancellation)
    {
        var found = await sender.SendAsync(
            new TableCall($"look how items of table {table.Table} expire", table.Table, "DescribeTimeToLive"), CallDeadline, (sdk, ends) => sdk.DescribeTimeToLiveAsync(table.Table, ends), cancellation);
        return found.TimeToLiveDescription is { } expiry && expiry.AttributeName == table.Expires
            && (expiry.TimeToLiveStatus == TimeToLiveStatus.ENABLED || expiry.TimeToLiveStatus == TimeToLiveStatus.ENABLING);
    }

    private async Task<bool> TryExpireAsync(TableKeys table, CancellationToken cancellation)
    {
        var request = new UpdateTimeToLiveRequest { TableName = table.Table, TimeToLiveSpecification = new() { AttributeName = table.Expires, Enabled = true } };
        try
        {
            await sender.SendAsync(
                new TableCall($"let items of table {table.Table} expire (Storage:CreateTables)", table.Table, "UpdateTimeToLive"), CallDeadline,
                (sdk, ends) => sdk.UpdateTimeToLiveAsync(request, ends), cancellation);
            return true;
        }
        catch (StoreException e) when (e.InnerException is AmazonDynamoDBException { ErrorCode: "ValidationException" })
        {
            return await ExpiresAsync(table, cancellation); // Another silo has just done it; or it expires by another attribute.
        }
    }

    private async Task ReadyAsync(TableKeys table, TableDescription? found, CancellationToken cancellation)
    {
        var began = time.GetTimestamp();
        found ??= await FindAsync(table.Table, cancellation);
        while (true)
        {
            if (found is not null && OtherKeys(table, found) is { } wrong)
            {
                throw new StoreException(wrong);
            }

            if (found is not null && NotActive(table, found) is null)
            {
                return;
            }

            if (time.GetElapsedTime(began) > ActiveDeadline)
            {
                throw new StoreException($"Table {table.Table} is {found?.TableStatus.Value ?? "not there"} for {ActiveDeadline.TotalSeconds:0} s, not ACTIVE. Look at it in DynamoDB's console, then try again.");
            }

            await Task.Delay(LookPeriod, time, cancellation); // Also where it is not shown yet.
            found = await FindAsync(table.Table, cancellation);
        }
    }

    private async Task<TableDescription?> FindAsync(string table, CancellationToken cancellation)
    {
        try
        {
            var answer = await sender.SendAsync(
                new TableCall($"look for table {table}", table, "DescribeTable"), CallDeadline, (sdk, ends) => sdk.DescribeTableAsync(table, ends), cancellation);
            return answer.Table;
        }
        catch (StoreException e) when (e.InnerException is ResourceNotFoundException)
        {
            return null;
        }
    }

    private async Task<bool> TryMakeAsync(TableKeys table, CancellationToken cancellation)
    {
        var request = new CreateTableRequest
        {
            TableName = table.Table,
            BillingMode = BillingMode.PAY_PER_REQUEST,
            KeySchema = [new KeySchemaElement(table.Hash, KeyType.HASH), new KeySchemaElement(table.Range, KeyType.RANGE)],
            AttributeDefinitions = [new AttributeDefinition(table.Hash, ScalarAttributeType.S), new AttributeDefinition(table.Range, ScalarAttributeType.S)],
        };
        try
        {
            await sender.SendAsync(
                new TableCall($"make table {table.Table}, which is not there (Storage:CreateTables)", table.Table, "CreateTable"), CallDeadline,
                (sdk, ends) => sdk.CreateTableAsync(request, ends), cancellation);
            LogMade(table.Table);
            return true;
        }
        catch (StoreException e) when (e.InnerException is ResourceInUseException)
        {
            return false; // Another silo makes it, or a send of ours whose answer was lost.
        }
    }

    private static string? OtherKeys(TableKeys table, TableDescription found) =>
        Keys(found).SequenceEqual([$"HASH {table.Hash} S", $"RANGE {table.Range} S"])
            ? null
            : $"Table {table.Table} has other keys ({string.Join(", ", Keys(found))}) than the hash key {table.Hash} (S) and the range key {table.Range} (S). Set another name in section Storage.";

    // While updating it takes reads and writes.
    private static string? NotActive(TableKeys table, TableDescription found) =>
        found.TableStatus == TableStatus.ACTIVE || found.TableStatus == TableStatus.UPDATING ? null : $"Table {table.Table} is {found.TableStatus.Value}, not ACTIVE. Wait; if it stays so, look at it in DynamoDB's console.";

    private static string Billing(TableDescription found) => found.BillingModeSummary?.BillingMode == BillingMode.PAY_PER_REQUEST
        ? "on demand"
        : $"provisioned, {found.ProvisionedThroughput?.ReadCapacityUnits ?? 0} read and {found.ProvisionedThroughput?.WriteCapacityUnits ?? 0} write units a second";

    private static IEnumerable<string> Keys(TableDescription table) =>
        from key in table.KeySchema
        orderby key.KeyType.Value
        select $"{key.KeyType.Value} {key.AttributeName} {table.AttributeDefinitions.Single(one => one.AttributeName == key.AttributeName).AttributeType.Value}";

    [LoggerMessage(EventId = 3411, Level = LogLevel.Information, Message = "Table {Table} was not there and is made, with on-demand capacity.")]
    private partial void LogMade(string table);

    [LoggerMessage(EventId = 3412, Level = LogLevel.Warning, Message = "Table {Table} is not known to expire, so it only grows: {Why}")]
    private partial void LogGrows(string table, string why);

    [LoggerMessage(EventId = 3413, Level = LogLevel.Warning, Message = "The silo starts all the same: {Why}")]
    private partial void LogNotYet(string why);
}
