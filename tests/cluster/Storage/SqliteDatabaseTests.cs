using System.Globalization;
using System.Text.RegularExpressions;
using AwsVpcCni.Core.Metrics;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Metrics;
using AwsVpcCni.Silo.Storage.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>The file and its thread; what is stored in it is the contracts' matter.</summary>
public sealed class SqliteDatabaseTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-sqlite-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string FilePath => Path.Combine(_folder.FullName, "new", "silo.db");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_second_silo_on_the_file_is_told_whose_it_is_and_the_first_goes_on()
    {
        using var first = Open();
        Directory.CreateSymbolicLink(Path.Combine(_folder.FullName, "alias"), Path.GetDirectoryName(FilePath)!);
        File.CreateSymbolicLink(Path.Combine(_folder.FullName, "alias.db"), FilePath);

        foreach (var path in new[] { FilePath, Path.Combine(_folder.FullName, "alias.db") })
        {
            var refused = Assert.Throws<StoreException>(() => Database.Open(path, TimeProvider.System));
            Assert.Contains($"{FilePath}: another silo has it", refused.Message, StringComparison.Ordinal);
            Assert.Contains("Storage:Path", refused.Message, StringComparison.Ordinal);
        }

        Assert.Equal(1, await BumpAsync(first));
    }

    [Fact]
    public void After_the_owner_is_gone_the_file_can_be_opened_again()
    {
        Open().Dispose();
        Open().Dispose();
    }

    [Theory]
    [InlineData(0)] // The header: no SQLite file at all.
    [InlineData(4096)] // A page inside.
    public void A_damaged_file_is_refused_and_left_as_it_is(int at)
    {
        Open().Dispose();
        var bytes = File.ReadAllBytes(FilePath);
        bytes.AsSpan(at, 512).Fill(0xA5);
        File.WriteAllBytes(FilePath, bytes);

        var refused = Assert.Throws<StoreException>(() => Open().Dispose());

        Assert.StartsWith($"{FilePath}: damaged", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Restore a copy", refused.Message, StringComparison.Ordinal);
        Assert.Equal(bytes, File.ReadAllBytes(FilePath));
    }

    [Theory]
    [InlineData("CREATE TABLE cats (name TEXT)", "of another program")]
    [InlineData("PRAGMA user_version = 7", "of another program")]
    [InlineData("PRAGMA application_id = 0x41564353; PRAGMA user_version = 7", "by a newer silo (schema 7")]
    public void A_file_that_is_not_ours_is_refused(string sql, string said)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FilePath)!);
        using (var connection = new SqliteConnection($"Data Source={FilePath};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this test.
            command.CommandText = sql;
#pragma warning restore CA2100
            command.ExecuteNonQuery();
        }

        var bytes = File.ReadAllBytes(FilePath);
        Assert.Contains(said, Assert.Throws<StoreException>(() => Open().Dispose()).Message, StringComparison.Ordinal);
        Assert.Equal(bytes, File.ReadAllBytes(FilePath));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_named()
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "new"), "a file where a folder should be");

        Assert.StartsWith($"{FilePath}: cannot be written", Assert.Throws<StoreException>(() => Open().Dispose()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_that_come_during_a_commit_share_the_next_one()
    {
        using var database = Open();
        using var busy = await BusyAsync(database);
        var before = database.Commits;
        var bumps = Enumerable.Range(0, 20).Select(_ => BumpAsync(database)).ToList();

        busy.Release();
        await Task.WhenAll(bumps);

        Assert.Equal(2, database.Commits - before); // The busy one's, and one for all 20.
    }

    [Fact]
    public async Task A_request_that_fails_fails_alone()
    {
        using var database = Open();
        using var busy = await BusyAsync(database);
        var good = BumpAsync(database);
        var bad = database.RunAsync("try nonsense", Long, session => session.Execute("UPDATE nonsense SET x = 1"), Cancellation);
        var alsoGood = BumpAsync(database);
        busy.Release();

        Assert.Contains("try nonsense: SQLite refused", (await Assert.ThrowsAsync<StoreException>(() => bad)).Message, StringComparison.Ordinal);
        Assert.Equal((1, 1), (await good, await alsoGood));
        Assert.Equal(2, await CountAsync(database));
    }

    [Fact]
    public async Task A_request_whose_turn_does_not_come_in_time_is_not_executed()
    {
        var time = new FakeTimeProvider();
        using var database = Database.Open(FilePath, time);
        using var busy = await BusyAsync(database);
        var late = database.RunAsync("bump", TimeSpan.FromMilliseconds(150), Bump, Cancellation);

        time.Advance(TimeSpan.FromMilliseconds(150));

        Assert.StartsWith("bump: not tried, its turn did not come within 150 ms", (await Assert.ThrowsAsync<StoreException>(() => late)).Message, StringComparison.Ordinal);
        busy.Release();
        Assert.Equal(0, await CountAsync(database));
    }

    [Fact]
    public async Task A_request_that_is_under_way_at_its_deadline_is_said_to_be_unknown()
    {
        var time = new FakeTimeProvider();
        using var database = Database.Open(FilePath, time);
        using var busy = await BusyAsync(database, TimeSpan.FromMilliseconds(150));

        time.Advance(TimeSpan.FromMilliseconds(150));

        Assert.Contains("not known to have happened", (await Assert.ThrowsAsync<StoreException>(() => busy.Done)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_failure_is_counted_by_its_kind_from_the_start_and_what_succeeds_is_not()
    {
        using var metrics = new SqliteMetrics();
        using var readings = new MeterReadings([metrics]);
        var time = new FakeTimeProvider();
        using var database = Database.Open(FilePath, time, null, metrics);
        Assert.Equal([("Crowded", 0), ("Full", 0), ("InputOutput", 0), ("Late", 0), ("Refused", 0)], Counted());

        await database.RunAsync("bump", TimeSpan.FromMinutes(1), Bump, Cancellation);
        await Assert.ThrowsAsync<StoreException>(() => database.RunAsync("nonsense", TimeSpan.FromMinutes(1), session => session.Execute("INSERT INTO nowhere VALUES (1)"), Cancellation));
        await Assert.ThrowsAsync<StoreException>(() => database.RunAsync("much", TimeSpan.FromMinutes(1), session =>
        {
            session.Execute("PRAGMA max_page_count = 1"); // As many as there are: a disk without room. Some are free, since the log was grown at the start.
            return session.Execute("CREATE TABLE fill AS SELECT zeroblob(20000000)");
        }, Cancellation));
        using var busy = await BusyAsync(database);
        var late = database.RunAsync("bump", TimeSpan.FromMilliseconds(150), Bump, Cancellation);
        time.Advance(TimeSpan.FromMilliseconds(150));
        await Assert.ThrowsAsync<StoreException>(() => late);
        busy.Release();

        Assert.Equal([("Crowded", 0), ("Full", 1), ("InputOutput", 0), ("Late", 1), ("Refused", 1)], Counted());

        (string, int)[] Counted()
        {
            var text = new PrometheusText("aws_vpc_cni_");
            readings.WriteTo(text, "aws_vpc_cni_");
            return [.. Regex.Matches($"{text}", "^aws_vpc_cni_store_failures_total{table=\"sqlite\",operation=\"transaction\",fault=\"(\\w+)\"} (\\d+)$", RegexOptions.Multiline)
                .Select(line => (line.Groups[1].Value, int.Parse(line.Groups[2].Value, CultureInfo.InvariantCulture)))];
        }
    }

    [Fact]
    public async Task A_full_queue_refuses_at_once()
    {
        using var database = Open();
        using var busy = await BusyAsync(database);
        var waiting = Enumerable.Range(0, 2000).Select(_ => BumpAsync(database)).ToList();

        Assert.Contains("wait for the store already", (await Assert.ThrowsAsync<StoreException>(() => BumpAsync(database))).Message, StringComparison.Ordinal);
        busy.Release();
        await Task.WhenAll(waiting);
        Assert.Equal(2000, await CountAsync(database));
    }

    [Fact]
    public async Task Closing_finishes_what_is_queued()
    {
        var database = Open();
        var bumps = Enumerable.Range(0, 50).Select(_ => BumpAsync(database)).ToList();
        database.Dispose();

        Assert.Equal(50, (await Task.WhenAll(bumps)).Sum());
        Assert.Contains("the store is closed", (await Assert.ThrowsAsync<StoreException>(() => BumpAsync(database))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_write_ahead_log_does_not_grow_with_commits()
    {
        for (var start = 1; start <= 2; start++)
        {
            using var database = Open();
            var before = new FileInfo(FilePath + "-wal").Length;
            for (var n = 0; n < 20; n++)
            {
                await BumpAsync(database);
            }

            Assert.Equal(before, new FileInfo(FilePath + "-wal").Length);
            Assert.Equal(20 * start, await CountAsync(database)); // Written all the same, and over nothing.
        }
    }

    private Database Open() => Database.Open(FilePath, TimeProvider.System);

    private static int Bump(Session session) => session.Execute("UPDATE probe SET count = count + 1 WHERE id = 1");

    private static Task<int> BumpAsync(Database database) => database.RunAsync("bump", Long, Bump, Cancellation);

    private static Task<long> CountAsync(Database database) =>
        database.RunAsync("count", Long, session => session.Query("SELECT count FROM probe", row => row.GetInt64(0)).Single(), Cancellation);

    /// <summary>Returns once the store's thread is inside a request that goes on until it is released.</summary>
    private static async Task<Busy> BusyAsync(Database database, TimeSpan? deadline = null)
    {
        var busy = new Busy();
        busy.Done = database.RunAsync("be busy", deadline ?? Long, _ => busy.Run(), Cancellation);
        await busy.Started.Task.WaitAsync(Long, Cancellation);
        return busy;
    }

    private sealed class Busy : IDisposable
    {
        private readonly ManualResetEventSlim _release = new();

        public TaskCompletionSource Started { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<bool> Done { get; set; } = Task.FromResult(true);

        public bool Run()
        {
            Started.SetResult();
            return _release.Wait(Long);
        }

        public void Release() => _release.Set();

        public void Dispose() => _release.Set();
    }
}
