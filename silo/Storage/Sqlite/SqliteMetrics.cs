using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using AwsVpcCni.Grains.Storage;
using Microsoft.Data.Sqlite;

namespace AwsVpcCni.Silo.Storage.Sqlite;

/// <summary>How often the embedded store has failed, under the name and the labels that DynamoDB's failures have. A series each from the start: else a rate misses its first count.</summary>
internal sealed class SqliteMetrics : IDisposable
{
    private const string Table = "sqlite"; // One file: a full disk is every table's.
    private const int Full = 13; // SQLITE_FULL, sqlite3.h.
    private const int InputOutput = 10; // SQLITE_IOERR.

    private readonly Meter _meter;
    private readonly ConcurrentDictionary<string, long> _failed = new(new[] { "Full", "InputOutput", "Refused", "Late", "Crowded" }.Select(fault => KeyValuePair.Create(fault, 0L)));

    /// <summary>Its scope is this instance.</summary>
    public SqliteMetrics()
    {
        _meter = new Meter(new MeterOptions("AwsVpcCni.Sqlite") { Scope = this });
        _meter.CreateObservableCounter(
            "aws_vpc_cni.store_failures",
            () => _failed.Select(one => new Measurement<long>(one.Value, new("table", Table), new("operation", "transaction"), new KeyValuePair<string, object?>("fault", one.Key))),
            "{request}", "Requests to the SQLite file that failed: Full, InputOutput or Refused as SQLite says, Late, or Crowded: too many waited.");
    }

    /// <summary>One more.</summary>
    public void Failed(StoreException failure) => _failed.AddOrUpdate(FaultOf(failure), 1, (_, count) => count + 1);

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private static string FaultOf(StoreException failure) => failure.InnerException switch
    {
        SqliteException { SqliteErrorCode: Full } => "Full",
        SqliteException { SqliteErrorCode: InputOutput } => "InputOutput",
        TimeoutException => "Late",
        null => "Crowded",
        _ => "Refused",
    };
}
