using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage;
using AwsVpcCni.Silo.Storage.Sqlite;
using Microsoft.Data.Sqlite;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Cli;

/// <summary>`ipam export` and `ipam import` as a user calls them.</summary>
public sealed class ExportCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-export-");

    private static AddressRow Row { get; } = new()
    {
        NodeId = "i-1", Address = Ip.Parse("10.0.0.9"), Sandbox = new SandboxKey("c", "eth0"), Pod = new PodName("default", "web", "uid"), Stamp = new Stamp(1, 2),
        Since = new DateTimeOffset(2026, 11, 25, 12, 0, 0, TimeSpan.Zero),
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_store_goes_through_a_file_and_through_a_pipe()
    {
        await FillAsync("first.db");

        var file = await new Ipam(In("first.db")).RunAsync("export", In("all.jsonl"));
        Assert.Equal((0, "", "2 documents, 1 rows of addresses and 1 of their history of cluster test exported.\n"), (file.ExitCode, file.Output, file.Errors));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(In("all.jsonl")).UnixFileMode);
        var pipe = await new Ipam(In("first.db")).RunAsync("export");
        var exported = await File.ReadAllTextAsync(In("all.jsonl"), Cancellation);
        Assert.Equal(exported.Split('\n')[1..], pipe.Output.Split('\n')[1..]); // But for the time in the header.

        Assert.Equal("2 documents, 1 rows of addresses and 1 of their history of cluster test imported.\n", (await new Ipam(In("second.db")).RunAsync("import", In("all.jsonl"))).Errors);
        Assert.Equal(0, (await new Ipam(In("third.db")).RunWithInputAsync(pipe.Output, "import", "-")).ExitCode);
        Assert.Equal(0, (await new Ipam(In("fourth.db")).RunWithInputAsync(pipe.Output, "import", "/dev/stdin")).ExitCode);
        foreach (var copy in new[] { "second.db", "third.db", "fourth.db" })
        {
            Assert.Equal(exported.Split('\n')[1..], (await new Ipam(In(copy)).RunAsync("export", "-")).Output.Split('\n')[1..]);
        }
    }

    [Fact]
    public async Task What_is_wrong_with_a_file_is_said_and_nothing_is_made_of_it()
    {
        await FillAsync("first.db");
        var exported = (await new Ipam(In("first.db")).RunAsync("export")).Output;

        var other = await new Ipam(In("new.db")).With("Cluster__Name", "prod").RunWithInputAsync(exported, "import");
        Assert.Equal((1, "silo: The export is of cluster test, and Cluster:Name is prod: interfaces are told apart by it. Set Cluster__Name=test, or give this cluster's export.\n"), (other.ExitCode, other.Errors));
        var cut = await new Ipam(In("new.db")).RunWithInputAsync(exported[..exported.IndexOf("{\"end\"", StringComparison.Ordinal)], "import");
        Assert.StartsWith("silo: The export ends after line 5, and not with its closing line: it was cut.", cut.Errors, StringComparison.Ordinal);
        var newer = await new Ipam(In("new.db")).RunWithInputAsync(exported.Replace("\"format\":2", "\"format\":3", StringComparison.Ordinal), "import");
        Assert.StartsWith("silo: The export was written by a newer silo (format 3; this one knows 2).", newer.Errors, StringComparison.Ordinal);
        var none = await new Ipam(In("new.db")).RunAsync("import", In("nowhere.jsonl"));
        Assert.Contains("nowhere.jsonl: cannot be read", none.Errors, StringComparison.Ordinal);
        Assert.All([other, cut, newer, none], ended => Assert.Equal(1, ended.ExitCode));
        Assert.False(File.Exists(In("new.db")));

        var filled = await new Ipam(In("first.db")).RunWithInputAsync(exported, "import");
        Assert.Contains("first.db: not empty (4 documents and rows), and an import goes into an empty store only.", filled.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_there_is_not_written_over_and_a_failed_export_leaves_none()
    {
        await FillAsync("first.db");
        await File.WriteAllTextAsync(In("all.jsonl"), "somebody's", Cancellation);
        Assert.Contains("all.jsonl: cannot be made", (await new Ipam(In("first.db")).RunAsync("export", In("all.jsonl"))).Errors, StringComparison.Ordinal);
        Assert.Equal("somebody's", await File.ReadAllTextAsync(In("all.jsonl"), Cancellation));

        using var silo = Database.Open(In("first.db"), TimeProvider.System);
        Assert.Contains("another silo has it", (await new Ipam(In("first.db")).RunAsync("export", In("new.jsonl"))).Errors, StringComparison.Ordinal);
        Assert.False(File.Exists(In("new.jsonl")));
    }

    [Theory]
    [InlineData("UPDATE addresses SET address = 'ten'", "first.db: a row cannot be read (")]
    [InlineData("UPDATE history SET since = 'yesterday'", "first.db: a row cannot be read (")]
    [InlineData("ALTER TABLE addresses DROP COLUMN pod_uid", "first.db: cannot be opened (")]
    [InlineData("UPDATE documents SET body = '{'", "is no JSON")]
    public async Task A_file_that_cannot_be_read_is_named(string change, string said)
    {
        await FillAsync("first.db");
        using (var connection = new SqliteConnection($"Data Source={In("first.db")};Pooling=false"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Of this test.
            command.CommandText = change;
#pragma warning restore CA2100
            command.ExecuteNonQuery();
        }

        var ended = await new Ipam(In("first.db")).RunAsync("export", In("new.jsonl"));

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("silo: ", ended.Errors, StringComparison.Ordinal);
        Assert.Contains(said, ended.Errors, StringComparison.Ordinal);
        Assert.Single(ended.Errors.Trim().Split('\n'));
        Assert.False(File.Exists(In("new.jsonl")));
    }

    [Fact]
    public async Task Settings_that_have_no_part_in_it_may_be_wrong()
    {
        await FillAsync("first.db");

        var ended = await new Ipam(In("first.db")).With("WARM_IP_TARGET", "many").With("Pool__MinimumIps", "many").RunAsync("export", In("new.jsonl"));

        Assert.True(ended.ExitCode == 0, ended.Errors);
    }

    private string In(string name) => Path.Combine(_folder.FullName, name);

    private Task<bool> FillAsync(string name) => new Contents(Microsoft.Extensions.Options.Options.Create(new StorageOptions { Path = In(name) })).FillAsync(
        "import-1",
        new StoreRecord[]
        {
            new StoreRecord.Document("node/i-1", "node", """{"schema":1}"""),
            new StoreRecord.Document("vpc/vpc-1", "vpc", """{"schema":1,"nodes":["i-1"]}"""),
            new StoreRecord.Address(Row),
            new StoreRecord.History(Row with { Pod = new PodName("default", "before", "uid"), Since = Row.Since.AddHours(-2), Released = Row.Since.AddHours(-1) }),
        }.ToAsyncEnumerable(),
        Cancellation);
}
