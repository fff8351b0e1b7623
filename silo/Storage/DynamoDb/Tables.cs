using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>The tables are there, with the keys that we use; else they are made where that is allowed.</summary>
internal sealed partial class Tables(Sender sender, IAddressBook book, IOptions<StorageOptions> options, TimeProvider time, ILogger<Tables> log) : IStore
{
    // One call about a table; DynamoDB makes one within seconds, and a minute says that it does not.
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ActiveDeadline = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LookPeriod = TimeSpan.FromSeconds(1);

    private static readonly Ip NoAddress = Ip.Parse("0.0.0.0");

    /// <inheritdoc/>
    public async Task OpenAsync(CancellationToken cancellation)
    {
        await OpenAsync(options.Value.AddressTable, AddressBook.HashKey, AddressBook.RangeKey, cancellation);
        await OpenAsync(options.Value.GrainTable, GrainStorage.HashKey, GrainStorage.RangeKey, cancellation);
    }

    /// <inheritdoc/>
    /// <remarks>A delete of a row that nobody writes is a write for DynamoDB: it needs the table, the right to change it, and capacity.</remarks>
    public Task ProbeAsync(CancellationToken cancellation) => book.TryRemoveAsync("readiness-probe", NoAddress, cancellation);

    /// <summary>The same for one table.</summary>
    /// <exception cref="StoreException">What is not in order, and what to do.</exception>
    public async Task OpenAsync(string table, string hash, string range, CancellationToken cancellation)
    {
        var found = await FindAsync(table, cancellation);
        if (found is null)
        {
            if (!options.Value.CreateTables)
            {
                throw new StoreException($"DynamoDB has no table {table} here, and Storage:CreateTables is false. Make it with the hash key {hash} (S) and the range key {range} (S), or correct its name, Storage:Region or Storage:ServiceUrl.");
            }

            await CreateAsync(table, hash, range, cancellation);
        }
        else if (!Keys(found).SequenceEqual([$"HASH {hash} S", $"RANGE {range} S"]))
        {
            throw new StoreException($"Table {table} has other keys ({string.Join(", ", Keys(found))}) than the hash key {hash} (S) and the range key {range} (S). Set another name in section Storage.");
        }

        var began = time.GetTimestamp();
        while (found?.TableStatus != TableStatus.ACTIVE && found?.TableStatus != TableStatus.UPDATING) // While updating it takes reads and writes.
        {
            if (time.GetElapsedTime(began) > ActiveDeadline)
            {
                throw new StoreException($"Table {table} is {found?.TableStatus.Value ?? "not there"} for {ActiveDeadline.TotalSeconds:0} s, not ACTIVE. Look at it in DynamoDB's console, then start the silo again.");
            }

            if (found is not null)
            {
                await Task.Delay(LookPeriod, time, cancellation);
            }

            found = await FindAsync(table, cancellation);
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

    private async Task CreateAsync(string table, string hash, string range, CancellationToken cancellation)
    {
        var request = new CreateTableRequest
        {
            TableName = table,
            BillingMode = BillingMode.PAY_PER_REQUEST,
            KeySchema = [new KeySchemaElement(hash, KeyType.HASH), new KeySchemaElement(range, KeyType.RANGE)],
            AttributeDefinitions = [new AttributeDefinition(hash, ScalarAttributeType.S), new AttributeDefinition(range, ScalarAttributeType.S)],
        };
        try
        {
            await sender.SendAsync(
                new TableCall($"make table {table}, which is not there (Storage:CreateTables)", table, "CreateTable"), CallDeadline,
                (sdk, ends) => sdk.CreateTableAsync(request, ends), cancellation);
            LogMade(table);
        }
        catch (StoreException e) when (e.InnerException is ResourceInUseException)
        {
            // Another silo makes it, or a send of ours whose answer was lost.
        }
    }

    private static IEnumerable<string> Keys(TableDescription table) =>
        from key in table.KeySchema
        orderby key.KeyType.Value
        select $"{key.KeyType.Value} {key.AttributeName} {table.AttributeDefinitions.Single(one => one.AttributeName == key.AttributeName).AttributeType.Value}";

    [LoggerMessage(EventId = 3411, Level = LogLevel.Information, Message = "Table {Table} was not there and is made, with on-demand capacity.")]
    private partial void LogMade(string table);
}
