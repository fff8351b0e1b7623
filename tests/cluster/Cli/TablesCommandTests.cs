using AwsVpcCni.Silo.Storage.Sqlite;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Cli;

[Collection(nameof(DynamoDbLocal))]
public sealed class TablesCommandTests(DynamoDbLocal dynamo) : IAsyncLifetime
{
    private readonly DynamoDbStore _store = new(dynamo);

    private Ipam Tool => new(dynamo, _store.Settings);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task Check_names_each_missing_table_create_makes_them_and_a_second_create_finds_them()
    {
        var (addresses, history, grains, silos) = (_store.Settings.AddressTable, _store.Settings.HistoryTable, _store.Settings.GrainTable, _store.Settings.MembershipTable);
        var tool = Tool.With("Silo__Clustering", "dynamodb");

        var before = await tool.RunAsync("tables", "check");
        Assert.Equal(1, before.ExitCode);
        Assert.All([addresses, history, grains, silos], table => Assert.Contains(
            $"silo: There is no table {table} here. `silo ipam tables create` makes it", before.Errors, StringComparison.Ordinal));

        var made = await tool.RunAsync("tables", "create");
        Assert.Equal((0, ""), (made.ExitCode, made.Errors));
        Assert.Equal([addresses, history, grains, silos], made.Lines.Select(line => line.Split(": made")[0]));
        Assert.All((await tool.RunAsync("tables", "create")).Lines, line => Assert.EndsWith(": was there", line, StringComparison.Ordinal));

        var after = await tool.RunAsync("tables", "check");
        Assert.Equal((0, ""), (after.ExitCode, after.Errors));
        Assert.Contains("HASH node S, RANGE address S", after.Output, StringComparison.Ordinal);
        Assert.Equal(3, after.Lines.Count(line => line.Contains("ACTIVE", StringComparison.Ordinal) && line.EndsWith("on demand -", StringComparison.Ordinal)));
        Assert.EndsWith("HASH address S, RANGE since S on demand by expires", after.Lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_history_that_only_grows_is_shown_no_reason_not_to_start_and_create_lets_it_expire()
    {
        await Tool.RunAsync("tables", "create");
        await _store.MakeHistoryThatGrowsAsync();

        var before = await Tool.RunAsync("tables", "check");
        Assert.Equal((0, ""), (before.ExitCode, before.Errors));
        Assert.EndsWith("on demand off: it only grows", before.Lines[2], StringComparison.Ordinal);

        Assert.Equal(0, (await Tool.RunAsync("tables", "create")).ExitCode);
        Assert.EndsWith("on demand by expires", (await Tool.RunAsync("tables", "check")).Lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_table_of_silos_is_asked_for_only_where_there_are_several()
    {
        Assert.Equal(3, (await Tool.RunAsync("tables", "create")).Lines.Count);
        Assert.Equal(0, (await Tool.RunAsync("tables", "check")).ExitCode);
        Assert.DoesNotContain(_store.Settings.MembershipTable, (await _store.Sdk.ListTablesAsync(Cancellation)).TableNames);
    }

    [Fact]
    public async Task A_table_with_other_keys_or_in_no_reach_is_named_and_the_others_are_looked_at_all_the_same()
    {
        await Tool.RunAsync("tables", "create");

        var twisted = await Tool.With("Storage__AddressTable", _store.Settings.GrainTable).With("Storage__GrainTable", _store.Settings.AddressTable).RunAsync("tables", "check", "--json");
        Assert.Equal(1, twisted.ExitCode);
        Assert.Contains($"Table {_store.Settings.GrainTable} has other keys (HASH GrainReference S", twisted.Errors, StringComparison.Ordinal);
        Assert.Contains($"Table {_store.Settings.AddressTable} has other keys (HASH node S", twisted.Errors, StringComparison.Ordinal);
        Assert.Contains("\"wrong\": \"Table ", twisted.Output, StringComparison.Ordinal);

        var away = await Tool.With("Storage__ServiceUrl", "http://127.0.0.1:9").RunAsync("tables", "check");
        Assert.Equal((1, 3), (away.ExitCode, away.Errors.Split("no whole answer from DynamoDB").Length - 1));
    }
}

public sealed class TablesCommandOnSqliteTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-tables-");

    private string Path => System.IO.Path.Combine(_folder.FullName, "silo.db");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_file_is_looked_at_also_while_a_silo_has_it_and_nothing_is_to_be_created()
    {
        var none = await new Ipam(Path).RunAsync("tables", "check");
        Assert.Equal((0, $"{Path} missing -"), (none.ExitCode, none.Lines[1]));
        Assert.Equal(
            $"{Path}: nothing to create, the store is SQLite: the silo makes its file at its start.",
            Assert.Single((await new Ipam(Path).RunAsync("tables", "create")).Lines));
        Assert.False(File.Exists(Path));

        using (Database.Open(Path, TimeProvider.System))
        {
            var held = await new Ipam(Path).RunAsync("tables", "check");
            Assert.Equal((0, ""), (held.ExitCode, held.Errors));
            Assert.Equal(["FILE STATE SCHEMA", $"{Path} held by a silo 1"], held.Lines);
        }

        Assert.Equal($"{Path} free 1", (await new Ipam(Path).RunAsync("tables", "check")).Lines[1]);
    }

    [Fact]
    public async Task A_damaged_file_is_named_with_what_to_do_and_left_alone()
    {
        Database.Open(Path, TimeProvider.System).Dispose();
        var bytes = await File.ReadAllBytesAsync(Path, TestContext.Current.CancellationToken);
        bytes.AsSpan(4096, 512).Fill(0xA5);
        await File.WriteAllBytesAsync(Path, bytes, TestContext.Current.CancellationToken);

        var damaged = await new Ipam(Path).RunAsync("tables", "check");

        Assert.Equal(1, damaged.ExitCode);
        Assert.StartsWith($"silo: {Path}: damaged", damaged.Errors, StringComparison.Ordinal);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(Path, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Bad_settings_are_said_as_the_silo_says_them_but_only_those_that_the_store_needs()
    {
        var bad = await new Ipam("silo.db").With("Cluster__Name", null).RunAsync("tables", "check"); // Nor is there a key of tokens.

        Assert.Equal((1, ""), (bad.ExitCode, bad.Output));
        Assert.Equal(
            ["silo: Cluster:Name is not set", "silo: Storage:Path 'silo.db' is not absolute"],
            bad.Errors.TrimEnd().Split('\n').Select(line => line[..line.IndexOf(';', StringComparison.Ordinal)]));
    }
}
