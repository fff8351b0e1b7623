using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using AwsVpcCni.VpcEmulator.Control;

namespace AwsVpcCni.VpcEmulator.Commands;

/// <summary>`vpc-emulator check-calls`: whether a call log keeps what the product has promised. Exit 0: it does; 1: it does not; 2: the log cannot be read.</summary>
internal static class CheckCallsCommand
{
    public static Command Create()
    {
        var log = new Option<FileInfo>("--log") { Description = "A call log of `run`.", Required = true };
        var share = new Option<double>("--share") { Description = "The share of EC2's buckets that calls may use.", DefaultValueFactory = _ => 0.8 };
        var joins = new Option<FileInfo?>("--joins") { Description = "Lines `ISO-time instance-id`: when nodes joined." };
        var window = new Option<int>("--batch-window-ms") { Description = "Joins this close share a describe.", DefaultValueFactory = _ => 250 };
        var counted = new Option<bool>("--allow-counted") { Description = "Draws by count are not an error." };
        var command = new Command("check-calls", "Check a call log against the budget and the rules of drawing.") { log, share, joins, window, counted };
        command.SetAction(parsed => Check(
            parsed.GetRequiredValue(log),
            parsed.GetValue(joins),
            new CallRules(parsed.GetValue(share), TimeSpan.FromMilliseconds(parsed.GetValue(window)), parsed.GetValue(counted))));
        return command;
    }

    private static int Check(FileInfo log, FileInfo? joinFile, CallRules rules)
    {
        List<CallEntry> calls;
        List<Join>? joins;
        try
        {
            calls = [.. File.ReadLines(log.FullName).Select(line => JsonSerializer.Deserialize<CallEntry>(line, CallEntry.Json)!).OrderBy(call => call.Sequence)];
            joins = joinFile is null ? null : [.. File.ReadLines(joinFile.FullName).Where(line => line.Length > 0).Select(Join.Parse)];
        }
        catch (Exception e) when (e is IOException or JsonException or FormatException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"check-calls: cannot read the log or the joins: {e.Message}");
            return 2;
        }

        foreach (var action in calls.GroupBy(call => call.Action).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{action.Count(),6} {action.Key} ({action.Count(call => call.Error is not null)} refused)"));
        }

        var wrong = rules.Violations(calls, joins).ToList();
        wrong.ForEach(Console.Error.WriteLine);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{calls.Count} calls, {(joins is null ? "joins not checked" : $"{joins.Count} joins")}, {wrong.Count} violations"));
        return wrong.Count == 0 ? 0 : 1;
    }
}
