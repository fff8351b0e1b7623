using System.Text.RegularExpressions;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Metrics;
using AwsVpcCni.NodeExecutor.Status;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Unit.NodeExecutor.Lease;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Metrics;

public sealed class MetricsTextTests
{
    private readonly RequestCounts requests = new();
    private readonly Repairs repairs = new(TimeProvider.System, NullLogger.Instance);

    private string Text(NodeLease lease, TimeSpan? contact = null, bool isFileWritten = true, string? hostFailure = null, int hostWaiting = 0) => MetricsText.Of(
        StatusReport.Of(new LinkSnapshot(lease, At(100), null, contact, null, Failures: 7, isFileWritten), _ => null, new HostNetworkStatus(IsReady: true, hostWaiting, new HostLook(At(90), hostFailure)), repairs, At(40), 0, 0),
        lease.Adds.Values.ToLookup(add => add.Why?.Code), requests);

    private static string Value(string text, string series) => Regex.Match(text, $"^{Regex.Escape("aws_vpc_cni_node_" + series)} (.*)$", RegexOptions.Multiline) is { Success: true } match
        ? match.Groups[1].Value : throw new InvalidOperationException($"no {series} in:\n{text}");

    [Fact]
    public void Gauges_are_the_leases_figures()
    {
        var lease = Node(4).WithClaim(1, 0).WithClaim(2, 1).WithDeleted(2, 1, at: 90, turn: 5);
        lease = lease.Begun(8).Lease.Begun(9).Lease.Wait(Sandbox(9), new Reason(ReasonCode.Cooling, "text"));
        var text = Text(lease, At(2));
        Assert.Equal(("1", "0", "1", "2", "0"), (Value(text, "addresses{state=\"in_use\"}"), Value(text, "addresses{state=\"leaving\"}"),
            Value(text, "addresses{state=\"cooling\"}"), Value(text, "addresses{state=\"free\"}"), Value(text, "addresses{state=\"not_usable\"}")));
        Assert.Equal(("1", "1", "0"), (Value(text, "waiting_pods{reason=\"Cooling\"}"), Value(text, "waiting_pods{reason=\"Asking\"}"), Value(text, "waiting_pods{reason=\"SubnetEmpty\"}")));
        Assert.Equal(("2", "7", "1", "1"), (Value(text, "silo_contact_seconds"), Value(text, "silo_failures_total"), Value(text, "lease_file_ok"), Value(text, "host_network_ok")));
    }

    [Fact]
    public void Pods_that_wait_for_the_table_wait_too() => Assert.Equal("3", Value(Text(Node(), hostWaiting: 3), "waiting_pods{reason=\"HostNetwork\"}"));

    [Fact]
    public void Without_any_contact_its_age_is_the_executors_own_so_that_an_alarm_on_it_rings() => Assert.Equal("60", Value(Text(Node()), "silo_contact_seconds"));

    [Fact]
    public void What_is_wrong_with_file_or_host_is_a_zero()
    {
        Assert.Equal("0", Value(Text(Node(), isFileWritten: false), "lease_file_ok"));
        Assert.Equal("0", Value(Text(Node(), hostFailure: "no answer"), "host_network_ok"));
    }

    [Fact]
    public void Requests_are_counted_by_code_and_their_durations_add_up()
    {
        requests.Ended(CniCommand.Add, 0, TimeSpan.FromMilliseconds(1)); // On a bound: below or equal.
        requests.Ended(CniCommand.Add, 0, TimeSpan.FromMilliseconds(30));
        requests.Ended(CniCommand.Add, 11, TimeSpan.FromSeconds(300));
        requests.Ended(null, 4, TimeSpan.Zero);
        var text = Text(Node());
        Assert.Equal(("2", "1", "0", "1"), (Value(text, "requests_total{command=\"ADD\",code=\"0\"}"), Value(text, "requests_total{command=\"ADD\",code=\"11\"}"),
            Value(text, "requests_total{command=\"DEL\",code=\"0\"}"), Value(text, "requests_total{command=\"unknown\",code=\"4\"}")));
        Assert.Equal(("1", "1", "2", "2", "3", "300.031", "3"), (Bucket("0.001"), Bucket("0.025"), Bucket("0.05"), Bucket("240"), Bucket("+Inf"),
            Value(text, "request_seconds_sum{command=\"ADD\"}"), Value(text, "request_seconds_count{command=\"ADD\"}")));

        string Bucket(string le) => Value(text, $"request_seconds_bucket{{command=\"ADD\",le=\"{le}\"}}");
    }

    [Fact]
    public void Repairs_have_a_series_a_kind()
    {
        repairs.Made(RepairKind.Route, "add route");
        Assert.Equal(("1", "0"), (Value(Text(Node()), "repairs_total{kind=\"Route\"}"), Value(Text(Node()), "repairs_total{kind=\"Mac\"}")));
    }

    [Fact]
    public void Every_line_is_one_of_the_format_each_family_has_one_head_and_none_depends_on_pods()
    {
        foreach (var code in Enum.GetValues<CniErrorCode>())
        {
            requests.Ended(CniCommand.Add, (int)code, TimeSpan.FromSeconds(1));
        }

        var (few, many) = (Text(Node(1)), Text(Enumerable.Range(0, 200).Aggregate(Node(200), (lease, n) => lease.WithClaim(n, n)).Begun(300).Lease));
        Assert.Equal(few.Split('\n').Length, many.Split('\n').Length);
        var lines = many.TrimEnd('\n').Split('\n');
        Assert.All(lines, line => Assert.Matches(@"^(# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))|[a-z_]+(\{[a-z]+=""[^""]*""(,[a-z]+=""[^""]*"")*\})? [0-9.E+-]+)$", line));
        var heads = lines.Where(line => line.StartsWith("# TYPE", StringComparison.Ordinal)).ToList();
        Assert.Equal(heads.Distinct(), heads);
        Assert.InRange(lines.Length, 50, 250);
    }
}
