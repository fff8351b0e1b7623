using System.Net;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Tests.Cluster.Cli;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>A real silo whose store fails in every way that DynamoDB has: it says what is wrong and what to do, pods go on, and nothing is lost.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class StoreFaultTests(DynamoDbLocal dynamo)
{
    private const int Lease = 40; // For all ADDs of a fault, and those whose addresses still rest from the one before. An m5.xlarge has room for 56.
    private static readonly TimeSpan AddTakes = TimeSpan.FromSeconds(15); // 0.4 s on an idle machine: so long an executor waits for a silo before it spends its lease. Without one an ADD ends after 200 s.

    // Short, so that a fault is told before an ADD is served from the lease.
    private static readonly Dictionary<string, string> Settings = new()
    {
        ["Storage__AttemptDeadline"] = "00:00:00.300", ["Storage__DocumentDeadline"] = "00:00:01", ["Pool__MinimumIps"] = $"{Lease}",
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_the_store_fails_the_silo_says_so_pods_come_and_go_and_afterwards_all_is_true_again()
    {
        await using var fleet = await Fleet.StartAsync(dynamo, 2, Cancellation, silosCount: 1, Settings);
        var table = fleet.Store.Settings.AddressTable;
        foreach (var (said, fault) in new (string, StoreFault)[]
        {
            ($"DynamoDB throttles table {table} (3 sends; ProvisionedThroughputExceededException: ", StoreFault.Refused("ProvisionedThroughputExceededException")),
            ($"the silo's role may not dynamodb:DeleteItem on table {table} (AccessDeniedException: ", StoreFault.Refused("AccessDeniedException")),
            ($"dynamodb:DeleteItem on table {table}: no credentials that DynamoDB takes (UnrecognizedClientException: ", StoreFault.Refused("UnrecognizedClientException")),
            ($"not known to have happened: no whole answer from DynamoDB for table {table} (3 sends; ", StoreFault.CutBefore),
            ($"not known to have happened: no whole answer from DynamoDB for table {table} (3 sends; ", StoreFault.CutAfter),
            ($"not known to have happened: DynamoDB has not answered for table {table} within 300 ms (1 sends)", StoreFault.Hang),
        })
        {
            await WithFaultAsync(fleet, said, () =>
            {
                fleet.Way.Always = _ => fault;
                return Task.CompletedTask;
            }, () =>
            {
                fleet.Way.Always = _ => null;
                return Task.CompletedTask;
            });
        }

        // Slow, and within the deadline: nobody notices.
        fleet.Way.Always = _ => StoreFault.Late(TimeSpan.FromMilliseconds(50));
        await fleet.Silos.UntilAsync("ADDs to be answered by a slow store", () => AnsweredAsync(fleet, $"{nameof(AssignReply.Offered)} "), Cancellation);
        await fleet.Books.AllAgreesAsync(fleet.Nodes, Cancellation);
        Assert.Empty(fleet.Register.Wrong);
    }

    [Fact]
    public async Task When_the_table_of_addresses_is_deleted_an_operator_makes_it_and_executors_fill_it()
    {
        await using var fleet = await Fleet.StartAsync(dynamo, 2, Cancellation, silosCount: 1, Settings);
        var table = fleet.Store.Settings.AddressTable;

        await WithFaultAsync(
            fleet, $"DynamoDB has no table {table} here. `silo ipam tables create` makes it",
            () => fleet.Store.Sdk.DeleteTableAsync(table, Cancellation),
            async () =>
            {
                var made = await new Ipam(dynamo, fleet.Store.Settings).RunAsync("tables", "create");
                Assert.True(made.ExitCode == 0, made.Errors);
            });

        await fleet.Books.AllAgreesAsync(fleet.Nodes, Cancellation);
        Assert.Empty(fleet.Register.Wrong);
    }

    [Theory]
    [InlineData("addresses", "DeleteItem", false)]
    [InlineData("history", "PutItem", false)]
    [InlineData("grains", "GetItem", false)]
    [InlineData("history", "PutItem", true)]
    [InlineData("grains", "GetItem", true)]
    public async Task While_one_table_is_missing_or_not_granted_the_silo_is_not_ready_says_which_and_comes_back_by_itself(string which, string action, bool isDeleted)
    {
        await using var fleet = await Fleet.StartAsync(dynamo, 2, Cancellation, silosCount: 1, Settings);
        string[] tables = [fleet.Store.Settings.AddressTable, fleet.Store.Settings.HistoryTable, fleet.Store.Settings.GrainTable];
        var table = tables.Single(one => one.EndsWith(which, StringComparison.Ordinal));
        using var http = dynamo.Http();
        var stays = await AddAllAsync(fleet);
        if (isDeleted)
        {
            await fleet.Store.Sdk.DeleteTableAsync(table, Cancellation);
        }
        else
        {
            fleet.Way.Always = call => call.Parts.Any(part => part.Table == table) ? StoreFault.Refused("AccessDeniedException") : null;
        }

        await SaysAsync(
            fleet, http, 1,
            isDeleted ? $"DynamoDB has no table {table} here. `silo ipam tables create` makes it" : $"the silo's role may not dynamodb:{action} on table {table} (AccessDeniedException: as the test wished). Grant it");
        var (_, words) = await SiloProcesses.ReadinessSaidAsync(http, 1, Cancellation);
        Assert.All(tables.Except([table]), other => Assert.DoesNotContain(other, words, StringComparison.Ordinal));
        await DeleteAsync(await AddAllAsync(fleet));

        if (isDeleted)
        {
            var made = await new Ipam(dynamo, fleet.Store.Settings).RunAsync("tables", "create");
            Assert.True(made.ExitCode == 0, made.Errors);
        }

        fleet.Way.Always = _ => null;
        await fleet.Silos.ReadyAsync(1, Cancellation);
        await fleet.Silos.UntilAsync("ADDs to be answered again", () => AnsweredAsync(fleet, $"{nameof(AssignReply.Offered)} "), Cancellation);
        await fleet.RaiseAsync(1, Cancellation); // So that documents are written: else nobody notices that they were lost.
        await DeleteAsync(stays[..1]);
        await fleet.Books.AllAgreesAsync(fleet.Nodes, Cancellation);
        Assert.Empty(fleet.Register.Wrong);
    }

    [Theory]
    [InlineData("NoTable", "DynamoDB has no table {addresses} here, and Storage:CreateTables is false. Make it with the hash key node (S) and the range key address (S) (`silo ipam tables create` does)")]
    [InlineData("NoMembershipTable", "DynamoDB has no table {silos} here, and Storage:CreateTables is false.")]
    [InlineData("NotGranted", "look for table {addresses}: the silo's role may not dynamodb:DescribeTable on table {addresses} (AccessDeniedException: User: arn:aws:iam::123456789012:user/test is not authorized to perform: dynamodb:DescribeTable on resource: ")]
    [InlineData("HistoryNotGranted", "try PutItem: the silo's role may not dynamodb:PutItem on table {history} (AccessDeniedException: User: arn:aws:iam::123456789012:user/test is not authorized to perform: dynamodb:PutItem on resource: ")]
    [InlineData("Credentials", "look for table {addresses}: dynamodb:DescribeTable on table {addresses}: no credentials that DynamoDB takes (UnrecognizedClientException: The security token included in the request is invalid.). Give the silo a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; check its clock.")]
    [InlineData("SlowClock", "look for table {addresses}: dynamodb:DescribeTable on table {addresses}: no credentials that DynamoDB takes (InvalidSignatureException: Signature expired: ")]
    [InlineData("FastClock", "look for table {addresses}: dynamodb:DescribeTable on table {addresses}: no credentials that DynamoDB takes (InvalidSignatureException: Signature not yet current: ")]
    [InlineData("Throttled", "look for table {addresses}: DynamoDB throttles table {addresses} (3 sends; ThrottlingException: ")]
    public async Task A_silo_that_cannot_begin_on_its_store_ends_with_what_to_do(string fault, string said)
    {
        await using var store = new DynamoDbStore(dynamo);
        await using var silos = new SiloProcesses(dynamo, store);
        using var clock = fault switch
        {
            "SlowClock" => new OtherClock(TimeSpan.FromMinutes(-6)),
            "FastClock" => new OtherClock(TimeSpan.FromMinutes(6)),
            _ => null,
        };
        switch (fault)
        {
            case "NoTable":
                silos.Own[1] = new() { ["Storage__CreateTables"] = "false" };
                break;
            case "NoMembershipTable":
                await store.OpenAsync();
                silos.Own[1] = new() { ["Storage__CreateTables"] = "false" };
                break;
            case "NotGranted" or "HistoryNotGranted":
                var copy = Repository.PolicyWithout(Repository.DynamoDbPolicy, fault == "NotGranted" ? "LookForTables" : "History");
                silos.Own[1] = new() { ["Storage__ServiceUrl"] = store.OpenWay(copy).Url };
                File.Delete(copy);
                break;
            case "Credentials":
                silos.Own[1] = new() { ["AWS_ACCESS_KEY_ID"] = "other" };
                break;
            case "Throttled":
                store.Way.Always = _ => StoreFault.Refused("ThrottlingException");
                break;
            default:
                silos.Own[1] = clock!.Environment;
                break;
        }

        silos.Start(1);

        Assert.Equal(1, await silos.EndAsync(1, Cancellation));
        Assert.StartsWith(
            "silo: " + said.Replace("{addresses}", store.Settings.AddressTable, StringComparison.Ordinal).Replace("{history}", store.Settings.HistoryTable, StringComparison.Ordinal)
                .Replace("{silos}", store.Settings.MembershipTable, StringComparison.Ordinal),
            (await File.ReadAllLinesAsync(silos.LogOf(1), Cancellation))[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-60)]
    [InlineData(60)]
    public async Task A_silo_whose_clock_is_a_minute_off_takes_nodes_over_and_no_address_is_used_before_it_has_rested(int seconds)
    {
        using var clock = new OtherClock(TimeSpan.FromSeconds(seconds));
        await using var fleet = await Fleet.StartAsync(dynamo, 4, Cancellation, silosCount: 2, own: silos => silos.Own[2] = clock.Environment);
        await using var churn = ChurnTests.Start(fleet, addsPerSecond: 2);
        await Task.Delay(Fleet.Cooldown, Cancellation);

        // The one whose clock is right: what it has freed was freed a minute ago, or will be in a minute, for the other.
        await fleet.Silos.SignalAsync(1, "KILL", Cancellation);
        await fleet.Silos.UntilAsync("the killed silo to be declared dead", async () => (await fleet.Silos.StatusesAsync())[0] == SiloStatus.Dead, Cancellation);
        await Task.Delay(1.5 * Fleet.Cooldown, Cancellation);
        await ChurnTests.EndAsync(fleet, churn);

        // More than DynamoDB bears: the SDK learns the difference from what the refusal is dated. (At a start there is no second call.)
        clock.Off = TimeSpan.FromSeconds(10 * seconds);
        await fleet.Silos.UntilAsync("DynamoDB to refuse the time", () => Task.FromResult(fleet.Way.Refusals.Contains("InvalidSignatureException")), Cancellation);
        await fleet.Silos.ReadyAsync(2, Cancellation);
        await fleet.Silos.UntilAsync("ADDs to be answered", () => AnsweredAsync(fleet, $"{nameof(AssignReply.Offered)} "), Cancellation);
    }

    private async Task WithFaultAsync(Fleet fleet, string said, Func<Task> begin, Func<Task> end)
    {
        using var http = dynamo.Http();
        await fleet.Silos.UntilAsync("leases for a fault", () => Task.FromResult(fleet.Nodes.All(node => node.Lease.Slots.Values.Count(slot => slot.Leased) >= Lease)), Cancellation);
        var stays = await AddAllAsync(fleet);
        await fleet.Silos.UntilAsync("ADDs to be answered", () => AnsweredAsync(fleet, $"{nameof(AssignReply.Offered)} "), Cancellation);

        await begin();
        await SaysAsync(fleet, http, 1, said);
        var began = TimeProvider.System.GetTimestamp();
        var during = await AddAllAsync(fleet);
        Assert.True(TimeProvider.System.GetElapsedTime(began) < AddTakes, $"an ADD took {TimeProvider.System.GetElapsedTime(began)} ({said})");
        await DeleteAsync(stays[..1]);
        await fleet.Silos.UntilAsync("an ADD to be told of the store", () => AnsweredAsync(fleet, " table "), Cancellation);

        await end();
        await fleet.Silos.ReadyAsync(1, Cancellation);
        await fleet.Silos.UntilAsync("ADDs to be answered again", () => AnsweredAsync(fleet, $"{nameof(AssignReply.Offered)} "), Cancellation);
        await fleet.Books.RowsAgreeAsync(fleet.Nodes, Cancellation);
        Assert.Empty(fleet.Register.Wrong);
        await DeleteAsync([.. stays[1..], .. during]);
    }

    /// <summary>The silo is not ready, and why.</summary>
    private static Task SaysAsync(Fleet fleet, HttpClient http, int silo, string said)
    {
        var last = "";
        return fleet.Silos.UntilAsync($"/readyz to say: {said}", async () =>
        {
            (var status, last) = await SiloProcesses.ReadinessSaidAsync(http, silo, Cancellation);
            return status is HttpStatusCode.ServiceUnavailable && last.Contains(said, StringComparison.Ordinal);
        }, Cancellation);
    }

    /// <summary>A pod comes and goes; whether its ADD was answered with this.</summary>
    private static async Task<bool> AnsweredAsync(Fleet fleet, string word)
    {
        var pod = await AddAsync(fleet.Nodes[0]);
        await DeleteAsync([pod]);
        var (sandbox, said) = fleet.Nodes[0].Answers.LastAssign;
        return sandbox == pod.Sandbox && said.Contains(word, StringComparison.Ordinal);
    }

    private static async Task<(FleetNode Node, SandboxKey Sandbox)[]> AddAllAsync(Fleet fleet) => await Task.WhenAll(fleet.Nodes.Select(AddAsync));

    private static async Task<(FleetNode Node, SandboxKey Sandbox)> AddAsync(FleetNode node)
    {
        var (sandbox, failure) = await node.AddAsync(Cancellation);
        Assert.Null(failure);
        return (node, sandbox);
    }

    private static Task DeleteAsync((FleetNode Node, SandboxKey Sandbox)[] pods) => Task.WhenAll(pods.Select(pod => pod.Node.DeleteAsync(pod.Sandbox)));
}
