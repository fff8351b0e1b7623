using System.Collections.Immutable;
using System.CommandLine;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using AwsVpcCni.Silo.Storage.Sqlite;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Cli;

/// <summary><c>ipam tables create|check</c>: what the store stands on, before a silo starts; needs none.</summary>
internal static class TablesCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Write JSON, not a table." };
        var check = new Command("check", "Says for each table whether it is there, its keys, how it is paid for and how its items expire; for a SQLite file its schema and whether it is whole. Exit code 1 when a silo would not start.") { json };
        check.SetAction(async (parsed, cancellation) =>
        {
            await using var parts = CommandParts.OfStore();
            return parts.GetService<Tables>() is { } tables
                ? Write(await Task.WhenAll(Wanted(parts, tables).Select(table => tables.LookAsync(table, cancellation))), parsed.GetValue(json), look => look.Wrong, Show)
                : Write([DatabaseFile.Look(Storage(parts).Path)], parsed.GetValue(json), look => look.Wrong, Show);
        });
        var create = new Command("create", "Makes the tables that are missing, with on-demand capacity, waits until they can be used, and lets the history expire.");
        create.SetAction(async (_, cancellation) =>
        {
            await using var parts = CommandParts.OfStore();
            if (parts.GetService<Tables>() is not { } tables)
            {
                Console.Out.WriteLine($"{Storage(parts).Path}: nothing to create, the store is SQLite: the silo makes its file at its start.");
                return 0;
            }

            foreach (var table in Wanted(parts, tables))
            {
                Console.Out.WriteLine(await tables.CreateAsync(table, cancellation) ? $"{table.Table}: made, with on-demand capacity" : $"{table.Table}: was there");
            }

            return 0;
        });
        return new Command("tables", "The store's tables in DynamoDB. Needs no running silo.") { create, check };
    }

    private static ImmutableArray<TableKeys> Wanted(IServiceProvider parts, Tables tables) =>
        parts.GetRequiredService<IOptions<SiloNetworkOptions>>().Value.Clustering == SiloNetworkOptions.DynamoDb ? [.. tables.OfStore, tables.OfMembership] : tables.OfStore;

    private static StorageOptions Storage(IServiceProvider parts) => parts.GetRequiredService<IOptions<StorageOptions>>().Value;

    // For people what is wrong comes as sentences of their own: it is too long for a column.
    private static int Write<T>(T[] looks, bool asJson, Func<T, string?> wrong, Action<T[]> show)
    {
        if (asJson)
        {
            Output.WriteJson(looks, Console.Out);
        }
        else
        {
            show(looks);
        }

        return looks.Select(wrong).OfType<string>().ToList() is { Count: > 0 } errors ? throw new CommandException(errors) : 0;
    }

    private static void Show(TableLook[] looks) => Output.WriteTable(
        looks, Console.Out,
        ("TABLE", look => look.Table), ("STATE", look => look.State ?? "missing"), ("KEYS", look => look.Keys), ("BILLING", look => look.Billing), ("EXPIRES", look => look.Expires));

    private static void Show(FileLook[] looks) => Output.WriteTable(
        looks, Console.Out,
        ("FILE", look => look.File), ("STATE", look => look.State), ("SCHEMA", look => look.Schema));
}
