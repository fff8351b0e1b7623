using System.Collections.Immutable;
using System.Text.RegularExpressions;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Metrics;
using AwsVpcCni.NodeExecutor.Status;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.Metrics;
using AwsVpcCni.Silo.Storage.DynamoDb;
using AwsVpcCni.Silo.Storage.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.Charts;

/// <summary>Every series that a silo and an executor can show, by the product's own writers.</summary>
internal static partial class Exposition
{
    /// <summary>By name; each with the values that its labels have.</summary>
    public static ILookup<string, ImmutableDictionary<string, string>> Series { get; } = SeriesLine().Matches(Silo() + Executor())
        .ToLookup(line => line.Groups["name"].Value, line => LabelPart().Matches(line.Groups["labels"].Value).ToImmutableDictionary(label => label.Groups["name"].Value, label => label.Groups["value"].Value));

    private static string Silo()
    {
        using var nodes = new NodeMetrics();
        using var store = new StoreMetrics();
        using var sqlite = new SqliteMetrics(); // A silo has one of the two stores.
        using var tls = new TlsMetrics();
        using var meters = new MeterReadings([nodes, store, sqlite, tls]);
        tls.Follow("orleans", () => DateTime.UnixEpoch);
        nodes.Retired();
        store.Consumed(new TableCall("a row", "addresses", "UpdateItem"), 1);
        store.Failed(new TableCall("a row", "addresses", "UpdateItem"), "Throttled");
        store.LostCondition(new TableCall("a row", "addresses", "PutItem"));
        var now = DateTimeOffset.UnixEpoch;
        var subnet = new SubnetSummary(
            "subnet-1", "eu-west-1a", Cidr.Parse("10.0.0.0/24"), 256, 100, 90, 60, 20, 10, 5, 7, 146, ImmutableSortedDictionary<string, int>.Empty, now, 8, new DryTime(TimeSpan.FromHours(2), TimeSpan.FromHours(9), null));
        var none = ImmutableSortedDictionary<string, long>.Empty;
        return SiloMetrics.Of(meters, [subnet], 3, [.. Enum.GetNames<Ec2Action>().Select(action => new ActionBudget(action, 80, 4, 80, 1, none, none))],
            [.. new[] { "all", "subnet-1", "i-1" }.SelectMany(target => new[] { SwitchMode.Hold, SwitchMode.Frozen }.Select(mode => new OperatorSwitch(target, mode, "ada", "why", now)))], now);
    }

    private static string Executor()
    {
        var (requests, lease) = (new RequestCounts(), Node(4));
        requests.Ended(CniCommand.Add, (int)CniErrorCode.TryAgainLater, TimeSpan.FromSeconds(1));
        return MetricsText.Of(
            StatusReport.Of(new LinkSnapshot(lease, At(100), null, At(2), null, Failures: 0, IsFileWritten: true), _ => null, new HostNetworkStatus(IsReady: true, 0, new HostLook(At(90), null)), new Repairs(TimeProvider.System, NullLogger.Instance), At(40), 0, 0),
            lease.Adds.Values.ToLookup(add => add.Why?.Code), requests);
    }

    [GeneratedRegex(@"^(?<name>[a-z0-9_]+)(\{(?<labels>.*)\})? [^ ]+$", RegexOptions.Multiline)]
    private static partial Regex SeriesLine();

    [GeneratedRegex("""(?<name>[a-z]+)="(?<value>[^"]*)"(,|$)""")]
    private static partial Regex LabelPart();
}
