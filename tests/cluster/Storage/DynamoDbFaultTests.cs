using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage.DynamoDb;
using Orleans.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>What is DynamoDB's own: answers that are lost, pages, limits, tables.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class DynamoDbFaultTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private const string Node = "i-00000000000000001";
    private static readonly GrainId Grain = GrainId.Create("node", Node);
    private static readonly Ip Address = Ip.Parse("10.0.0.9");
    private static readonly DateTimeOffset Noon = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);

    private readonly DynamoDbStore _store = new(dynamo);

    /// <summary>The way with the faults; the store's own has none.</summary>
    private DynamoDbProxy Way => field ??= _store.OpenWay();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _store.OpenAsync();

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task A_change_of_a_row_whose_answer_is_lost_is_sent_again_and_recognised()
    {
        var book = _store.Book(Way);

        Way.Next(StoreFault.CutAfter);
        Assert.Null(await book.TryAssignAsync(Row(), Cancellation));
        Assert.Equal(Row(), Assert.Single(await _store.Book().ReadNodeAsync(Node, Cancellation)));
        Way.Next(StoreFault.CutAfter); // The history's.
        Assert.True(await ReleaseAsync(book));
        Assert.Equal(Noon, Assert.Single(await _store.Book().ReadNodeAsync(Node, Cancellation)).Released);
        Way.Next(StoreFault.CutAfter);
        Assert.True(await book.TryRemoveAsync(Node, Address, Cancellation));

        Assert.Equal(7, Way.Sends); // No read: the failed condition brings the item along.
        Assert.Empty(await _store.Book().ReadNodeAsync(Node, Cancellation));
    }

    [Fact]
    public async Task A_row_that_another_sandbox_got_between_two_sends_is_told()
    {
        var other = Row() with { Sandbox = new SandboxKey("b", "eth0"), Stamp = new Stamp(1, 2) };
        Way.Next(StoreFault.CutBefore).BeforeSend = () => _store.Book().TryAssignAsync(other, Cancellation);

        Assert.Equal(other, await _store.Book(Way).TryAssignAsync(Row(), Cancellation));
    }

    [Fact]
    public async Task A_change_of_a_document_whose_answer_is_lost_is_sent_again_and_recognised()
    {
        var documents = _store.Documents(Way);
        var state = new GrainState<Document>(new Document(1));

        Way.Next(StoreFault.CutAfter);
        await documents.WriteStateAsync("document", Grain, state); // The first, which must not be there before.
        Assert.StartsWith("0 ", state.ETag, StringComparison.Ordinal);
        state.State = new Document(2);
        Way.Next(StoreFault.CutAfter);
        await documents.WriteStateAsync("document", Grain, state);
        Assert.Equal((2, state.ETag), ((await ReadAsync()).State!.Count, (await ReadAsync()).ETag));
        Way.Next(StoreFault.CutAfter);
        await documents.ClearStateAsync("document", Grain, state);

        Assert.Equal((6, (state.ETag, false)), (Way.Sends, ((await ReadAsync()).ETag, (await ReadAsync()).RecordExists)));
    }

    [Fact]
    public async Task The_same_words_written_by_another_activation_are_not_our_write()
    {
        await _store.Documents().WriteStateAsync("document", Grain, new GrainState<Document>(new Document(1)));
        var (ours, theirs) = (await ReadAsync(), await ReadAsync());
        (ours.State, theirs.State) = (new Document(2), new Document(2));
        Way.Next(StoreFault.CutBefore).BeforeSend = () => _store.Documents().WriteStateAsync("document", Grain, theirs);

        await Assert.ThrowsAsync<InconsistentStateException>(() => _store.Documents(Way).WriteStateAsync("document", Grain, ours));
    }

    [Fact]
    public async Task A_throttled_write_is_sent_again_whole()
    {
        Way.Next(StoreFault.Refused("ProvisionedThroughputExceededException")).Next(StoreFault.Refused("ThrottlingException"));

        await _store.Documents(Way).WriteStateAsync("document", Grain, new GrainState<Document>(new Document(7)));

        Assert.Equal((3, 7), (Way.Sends, (await ReadAsync()).State!.Count));
    }

    [Fact]
    public async Task A_write_that_meets_another_transaction_was_not_executed_and_is_sent_again()
    {
        await _store.Membership().InitializeMembershipTable(true);
        var membership = _store.Membership(Way);
        var version = (await membership.ReadAll()).Version;
        var before = Way.Sends;

        Way.Next(StoreFault.Cancelled("None", "TransactionConflict"));
        Assert.True(await membership.InsertRow(MembershipTableTests.Entry(1), version.Next()));
        Assert.False(await membership.InsertRow(MembershipTableTests.Entry(2), version.Next())); // The version has gone on: an answer, and sent once.
        Assert.Equal(before + 3, Way.Sends);
        Assert.Single((await _store.Membership().ReadAll()).Members);

        before = Way.Sends;
        Way.Next(StoreFault.Refused("TransactionConflictException"));
        Assert.Null(await _store.Book(Way).TryAssignAsync(Row(), Cancellation));
        Way.Next(StoreFault.Refused("TransactionConflictException"));
        await _store.Documents(Way).WriteStateAsync("document", Grain, new GrainState<Document>(new Document(7)));
        Assert.Equal((before + 4, 7), (Way.Sends, (await ReadAsync()).State!.Count));
    }

    [Fact]
    public async Task Services_of_different_ids_share_a_table_and_know_nothing_of_each_others_documents_and_imports()
    {
        await _store.Documents().WriteStateAsync("document", Grain, new GrainState<Document>(new Document(7)));
        await _store.Sdk.PutItemAsync(_store.Settings.GrainTable, new() { ["GrainReference"] = new("aws-vpc-cni_import"), ["GrainType"] = new("unfinished"), ["ImportId"] = new("x") }, Cancellation);
        await Assert.ThrowsAsync<StoreException>(() => _store.Tables().ProbeAsync(Cancellation));

        _store.ServiceId = "other";

        Assert.False((await ReadAsync()).RecordExists);
        await _store.Documents().WriteStateAsync("document", Grain, new GrainState<Document>(new Document(8)));
        await _store.Tables().ProbeAsync(Cancellation);
        _store.ServiceId = "aws-vpc-cni";
        Assert.Equal(7, (await ReadAsync()).State!.Count);
    }

    [Fact]
    public async Task A_write_whose_condition_does_not_hold_is_charged_and_counted()
    {
        Assert.Null(await _store.Book().TryAssignAsync(Row(), Cancellation));
        var lost = _store.CountLostConditions(out var listener);
        using (listener)
        {
            Assert.NotNull(await _store.Book().TryAssignAsync(Row() with { Sandbox = new SandboxKey("b", "eth0") }, Cancellation));
            Assert.False(await _store.Book().TryRemoveAsync(Node, Address, Cancellation));
            Assert.True(await ReleaseAsync(_store.Book()));
            await Assert.ThrowsAsync<InconsistentStateException>(() => _store.Documents().WriteStateAsync("document", Grain, new GrainState<Document>(new Document(1)) { ETag = "7 x" }));
        }

        Assert.Equal(new() { ["PutItem"] = 1, ["DeleteItem"] = 1, ["UpdateItem"] = 1 }, lost);
    }

    [Fact]
    public async Task All_pages_of_a_node_are_read()
    {
        var rows = Enumerable.Range(1, 7).Select(number => Row() with { Address = Ip.Parse($"10.0.0.{number}"), Stamp = new Stamp(1, number) }).ToList();
        foreach (var row in rows)
        {
            await _store.Book().TryAssignAsync(row, Cancellation);
        }

        Assert.Equal(rows, await _store.BookWithSmallPages().ReadNodeAsync(Node, Cancellation));
    }

    [Fact]
    public async Task All_pages_of_a_history_are_read_also_behind_those_on_which_nothing_is_asked_for()
    {
        var first = TimeProvider.System.GetUtcNow().AddDays(-1);
        var ended = Enumerable.Range(0, 5).Select(number => Row() with { Since = first.AddHours(number), Released = first.AddHours(number).AddMinutes(1) }).ToArray();
        foreach (var row in ended)
        {
            await _store.Book().TryReleaseAsync(row, Cancellation);
        }

        Assert.Equal(ended[2..], await _store.BookWithSmallPages().ReadHistoryAsync(Address, ended[2].Since, ended[4].Since, Cancellation));
        Assert.Equal([ended[0]], await _store.BookWithSmallPages().ReadHistoryAsync(Address, DateTimeOffset.MinValue, ended[0].Since, Cancellation));
        Assert.Equal([ended[4]], await _store.BookWithSmallPages(Way).ReadHistoryAsync(Address, ended[4].Since, ended[4].Since, Cancellation));
        Assert.Equal(1, Way.Sends); // A page of two: all before had ended by then.
    }

    [Fact]
    public async Task A_document_beyond_the_limit_of_an_item_is_refused_before_it_is_sent_and_one_below_is_not()
    {
        var documents = _store.Documents(Way);
        var error = await Assert.ThrowsAsync<StoreException>(() => documents.WriteStateAsync("document", Grain, new GrainState<string>(new string('x', 400 * 1024))));
        Assert.StartsWith($"document of {Grain}: the document has ", error.Message, StringComparison.Ordinal);
        Assert.Contains("DynamoDB takes 409600", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, Way.Sends);

        await documents.WriteStateAsync("document", Grain, new GrainState<string>(new string('x', (400 * 1024) - 250)));
    }

    [Theory]
    [InlineData("other")] // Of another program.
    [InlineData(null)] // Without a document, and not cleared.
    public async Task An_item_that_is_none_of_ours_is_an_error_and_not_a_new_document(string? state)
    {
        Dictionary<string, AttributeValue> item = new()
        {
            ["GrainReference"] = new($"aws-vpc-cni_{Grain}"), ["GrainType"] = new("document"), ["ETag"] = new() { N = "3" },
        };
        if (state is not null)
        {
            item["GrainState"] = new(state);
        }

        await _store.Sdk.PutItemAsync(_store.Settings.GrainTable, item, Cancellation);
        await _store.Sdk.PutItemAsync(_store.Settings.AddressTable, new() { ["node"] = new(Node), ["address"] = new("10.0.0.9") }, Cancellation);

        Assert.Contains("has no attribute GrainState of type B", (await Assert.ThrowsAsync<StoreException>(ReadAsync)).Message, StringComparison.Ordinal);
        Assert.Contains(
            $"the item of {Node}, 10.0.0.9 is none of ours", (await Assert.ThrowsAsync<StoreException>(() => _store.Book().ReadNodeAsync(Node, Cancellation))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Documents_stand_in_the_layout_of_Orleans_own_provider()
    {
        await _store.Documents().WriteStateAsync("document", Grain, new GrainState<Document>(new Document(7)));

        var answer = await _store.Sdk.GetItemAsync(
            _store.Settings.GrainTable, new() { ["GrainReference"] = new($"aws-vpc-cni_node/{Node}"), ["GrainType"] = new("document") }, Cancellation);
        Assert.Equal("""{"count":7}""", System.Text.Encoding.UTF8.GetString(answer.Item["GrainState"].B.ToArray()));
        Assert.Equal("0", answer.Item["ETag"].N);
    }

    [Fact]
    public async Task Tables_that_are_there_are_left_as_they_are_and_the_probe_leaves_nothing()
    {
        await _store.Book().TryAssignAsync(Row(), Cancellation);

        await _store.OpenAsync();
        await _store.Tables().ProbeAsync(Cancellation);

        Assert.Equal(1, (await _store.Sdk.ScanAsync(new ScanRequest(_store.Settings.AddressTable), Cancellation)).Count);
        Assert.Equal(0, (await _store.Sdk.ScanAsync(new ScanRequest(_store.Settings.HistoryTable), Cancellation)).Count);
        Assert.Equal(0, (await _store.Sdk.ScanAsync(new ScanRequest(_store.Settings.GrainTable), Cancellation)).Count);
        Assert.Equal("PAY_PER_REQUEST", (await _store.Sdk.DescribeTableAsync(_store.Settings.AddressTable, Cancellation)).Table.BillingModeSummary.BillingMode.Value);
    }

    [Fact]
    public async Task An_end_whose_history_is_written_and_whose_release_is_not_ends_again_with_the_first_time()
    {
        var row = Row() with { Since = TimeProvider.System.GetUtcNow().AddDays(-1) }; // What is too old DynamoDB may delete.
        var released = row.Since.AddHours(1);
        await _store.Book().TryAssignAsync(row, Cancellation);
        Way.Always = call => call.Operation == "UpdateItem" ? StoreFault.CutBefore : null;
        await Assert.ThrowsAsync<StoreException>(() => _store.Book(Way).TryReleaseAsync(row with { Released = released }, Cancellation));
        Assert.Null(Assert.Single(await _store.Book().ReadNodeAsync(Node, Cancellation)).Released);

        Assert.True(await _store.Book().TryReleaseAsync(row with { Released = released.AddMinutes(1) }, Cancellation));
        var item = Assert.Single((await _store.Sdk.ScanAsync(new ScanRequest(_store.Settings.HistoryTable), Cancellation)).Items);
        Assert.Equal(($"{released.UtcDateTime:O}", $"{released.AddDays(30).ToUnixTimeSeconds()}"), (item["released"].S, item["expires"].N));
    }

    [Fact]
    public async Task The_history_expires_also_in_a_table_that_was_there_before_us()
    {
        Assert.Equal("expires", await ExpiresByAsync());

        await _store.MakeHistoryThatGrowsAsync();
        _store.Settings.CreateTables = false; // Nothing of a table may be changed: the silo starts, and warns.
        await _store.OpenAsync();
        Assert.Null(await ExpiresByAsync());
        _store.Settings.CreateTables = true;
        await Task.WhenAll(_store.OpenAsync().AsTask(), _store.OpenAsync().AsTask());
        Assert.Equal("expires", await ExpiresByAsync());

        async Task<string?> ExpiresByAsync() =>
            (await _store.Sdk.DescribeTimeToLiveAsync(_store.Settings.HistoryTable, Cancellation)).TimeToLiveDescription?.AttributeName;
    }

    [Fact]
    public async Task Of_silos_that_make_the_tables_at_once_all_start()
    {
        await DeleteTablesAsync();

        await Task.WhenAll(Enumerable.Range(1, 4).Select(_ => Task.Run(() => _store.OpenAsync().AsTask())));
        await _store.Book().TryAssignAsync(Row(), Cancellation);
    }

    [Fact]
    public async Task A_missing_table_is_an_error_with_its_name()
    {
        await DeleteTablesAsync();
        _store.Settings.CreateTables = false;

        var atStart = await Assert.ThrowsAsync<StoreException>(() => _store.OpenAsync().AsTask());
        Assert.StartsWith($"DynamoDB has no table {_store.Settings.AddressTable} here, and Storage:CreateTables is false.", atStart.Message, StringComparison.Ordinal);
        var later = await Assert.ThrowsAsync<StoreException>(() => _store.Book(Way).TryAssignAsync(Row(), Cancellation));
        Assert.Contains($"DynamoDB has no table {_store.Settings.AddressTable} here", later.Message, StringComparison.Ordinal);
        Assert.Equal(1, Way.Sends);
        var probe = await Assert.ThrowsAsync<StoreException>(() => _store.Tables().ProbeAsync(Cancellation)); // So the silo is not ready.
        Assert.All(_store.Tables().OfStore, table => Assert.Contains($"DynamoDB has no table {table.Table} here", probe.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_table_with_other_keys_is_refused()
    {
        _store.Settings.AddressTable = _store.Settings.GrainTable;

        var error = await Assert.ThrowsAsync<StoreException>(() => _store.OpenAsync().AsTask());
        Assert.StartsWith(
            $"Table {_store.Settings.GrainTable} has other keys (HASH GrainReference S, RANGE GrainType S) than the hash key node (S) and the range key address (S).", error.Message, StringComparison.Ordinal);
    }

    private static Task<bool> ReleaseAsync(AddressBook book) => book.TryReleaseAsync(Row() with { Stamp = new Stamp(1, 2), Released = Noon }, Cancellation);

    private async Task<GrainState<Document>> ReadAsync()
    {
        var state = new GrainState<Document>();
        await _store.Documents().ReadStateAsync("document", Grain, state);
        return state;
    }

    private async Task DeleteTablesAsync()
    {
        await _store.Sdk.DeleteTableAsync(_store.Settings.AddressTable, Cancellation);
        await _store.Sdk.DeleteTableAsync(_store.Settings.HistoryTable, Cancellation);
        await _store.Sdk.DeleteTableAsync(_store.Settings.GrainTable, Cancellation);
    }

    private static AddressRow Row() => new()
    {
        NodeId = Node,
        Address = Address,
        Sandbox = new SandboxKey("a", "eth0"),
        Pod = new PodName("default", "pod-a", "uid"),
        Stamp = new Stamp(1, 1),
        Since = Noon,
    };

    private sealed record Document(int Count)
    {
        public Document() : this(0)
        {
        }
    }
}
