using System.Net;
using System.Reflection;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Silo.Cli.Doctor;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Cli;

[Collection(nameof(DynamoDbLocal))]
public sealed class DynamoDbChecksTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private readonly DynamoDbStore _store = new(dynamo);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task Each_action_that_a_silo_needs_is_tried_and_leaves_nothing()
    {
        await MakeTablesAsync();

        var findings = await _store.Checks().LookAsync(Cancellation).ToListAsync(Cancellation);

        Assert.All(findings, finding => Assert.Equal(Outcome.Ok, finding.Outcome));
        Assert.Equal(
            ["table", "Query", "PutItem", "UpdateItem", "DeleteItem", "table", "DescribeTimeToLive", "Query", "PutItem", "table", "GetItem", "UpdateItem", "table", "Query", "GetItem", "PutItem", "UpdateItem", "DeleteItem"],
            findings.Select(finding => finding.Check.Split(' ')[0].Replace("dynamodb:", "", StringComparison.Ordinal)));
        foreach (var table in new[] { _store.Settings.AddressTable, _store.Settings.HistoryTable, _store.Settings.GrainTable, _store.Settings.MembershipTable })
        {
            Assert.Equal(0, (await _store.Sdk.ScanAsync(new ScanRequest(table), Cancellation)).Count);
        }
    }

    [Theory]
    [InlineData("DescribeTimeToLive", 1)]
    [InlineData("Query", 3)]
    [InlineData("GetItem", 2)]
    [InlineData("PutItem", 3)]
    [InlineData("UpdateItem", 3)]
    [InlineData("DeleteItem", 2)]
    public async Task An_action_that_the_role_may_not_is_named_and_the_others_are_not(string action, int tables)
    {
        await MakeTablesAsync();

        var findings = await _store.Checks(Denying.Only(action, _store.Sdk)).LookAsync(Cancellation).ToListAsync(Cancellation);

        var failed = findings.Where(finding => finding.Outcome != Outcome.Ok).ToList();
        Assert.Equal(tables, failed.Count);
        Assert.All(failed, finding =>
        {
            Assert.StartsWith($"dynamodb:{action} test-", finding.Check, StringComparison.Ordinal);
            Assert.StartsWith($"try {action}: the silo's role may not dynamodb:{action} on table test-", finding.Text, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_missing_table_is_no_failure_where_the_silo_may_make_it()
    {
        var findings = await _store.Checks().LookAsync(Cancellation).ToListAsync(Cancellation);
        Assert.Equal([Outcome.NotCheckable, Outcome.NotTried, Outcome.NotTried, Outcome.NotTried, Outcome.NotTried], findings.Take(5).Select(finding => finding.Outcome));
        Assert.Contains("needs dynamodb:CreateTable", findings[0].Text, StringComparison.Ordinal);

        _store.Settings.CreateTables = false;
        findings = await _store.Checks().LookAsync(Cancellation).ToListAsync(Cancellation);
        Assert.Equal(4, findings.Count(finding => finding.Outcome == Outcome.Failed));
        Assert.Contains("`silo ipam tables create` makes it", findings[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_history_that_only_grows_is_told_with_what_the_silo_will_do_and_fails_where_it_may_do_nothing()
    {
        await MakeTablesAsync();
        await _store.MakeHistoryThatGrowsAsync();

        var finding = Assert.Single(await _store.Checks().LookAsync(Cancellation).Where(finding => finding.Outcome != Outcome.Ok).ToListAsync(Cancellation));
        Assert.Equal(($"table {_store.Settings.HistoryTable}", Outcome.NotCheckable), (finding.Check, finding.Outcome));
        Assert.Contains("needs dynamodb:UpdateTimeToLive", finding.Text, StringComparison.Ordinal);

        _store.Settings.CreateTables = false;
        Assert.Contains(
            await _store.Checks().LookAsync(Cancellation).ToListAsync(Cancellation),
            finding => finding.Outcome == Outcome.Failed && finding.Text.Contains("turn its Time to Live on", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_command_says_what_DynamoDB_and_the_clock_say_and_fails_when_EC2_is_away()
    {
        await MakeTablesAsync();
        var key = Path.GetTempFileName();
        using var pair = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        await File.WriteAllTextAsync(key, pair.ExportSubjectPublicKeyInfoPem(), Cancellation);

        var doctor = await new Ipam(dynamo, _store.Settings).With("NodeApi__TokenKeyPath", key).With("Ec2__Endpoint", "http://127.0.0.1:9").RunAsync("doctor");
        File.Delete(key);

        Assert.Equal((1, ""), (doctor.ExitCode, doctor.Errors));
        Assert.Equal(12, doctor.Lines.Count(line => line.StartsWith("ok table", StringComparison.Ordinal) || line.StartsWith("ok dynamodb:", StringComparison.Ordinal)));
        Assert.StartsWith("FAILED ec2:DescribeSubnets", Assert.Single(doctor.Lines, line => line.StartsWith("FAILED", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains(doctor.Lines, line => line.StartsWith("ok clock 0 s", StringComparison.Ordinal) || line.StartsWith("ok clock 1 s", StringComparison.Ordinal));
    }

    private async Task MakeTablesAsync()
    {
        await _store.OpenAsync();
        await _store.Membership().InitializeMembershipTable(false);
    }

    /// <summary>DynamoDB, whose role lacks one action.</summary>
    public class Denying : DispatchProxy
    {
        private string _action = "";
        private IAmazonDynamoDB? _inner;

        public static IAmazonDynamoDB Only(string action, IAmazonDynamoDB inner)
        {
            var proxy = Create<IAmazonDynamoDB, Denying>();
            ((Denying)(object)proxy)._action = action;
            ((Denying)(object)proxy)._inner = inner;
            return proxy;
        }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => targetMethod!.Name == $"{_action}Async"
            ? throw new AmazonDynamoDBException("as the test wished", ErrorType.Sender, "AccessDeniedException", "1", HttpStatusCode.BadRequest)
            : targetMethod.Invoke(_inner, args);
    }
}
