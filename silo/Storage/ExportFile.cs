using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Silo.Storage;

/// <summary>The first line of an export.</summary>
/// <param name="Format">Of the whole file.</param>
/// <param name="Cluster">Whose store it was.</param>
/// <param name="Provider">Which store it was.</param>
/// <param name="At">When it began. UTC.</param>
internal sealed record ExportHeader(int Format, string Cluster, string Provider, DateTimeOffset At);

/// <summary>The last line of an export: how many of each kind are before it.</summary>
internal sealed record ExportCounts(long Documents, long Addresses, long History = 0)
{
    /// <summary>With one more.</summary>
    public ExportCounts Plus(StoreRecord record) => record switch
    {
        StoreRecord.Document => this with { Documents = Documents + 1 },
        StoreRecord.Address => this with { Addresses = Addresses + 1 },
        StoreRecord.History => this with { History = History + 1 },
        _ => throw new InvalidOperationException($"A record of the kind {record.GetType().Name} is counted nowhere."),
    };

    /// <inheritdoc/>
    public override string ToString() => $"{Documents} documents, {Addresses} rows of addresses and {History} of their history";
}

/// <summary>An export: JSON lines, each an object with one property, which names its kind. <c>header</c>, then records, then <c>end</c>.</summary>
/// <remarks>Read and written line by line; nothing but the counts is kept. Without its last line it is not whole. A kind or a field
/// that a format does not have is refused, so whoever adds one counts <see cref="Format"/> up; documents alone are free.</remarks>
internal static class ExportFile
{
    /// <summary>What we write, and the newest that we read. Format 1 is the same without history.</summary>
    public const int Format = 2;

    // Readable, and one line: nothing in it is for a browser.
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
    };

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Writes all of it.</summary>
    /// <exception cref="StoreException">A document is no JSON.</exception>
    public static async Task<ExportCounts> WriteAsync(Stream output, ExportHeader header, IAsyncEnumerable<StoreRecord> records, CancellationToken cancellation)
    {
        await using var writer = new StreamWriter(output, Utf8, leaveOpen: true);
        var counts = new ExportCounts(0, 0);
        await writer.WriteLineAsync(Line("header", header));
        await foreach (var record in records.WithCancellation(cancellation))
        {
            await writer.WriteLineAsync(Line(record));
            counts = counts.Plus(record);
        }

        await writer.WriteLineAsync(Line("end", counts));
        return counts;
    }

    /// <summary>Reads its first line only.</summary>
    /// <exception cref="InvalidDataException">It is no export, or a newer one.</exception>
    public static async Task<ExportHeader> ReadHeaderAsync(Stream input, CancellationToken cancellation)
    {
        using var reader = new StreamReader(input, Utf8, detectEncodingFromByteOrderMarks: false, leaveOpen: true);
        return await ReadHeaderAsync(reader, cancellation);
    }

    /// <summary>Its records, one after the other.</summary>
    /// <exception cref="InvalidDataException">It is no export, a newer one, or not whole; says where.</exception>
    public static async IAsyncEnumerable<StoreRecord> ReadAsync(Stream input, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var reader = new StreamReader(input, Utf8, detectEncodingFromByteOrderMarks: false, leaveOpen: true);
        var format = (await ReadHeaderAsync(reader, cancellation)).Format;
        var counts = new ExportCounts(0, 0);
        for (var number = 2L; ; number++)
        {
            var (kind, value) = await NextAsync(reader, number, cancellation) ?? throw new InvalidDataException(
                $"The export ends after line {number - 1}, and not with its closing line: it was cut. Export again.");
            if (kind == "end")
            {
                if (Read<ExportCounts>(value, number) is var told && told != counts)
                {
                    throw new InvalidDataException($"The export says that it has {told}, and it has {counts}: lines of it are missing or doubled. Export again.");
                }

                break;
            }

            StoreRecord record = kind switch
            {
                "document" => Read<DocumentLine>(value, number).ToRecord(),
                "address" => new StoreRecord.Address(Read<AddressRow>(value, number)),
                "history" when format > 1 => Read<AddressRow>(value, number) is { Released: not null } ended
                    ? new StoreRecord.History(ended)
                    : throw NotUnderstood(number, "what is history has an end, and this has none"),
                _ => throw NotUnderstood(number, $"no line of format {format} is of the kind '{kind}'"),
            };
            counts = counts.Plus(record);
            yield return record;
        }

        if (await reader.ReadLineAsync(cancellation) is not null)
        {
            throw new InvalidDataException("The export goes on after its closing line: two files were put together. Import each by itself.");
        }
    }

    private static async Task<ExportHeader> ReadHeaderAsync(StreamReader reader, CancellationToken cancellation)
    {
        if (await NextAsync(reader, 1, cancellation) is not ("header", var value) || value.ValueKind != JsonValueKind.Object || !value.TryGetProperty("format", out var format))
        {
            throw new InvalidDataException("This is no export: its first line is no header. Give a file that `ipam export` has written.");
        }

        return format.TryGetInt32(out var number) && number <= Format
            ? Read<ExportHeader>(value, 1)
            : throw new InvalidDataException($"The export was written by a newer silo (format {format}; this one knows {Format}). Import it with that silo's `ipam`.");
    }

    private static async Task<(string Kind, JsonElement Value)?> NextAsync(StreamReader reader, long number, CancellationToken cancellation)
    {
        try
        {
            if (await reader.ReadLineAsync(cancellation) is not { } text)
            {
                return null;
            }

            using var parsed = JsonDocument.Parse(text);
            return parsed.RootElement.ValueKind == JsonValueKind.Object && parsed.RootElement.EnumerateObject().ToList() is [var only]
                ? (only.Name, only.Value.Clone())
                : throw new JsonException("it is no object with one property");
        }
        catch (JsonException e)
        {
            throw NotUnderstood(number, e.Message, e);
        }
        catch (DecoderFallbackException e)
        {
            throw new InvalidDataException($"The export has bytes that are no UTF-8, at line {number} or after it. It was changed: export again.", e);
        }
    }

    private static T Read<T>(JsonElement value, long number)
    {
        try
        {
            return value.Deserialize<T>(Json) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or FormatException)
        {
            throw NotUnderstood(number, e.Message, e);
        }
    }

    private static InvalidDataException NotUnderstood(long number, string why, Exception? inner = null) =>
        new($"Line {number} of the export cannot be understood ({why}). It was cut or changed: export again.", inner);

    private static string Line(StoreRecord record)
    {
        try
        {
            return record switch
            {
                StoreRecord.Document document => Line("document", DocumentLine.Of(document)),
                StoreRecord.Address address => Line("address", address.Row),
                StoreRecord.History history => Line("history", history.Row),
                _ => throw new InvalidOperationException($"A record of the kind {record.GetType().Name} has no line."),
            };
        }
        catch (JsonException e)
        {
            throw new StoreException($"{record}: it is no JSON ({e.Message}). Restore a copy of the store, or delete that document: its grain then begins anew.", e);
        }
    }

    private static string Line<T>(string kind, T value) => JsonSerializer.Serialize(new Dictionary<string, T> { [kind] = value }, Json);

    private sealed record DocumentLine(string Grain, string Name, JsonElement Body)
    {
        public static DocumentLine Of(StoreRecord.Document document) => new(document.Grain, document.Name, JsonSerializer.Deserialize<JsonElement>(document.Body));

        public StoreRecord.Document ToRecord() => new(Grain, Name, Body.GetRawText());
    }
}
