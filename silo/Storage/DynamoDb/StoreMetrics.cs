using System.Diagnostics.Metrics;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>What the store costs and how it fails, by table and operation.</summary>
internal sealed class StoreMetrics : IDisposable
{
    /// <summary>Of the meter; its scope is the instance of this class.</summary>
    public const string MeterName = "AwsVpcCni.Store";

    /// <summary>Capacity units, as each answer says: read units of <c>GetItem</c> and <c>Query</c>, write units of the others. A failed
    /// condition is charged too, and its answer does not say so: <see cref="LostConditions"/>.</summary>
    public const string Capacity = "aws_vpc_cni.store_capacity";

    /// <summary>Sends that failed, also those that were repeated; its tag <c>fault</c> is a <see cref="DynamoFault"/>, or <c>Late</c>.</summary>
    public const string Failures = "aws_vpc_cni.store_failures";

    /// <summary>Conditional writes whose condition did not hold. DynamoDB charges each as if it were done: of ours one write unit for a row, one for each KB of a document,
    /// and twice that for each item of a transaction.</summary>
    public const string LostConditions = "aws_vpc_cni.store_lost_conditions";

    private readonly Meter _meter;
    private readonly Counter<double> _capacity;
    private readonly Counter<long> _failures;
    private readonly Counter<long> _lostConditions;

    public StoreMetrics()
    {
        _meter = new Meter(new MeterOptions(MeterName) { Scope = this });
        _capacity = _meter.CreateCounter<double>(Capacity, "{unit}", "Capacity units that DynamoDB has charged, by table and operation.");
        _failures = _meter.CreateCounter<long>(Failures, "{send}", "Sends to DynamoDB that failed, by table, operation and fault.");
        _lostConditions = _meter.CreateCounter<long>(LostConditions, "{write}", "Conditional writes to DynamoDB whose condition did not hold, by table and operation: charged, and not in store_capacity.");
    }

    /// <summary>An answer's.</summary>
    public void Consumed(TableCall call, double units) => _capacity.Add(units, new("table", call.Table), new("operation", call.Action));

    /// <summary>A send failed.</summary>
    public void Failed(TableCall call, string fault) => _failures.Add(1, new("table", call.Table), new("operation", call.Action), new("fault", fault));

    /// <summary>A condition did not hold.</summary>
    public void LostCondition(TableCall call) => _lostConditions.Add(1, new("table", call.Table), new("operation", call.Action));

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
