using System.Text.Json;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage;
using AwsVpcCni.Silo.Storage.Sqlite;
using Orleans.Storage;
using Xunit;
using Sqlite = AwsVpcCni.Silo.Storage.Sqlite;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>All of a store, taken to another one: between all kinds of stores.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class StoreContentsTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private const string Import = "import-1";
    private static readonly DateTimeOffset Noon = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-contents-");
    private readonly List<DynamoDbStore> _dynamoStores = [];
    private int _files;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _dynamoStores)
        {
            await store.DisposeAsync();
        }

        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("sqlite", "sqlite")]
    [InlineData("sqlite", "dynamodb")]
    [InlineData("dynamodb", "sqlite")]
    [InlineData("dynamodb", "dynamodb")]
    public async Task What_comes_out_of_a_store_goes_into_any_other_and_comes_out_of_it_the_same(string from, string to)
    {
        var seed = Seed.Take();
        var records = StoreRecords.Draw(new Random(seed));
        var (first, second) = (New(from), New(to));
        await first.FillAsync(Import, records.ToAsyncEnumerable(), Cancellation);

        var exported = await ExportAsync(first);
        await ImportAsync(second, exported);
        var again = await ExportAsync(second);

        Assert.True(Lines(exported).SetEquals(Lines(again)), $"{Seed.Variable}={seed}");
        var read = await second.ReadAsync(Cancellation).ToListAsync(Cancellation);
        Assert.True(
            records.OfType<StoreRecord.Address>().ToHashSet().SetEquals(read.OfType<StoreRecord.Address>()), $"{Seed.Variable}={seed}: rows");
        Assert.True(
            records.OfType<StoreRecord.History>().ToHashSet().SetEquals(read.OfType<StoreRecord.History>()), $"{Seed.Variable}={seed}: history");
        var bodies = read.OfType<StoreRecord.Document>().ToDictionary(document => (document.Grain, document.Name), document => document.Body);
        Assert.Equal(records.OfType<StoreRecord.Document>().Count(), bodies.Count);
        Assert.All(records.OfType<StoreRecord.Document>(), document => Assert.True(
            JsonElement.DeepEquals(JsonElement.Parse(document.Body), JsonElement.Parse(bodies[(document.Grain, document.Name)])), $"{Seed.Variable}={seed}: {document}"));
    }

    [Theory]
    [InlineData("sqlite")]
    [InlineData("dynamodb")]
    public async Task Grains_find_what_was_imported_and_write_on(string provider)
    {
        var store = New(provider);
        await store.FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation);
        using var database = provider == "sqlite" ? Database.Open(Path.Combine(_folder.FullName, $"{_files}.db"), TimeProvider.System) : null;
        IGrainStorage storage = database is null ? _dynamoStores[^1].Documents() : new Sqlite.GrainStorage(database, SqliteFile.Options);
        IAddressBook book = database is null ? _dynamoStores[^1].Book() : new Sqlite.AddressBook(database, SqliteFile.Options, TimeProvider.System);

        var state = new GrainState<Document>();
        await storage.ReadStateAsync("document", GrainId.Create("node", "i-1"), state);
        Assert.Equal((true, 7), (state.RecordExists, state.State!.Count));
        state.State = new Document { Count = 8 };
        await storage.WriteStateAsync("document", GrainId.Create("node", "i-1"), state);
        await storage.WriteStateAsync("document", GrainId.Create("node", "i-1"), state);

        Assert.Equal(((StoreRecord.Address)StoreRecords.Some()[1]).Row, Assert.Single(await book.ReadNodeAsync("i-1", Cancellation)));
        var ended = ((StoreRecord.History)StoreRecords.Some()[2]).Row;
        Assert.Equal([ended], await book.ReadHistoryAsync(ended.Address, ended.Since, ended.Since, Cancellation));
    }

    [Fact]
    public async Task An_activation_from_before_an_import_never_finds_its_ETag_again()
    {
        var store = NewDynamoDb();
        await store.OpenAsync();
        var grain = GrainId.Create("node", "i-1");
        var old = new GrainState<Document>(new Document { Count = 1 });
        foreach (var _ in Enumerable.Range(0, 3))
        {
            await store.Documents().WriteStateAsync("document", grain, old);
        }

        await store.Sdk.DeleteTableAsync(store.Settings.GrainTable, Cancellation);
        await store.Contents().FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation);
        var state = new GrainState<Document>();
        await store.Documents().ReadStateAsync("document", grain, state);
        foreach (var _ in Enumerable.Range(0, 4))
        {
            await Assert.ThrowsAsync<InconsistentStateException>(() => store.Documents().WriteStateAsync("document", grain, old));
            await store.Documents().WriteStateAsync("document", grain, state);
        }
    }

    [Fact]
    public async Task A_cleared_document_is_not_taken_along()
    {
        var store = NewDynamoDb();
        await store.OpenAsync();
        var state = new GrainState<Document>(new Document { Count = 1 });
        await store.Documents().WriteStateAsync("document", GrainId.Create("node", "i-1"), state);
        await store.Documents().ClearStateAsync("document", GrainId.Create("node", "i-1"), state);
        Assert.Empty(await store.Contents().ReadAsync(Cancellation).ToListAsync(Cancellation));

        var path = NewPath();
        using (var database = Database.Open(path, TimeProvider.System))
        {
            state = new GrainState<Document>(new Document { Count = 1 });
            var documents = new Sqlite.GrainStorage(database, SqliteFile.Options);
            await documents.WriteStateAsync("document", GrainId.Create("node", "i-1"), state);
            await documents.ClearStateAsync("document", GrainId.Create("node", "i-1"), state);
        }

        Assert.Empty(await Of(path).ReadAsync(Cancellation).ToListAsync(Cancellation));
    }

    [Theory]
    [InlineData("sqlite", 0, "not empty")]
    [InlineData("sqlite", 1, "not empty")]
    [InlineData("sqlite", 2, "not empty")]
    [InlineData("dynamodb", 0, "-grains is not empty")]
    [InlineData("dynamodb", 1, "-addresses is not empty")]
    [InlineData("dynamodb", 2, "-history is not empty")]
    public async Task A_store_with_anything_in_it_is_refused_and_left_as_it_is(string provider, int has, string said)
    {
        var store = New(provider);
        await store.FillAsync(Import, new[] { StoreRecords.Some()[has] }.ToAsyncEnumerable(), Cancellation);

        var refused = await Assert.ThrowsAsync<StoreException>(() => store.FillAsync("import-2", StoreRecords.Draw(new Random(1)).ToAsyncEnumerable(), Cancellation));
        Assert.Contains(said, refused.Message, StringComparison.Ordinal);
        Assert.Contains("an empty store only", refused.Message, StringComparison.Ordinal);
        Assert.Equal(StoreRecords.Some()[has], Assert.Single(await store.ReadAsync(Cancellation).ToListAsync(Cancellation)));
    }

    [Fact]
    public async Task An_import_of_which_only_the_answer_at_its_end_was_lost_is_complete_when_it_is_run_again()
    {
        var store = NewDynamoDb();
        store.MovingWay.Always = call => call.Operation == "DeleteItem" ? StoreFault.CutAfter : null;
        await Assert.ThrowsAsync<StoreException>(() => store.Contents().FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation));
        store.MovingWay.Always = _ => null;

        await store.Contents().FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation);

        await store.OpenAsync();
        Assert.Equivalent(StoreRecords.Some(), await store.Contents().ReadAsync(Cancellation).ToListAsync(Cancellation), strict: true);
        await Assert.ThrowsAsync<StoreException>(() => store.Contents().FillAsync("import-2", StoreRecords.Some().ToAsyncEnumerable(), Cancellation));
    }

    [Theory]
    [InlineData("sqlite", 0)]
    [InlineData("dynamodb", 0)]
    [InlineData("sqlite", 2)]
    [InlineData("dynamodb", 2)]
    public async Task A_record_that_comes_twice_is_refused(string provider, int number)
    {
        var twice = StoreRecords.Some()[number];
        StoreRecord[] records = [twice, twice switch
        {
            StoreRecord.Document document => document with { Body = """{"count":9}""" },
            StoreRecord.History history => history with { Row = history.Row with { Released = Noon.AddDays(1) } },
            _ => throw new InvalidOperationException("no such record"),
        }];

        Assert.Contains("twice", (await Assert.ThrowsAsync<StoreException>(() => New(provider).FillAsync(Import, records.ToAsyncEnumerable(), Cancellation))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_interrupted_import_into_a_file_leaves_nothing()
    {
        var store = New("sqlite");

        await Assert.ThrowsAsync<IOException>(() => store.FillAsync(Import, Interrupted(StoreRecords.Draw(new Random(2)), 30), Cancellation));

        Assert.Empty(await store.ReadAsync(Cancellation).ToListAsync(Cancellation));
        await store.FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation);
        Assert.Equal(StoreRecords.Some(), await store.ReadAsync(Cancellation).ToListAsync(Cancellation));
    }

    [Fact]
    public async Task An_interrupted_import_into_DynamoDB_keeps_silos_and_exports_away_until_the_same_one_has_come_to_its_end()
    {
        var store = NewDynamoDb();
        var records = StoreRecords.Draw(new Random(3));
        await Assert.ThrowsAsync<IOException>(() => store.Contents().FillAsync(Import, Interrupted(records, 30), Cancellation));

        foreach (var refused in new[]
        {
            await Assert.ThrowsAsync<StoreException>(() => store.OpenAsync().AsTask()), // As a silo does at its start.
            await Assert.ThrowsAsync<StoreException>(() => store.Contents().ReadAsync(Cancellation).ToListAsync(Cancellation).AsTask()),
        })
        {
            Assert.Contains("holds a part of an import that was interrupted. Run the same `ipam import` again", refused.Message, StringComparison.Ordinal);
        }

        var other = await Assert.ThrowsAsync<StoreException>(() => store.Contents().FillAsync("import-2", records.ToAsyncEnumerable(), Cancellation));
        Assert.Contains("holds a part of another import", other.Message, StringComparison.Ordinal);

        await Assert.ThrowsAsync<IOException>(() => store.Contents().FillAsync(Import, Interrupted(records, 60), Cancellation));
        await store.Contents().FillAsync(Import, records.ToAsyncEnumerable(), Cancellation);
        await store.OpenAsync();
        Assert.Equal(records.Count, (await store.Contents().ReadAsync(Cancellation).ToListAsync(Cancellation)).Count);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task What_a_silo_has_written_meanwhile_is_found(int number)
    {
        var store = NewDynamoDb();
        await Assert.ThrowsAsync<IOException>(() => store.Contents().FillAsync(Import, Interrupted([], 0), Cancellation));
        if (number == 0)
        {
            await store.Documents().WriteStateAsync("document", GrainId.Create("node", "i-1"), new GrainState<Document>(new Document { Count = 7 })); // The same, and yet another write.
        }
        else if (number == 2)
        {
            var ended = ((StoreRecord.History)StoreRecords.Some()[2]).Row;
            await store.Book().TryReleaseAsync(ended with { Released = ended.Released!.Value.AddSeconds(1) }, Cancellation);
        }
        else
        {
            await store.Book().TryAssignAsync(((StoreRecord.Address)StoreRecords.Some()[1]).Row with { Stamp = new Stamp(9, 9), Released = null }, Cancellation);
        }

        var refused = await Assert.ThrowsAsync<StoreException>(() => store.Contents().FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation));
        Assert.Contains($"has another {StoreRecords.Some()[number]} than the export: a silo runs on these tables", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_document_that_no_item_holds_is_found_before_anything_is_written()
    {
        var large = new StoreRecord.Document("node/i-1", "node", $"\"{new string('x', 400 * 1024)}\"");

        Of(NewPath()).Check(large);
        Assert.StartsWith("node of node/i-1: the document has ", Assert.Throws<StoreException>(() => NewDynamoDb().Contents().Check(large)).Message, StringComparison.Ordinal);
        NewDynamoDb().Contents().Check(large with { Body = large.Body[250..] });
    }

    [Theory]
    [InlineData(SiloStatus.Active, 10, true)]
    [InlineData(SiloStatus.Joining, 10, true)]
    [InlineData(SiloStatus.Active, 100, true)] // It writes each 30 s, two are missing, and its clock is half a minute behind.
    [InlineData(SiloStatus.Active, 200, false)] // Killed, and nobody was there to see it.
    [InlineData(SiloStatus.Dead, 10, false)]
    public async Task A_silo_that_runs_on_the_tables_is_seen(SiloStatus status, int secondsAgo, bool seen)
    {
        var store = NewDynamoDb();
        await store.OpenAsync();
        await JoinAsync(store, status, secondsAgo);

        var export = await Record.ExceptionAsync(() => store.Contents().ReadAsync(Cancellation).ToListAsync(Cancellation).AsTask());
        var import = await Record.ExceptionAsync(() => store.Contents().FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation));

        Assert.Equal((seen, seen), (export is StoreException, import is StoreException));
        if (seen)
        {
            Assert.StartsWith($"The silo 127.0.0.1:11111 (there) runs on these tables: it is {status}, and said ", export!.Message, StringComparison.Ordinal);
            Assert.EndsWith("Stop all silos, then export; one that was killed counts for 150 s.", export.Message, StringComparison.Ordinal);
            Assert.Equal(0, (await store.Sdk.ScanAsync(new(store.Settings.AddressTable), Cancellation)).Count);
        }
    }

    [Fact]
    public async Task A_silo_that_has_started_while_an_import_ran_is_seen_before_its_end()
    {
        var store = NewDynamoDb();
        await store.OpenAsync();

        var refused = await Assert.ThrowsAsync<StoreException>(() => store.Contents().FillAsync(Import, WhileAsync(() => JoinAsync(store, SiloStatus.Active, 1)), Cancellation));

        Assert.Contains("Stop all silos, then import", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Run the same `ipam import` again", (await Assert.ThrowsAsync<StoreException>(() => store.OpenAsync().AsTask())).Message, StringComparison.Ordinal);

        static async IAsyncEnumerable<StoreRecord> WhileAsync(Func<Task> happens)
        {
            yield return StoreRecords.Some()[0];
            await happens();
            yield return StoreRecords.Some()[1];
        }
    }

    [Fact]
    public async Task A_silo_that_has_the_file_is_seen_and_a_file_that_is_not_there_is_not_made()
    {
        var path = NewPath();
        Assert.Contains("there is no such file", (await Assert.ThrowsAsync<StoreException>(() => Of(path).ReadAsync(Cancellation).ToListAsync(Cancellation).AsTask())).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(path));

        using var silo = Database.Open(path, TimeProvider.System);
        foreach (var refused in new[]
        {
            await Assert.ThrowsAsync<StoreException>(() => Of(path).ReadAsync(Cancellation).ToListAsync(Cancellation).AsTask()),
            await Assert.ThrowsAsync<StoreException>(() => Of(path).FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation)),
        })
        {
            Assert.Contains("another silo has it", refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task What_we_would_lose_or_do_not_know_is_not_exported()
    {
        var store = NewDynamoDb();
        await store.Contents().FillAsync(Import, StoreRecords.Some().ToAsyncEnumerable(), Cancellation);
        var row = AwsVpcCni.Silo.Storage.DynamoDb.AddressItem.Write(((StoreRecord.Address)StoreRecords.Some()[1]).Row);
        row["of_a_later_silo"] = new("x");
        await store.Sdk.PutItemAsync(store.Settings.AddressTable, row, Cancellation);
        Assert.Contains($"{store.Settings.AddressTable} has an item with the attribute of_a_later_silo", await WhyNotAsync(), StringComparison.Ordinal);

        row.Remove("of_a_later_silo");
        row["expires"] = new() { N = "1" }; // The history has it, rows have not.
        await store.Sdk.PutItemAsync(store.Settings.AddressTable, row, Cancellation);
        Assert.Contains($"{store.Settings.AddressTable} has an item with the attribute expires", await WhyNotAsync(), StringComparison.Ordinal);

        row.Remove("expires");
        await store.Sdk.PutItemAsync(store.Settings.AddressTable, row, Cancellation);
        row["of_a_later_silo"] = new("x");
        await store.Sdk.PutItemAsync(store.Settings.HistoryTable, row, Cancellation);
        Assert.Contains($"{store.Settings.HistoryTable} has an item with the attribute of_a_later_silo", await WhyNotAsync(), StringComparison.Ordinal);

        await store.Sdk.PutItemAsync(store.Settings.GrainTable, new() { ["GrainReference"] = new("other_node/i-1"), ["GrainType"] = new("document") }, Cancellation);
        Assert.Contains("is of another service than aws-vpc-cni", await WhyNotAsync(), StringComparison.Ordinal);

        async Task<string> WhyNotAsync() => (await Assert.ThrowsAsync<StoreException>(() => store.Contents().ReadAsync(Cancellation).ToListAsync(Cancellation).AsTask())).Message;
    }

    private static async Task JoinAsync(DynamoDbStore store, SiloStatus status, int secondsAgo)
    {
        var membership = store.Membership();
        await membership.InitializeMembershipTable(true);
        var alive = TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(-secondsAgo);
        var silo = new MembershipEntry
        {
            SiloAddress = SiloAddress.New(System.Net.IPAddress.Loopback, 11111, 1), Status = status, HostName = "there", SiloName = "there", StartTime = alive, IAmAliveTime = alive,
        };
        Assert.True(await membership.InsertRow(silo, (await membership.ReadAll()).Version.Next()));
    }

    private static async IAsyncEnumerable<StoreRecord> Interrupted(IEnumerable<StoreRecord> records, int after)
    {
        foreach (var record in records.Take(after))
        {
            yield return record;
        }

        await Task.CompletedTask;
        throw new IOException("interrupted, as the test wished");
    }

    private static async Task<byte[]> ExportAsync(IStoreContents store)
    {
        using var file = new MemoryStream();
        await ExportFile.WriteAsync(file, new ExportHeader(ExportFile.Format, "test", "any", Noon), store.ReadAsync(Cancellation), Cancellation);
        return file.ToArray();
    }

    private static async Task ImportAsync(IStoreContents store, byte[] exported)
    {
        using var file = new MemoryStream(exported);
        await store.FillAsync(Import, ExportFile.ReadAsync(file, Cancellation), Cancellation);
    }

    private static HashSet<string> Lines(byte[] exported) => [.. System.Text.Encoding.UTF8.GetString(exported).Split('\n')];

    private IStoreContents New(string provider) => provider == "sqlite" ? Of(NewPath()) : NewDynamoDb().Contents();

    private string NewPath() => Path.Combine(_folder.FullName, $"{++_files}.db");

    private static Sqlite.Contents Of(string path) => new(Microsoft.Extensions.Options.Options.Create(new StorageOptions { Path = path }));

    private DynamoDbStore NewDynamoDb()
    {
        _dynamoStores.Add(new DynamoDbStore(dynamo));
        return _dynamoStores[^1];
    }

    private sealed class Document
    {
        public int Count { get; init; }
    }
}
