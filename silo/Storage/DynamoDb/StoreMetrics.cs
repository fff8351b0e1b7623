using System.Diagnostics.Metrics;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>What the store costs and how it fails, by table and operation.</summary>
internal sealed class StoreMetrics : IDisposable
{
    /// <summary>Of the meter; its scope is the instance of this class.</summary>
    public const string MeterName = "AwsVpcCni.Store";

    /// <summary>Capacity units, as each answer says: read units of <c>GetItem</c> and <c>Query</c>, write units of the others. A failed
    /// condition is charged too, and its answer does not say so.</summary>
    public const string Capacity = "aws_vpc_cni.store_capacity";

    /// <summary>Sends that failed, also those that were repeated; its tag <c>fault</c> is a <see cref="DynamoFault"/>, or <c>Late</c>.</summary>
    public const string Failures = "aws_vpc_cni.store_failures";

    private readonly Meter _meter;
    private readonly Counter<double> _capacity;
    private readonly Counter<long> _failures;

    public StoreMetrics()
    {
        _meter = new Meter(new MeterOptions(MeterName) { Scope = this });
        _capacity = _meter.CreateCounter<double>(Capacity, "{unit}", "Capacity units that DynamoDB has charged, by table and operation.");
        _failures = _meter.CreateCounter<long>(Failures, "{send}", "Sends to DynamoDB that failed, by table, operation and fault.");
    }

    /// <summary>An answer's.</summary>
    public void Consumed(TableCall call, double units) => _capacity.Add(units, new("table", call.Table), new("operation", call.Action));

    /// <summary>A send failed.</summary>
    public void Failed(TableCall call, string fault) => _failures.Add(1, new("table", call.Table), new("operation", call.Action), new("fault", fault));

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
