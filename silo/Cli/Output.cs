using System.Globalization;
using System.Text.Json;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Cli;

/// <summary>How commands write what they found.</summary>
internal static class Output
{
    /// <summary>For programs.</summary>
    public static void WriteJson<T>(T[] rows, TextWriter output) => output.WriteLine(JsonSerializer.Serialize(rows, ViewJson.Indented));

    /// <summary>For people: columns as wide as they need to be, numbers to the right.</summary>
    public static void WriteTable<T>(T[] rows, TextWriter output, params (string Head, Func<T, object?> Cell)[] columns)
    {
        var cells = rows.Select(row => columns.Select(column => column.Cell(row)).ToArray()).ToArray();
        var widths = columns.Select((column, index) => cells.Select(row => Text(row[index]).Length).Append(column.Head.Length).Max()).ToArray();
        WriteRow(columns.Select(column => column.Head), cells.FirstOrDefault());
        foreach (var row in cells)
        {
            WriteRow(row.Select(Text), row);
        }

        void WriteRow(IEnumerable<string> texts, object?[]? kinds) => output.WriteLine(string.Join("  ", texts.Select((text, index) =>
            kinds?[index] is int or long ? text.PadLeft(widths[index]) : text.PadRight(widths[index]))).TrimEnd());
    }

    /// <summary>Seconds that a moment is ago; for people.</summary>
    public static string Ago(DateTimeOffset? moment) =>
        moment is { } then ? string.Create(CultureInfo.InvariantCulture, $"{(TimeProvider.System.GetUtcNow() - then).TotalSeconds:0} s ago") : "never";

    private static string Text(object? cell) => Convert.ToString(cell, CultureInfo.InvariantCulture) is { Length: > 0 } text ? text : "-";
}
