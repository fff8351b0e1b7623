using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage.Sqlite;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>What is the file's own in the history: what is too old goes, and a file from before there was one.</summary>
public sealed class SqliteHistoryTests : IDisposable
{
    private readonly SqliteFile _file = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 25, 12, 0, 0, TimeSpan.Zero));

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private AddressBook Book => new(_file.Database, SqliteFile.Options, _time);

    public void Dispose() => _file.Dispose();

    [Fact]
    public async Task What_is_too_old_is_told_no_more_and_goes_with_the_ends_that_come()
    {
        var first = _time.GetUtcNow();
        foreach (var address in new[] { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5" })
        {
            await EndAsync(address);
        }

        _time.Advance(SqliteFile.Options.Value.HistoryKept);
        Assert.Single(await HistoryAsync("10.0.0.1"));
        await EndAsync("10.0.0.6");
        Assert.Equal(6, await CountAsync());

        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Empty(await HistoryAsync("10.0.0.1"));
        foreach (var (address, count) in new[] { ("10.0.0.7", 5), ("10.0.0.8", 4), ("10.0.0.9", 4) }) // One more, two less; at last one.
        {
            await EndAsync(address);
            Assert.Equal(count, await CountAsync());
        }

        Assert.Single(await HistoryAsync("10.0.0.6"));

        async Task<IReadOnlyList<AddressRow>> HistoryAsync(string address) => await Book.ReadHistoryAsync(Ip.Parse(address), first, _time.GetUtcNow(), Cancellation);
    }

    [Fact]
    public async Task A_file_from_before_there_was_a_history_gets_one()
    {
        await _file.Database.RunAsync("make it older", TimeSpan.FromSeconds(30), session => session.Execute("DROP TABLE history"), Cancellation);
        _file.Reopen();

        await EndAsync("10.0.0.1");
        Assert.Equal(1, await CountAsync());
    }

    private Task<bool> EndAsync(string address) => Book.TryReleaseAsync(
        new AddressRow
        {
            NodeId = "i-1", Address = Ip.Parse(address), Sandbox = new SandboxKey("a", "eth0"), Pod = new PodName("default", "a", "uid"), Stamp = new Stamp(1, 1),
            Since = _time.GetUtcNow().AddMinutes(-1), Released = _time.GetUtcNow(),
        },
        Cancellation);

    private Task<long> CountAsync() =>
        _file.Database.RunAsync("count", TimeSpan.FromSeconds(30), session => session.Query("SELECT count(*) FROM history", row => row.GetInt64(0)).Single(), Cancellation);
}
