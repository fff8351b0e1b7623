using System.Text;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class ExportFileTests
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);

    private static readonly StoreRecord[] Records =
    [
        new StoreRecord.Document("node/i-1", "node", """{ "schema": 1, "ofALaterSilo": [1.50, 12345678901234567890], "name": "caf\u00e9 <\n" }"""),
        new StoreRecord.Address(new AddressRow
        {
            NodeId = "i-1", Address = Ip.Parse("10.0.0.9"), Sandbox = new SandboxKey("c1", "eth0"), Pod = new PodName("default", "web", "u"), Stamp = new Stamp(2, 7), Since = Noon.AddTicks(7),
        }),
        new StoreRecord.Address(new AddressRow
        {
            NodeId = "i-1", Address = Ip.Parse("fd00::9"), Sandbox = new SandboxKey("c2", "eth0"), Pod = new PodName("", "", ""), Stamp = new Stamp(2, 8), Since = Noon, Released = Noon.AddHours(1),
        }),
        new StoreRecord.History(new AddressRow
        {
            NodeId = "i-2", Address = Ip.Parse("fd00::9"), Sandbox = new SandboxKey("c3", "eth0"), Pod = new PodName("default", "old", "u"), Stamp = new Stamp(1, 1), Since = Noon.AddHours(-2), Released = Noon.AddHours(-1),
        }),
    ];

    private const string Written =
        """
        {"header":{"format":2,"cluster":"test","provider":"sqlite","at":"2026-11-25T12:00:00+00:00"}}
        {"document":{"grain":"node/i-1","name":"node","body":{"schema":1,"ofALaterSilo":[1.50,12345678901234567890],"name":"café <\n"}}}
        {"address":{"nodeId":"i-1","address":"10.0.0.9","sandbox":{"containerId":"c1","ifName":"eth0"},"pod":{"namespace":"default","name":"web","uid":"u"},"stamp":{"incarnation":2,"number":7},"since":"2026-11-25T12:00:00.0000007+00:00"}}
        {"address":{"nodeId":"i-1","address":"fd00::9","sandbox":{"containerId":"c2","ifName":"eth0"},"pod":{"namespace":"","name":"","uid":""},"stamp":{"incarnation":2,"number":8},"since":"2026-11-25T12:00:00+00:00","released":"2026-11-25T13:00:00+00:00"}}
        {"history":{"nodeId":"i-2","address":"fd00::9","sandbox":{"containerId":"c3","ifName":"eth0"},"pod":{"namespace":"default","name":"old","uid":"u"},"stamp":{"incarnation":1,"number":1},"since":"2026-11-25T10:00:00+00:00","released":"2026-11-25T11:00:00+00:00"}}
        {"end":{"documents":1,"addresses":2,"history":1}}

        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_written_is_read_back_and_a_second_writing_is_the_same()
    {
        Assert.Equal(Written, await WriteAsync(Records));

        var read = await ReadAsync(Written);
        Assert.Equal(Records[1..], read[1..]);
        Assert.Equal(Written, await WriteAsync(read));
    }

    [Fact]
    public async Task A_file_of_format_1_which_has_no_history_is_read() =>
        Assert.Equal(
            [new StoreRecord.Document("node/i-1", "node", "{}"), Records[1]],
            await ReadAsync(
                """
                {"header":{"format":1,"cluster":"test","provider":"sqlite","at":"2026-11-25T12:00:00+00:00"}}
                {"document":{"grain":"node/i-1","name":"node","body":{}}}
                {"address":{"nodeId":"i-1","address":"10.0.0.9","sandbox":{"containerId":"c1","ifName":"eth0"},"pod":{"namespace":"default","name":"web","uid":"u"},"stamp":{"incarnation":2,"number":7},"since":"2026-11-25T12:00:00.0000007+00:00"}}
                {"end":{"documents":1,"addresses":1}}
                """));

    [Fact]
    public async Task The_header_tells_whose_it_is()
    {
        using var file = new MemoryStream(Encoding.UTF8.GetBytes(Written));
        Assert.Equal(new ExportHeader(2, "test", "sqlite", Noon), await ExportFile.ReadHeaderAsync(file, Cancellation));
    }

    [Fact]
    public async Task Wherever_a_file_is_cut_it_is_refused()
    {
        var bytes = Encoding.UTF8.GetBytes(Written);
        for (var length = 0; length < bytes.Length - 1; length++) // Without its last line's end it is whole.
        {
            await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(bytes[..length]));
        }
    }

    [Fact]
    public async Task A_file_without_one_of_its_lines_or_with_one_twice_is_refused()
    {
        var lines = Written.TrimEnd().Split('\n');
        for (var line = 0; line < lines.Length; line++)
        {
            await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(string.Join('\n', lines.Where((_, number) => number != line))));
            await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(string.Join('\n', [.. lines[..(line + 1)], .. lines[line..]])));
        }
    }

    [Theory]
    [InlineData("\"format\":2", "\"format\":3,\"new\":true", "The export was written by a newer silo (format 3; this one knows 2). Import it with that silo's `ipam`.")]
    [InlineData("\"header\"", "\"head\"", "This is no export: its first line is no header.")]
    [InlineData("{\"document\"", "{\"event\"", "Line 2 of the export cannot be understood (no line of format 2 is of the kind 'event').")]
    [InlineData("\"format\":2", "\"format\":1", "Line 5 of the export cannot be understood (no line of format 1 is of the kind 'history').")]
    [InlineData(",\"released\":\"2026-11-25T11:00:00+00:00\"", "", "Line 5 of the export cannot be understood (what is history has an end, and this has none).")]
    [InlineData("\"released\"", "\"ended\"", "Line 4 of the export cannot be understood (The JSON property 'ended'")]
    [InlineData("\"nodeId\":\"i-1\",\"address\":\"10", "\"address\":\"10", "Line 3 of the export cannot be understood (JSON deserialization for type")]
    [InlineData("10.0.0.9", "10.0.0.999", "Line 3 of the export cannot be understood (")]
    [InlineData("\"name\":\"node\"", "\"name\":null", "Line 2 of the export cannot be understood (")]
    [InlineData("café", "caf\u0001", "Line 2 of the export cannot be understood (")]
    [InlineData("\"addresses\":2", "\"addresses\":3", "The export says that it has 1 documents, 3 rows of addresses and 1 of their history, and it has 1 documents, 2 rows of addresses and 1 of their history")]
    [InlineData(",\"history\":1", "", "The export says that it has 1 documents, 2 rows of addresses and 0 of their history, and it has 1 documents, 2 rows of addresses and 1 of their history")]
    public async Task What_is_not_understood_is_named_with_its_line(string part, string by, string said) =>
        Assert.StartsWith(said, (await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(Written.Replace(part, by, StringComparison.Ordinal)))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task Bytes_that_are_no_text_and_two_files_in_one_are_refused()
    {
        Assert.StartsWith("The export has bytes that are no UTF-8", (await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(Encoding.Latin1.GetBytes(Written)))).Message, StringComparison.Ordinal);
        Assert.StartsWith("The export goes on after its closing line", (await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(Written + Written))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_document_that_is_no_JSON_is_named() =>
        Assert.StartsWith(
            "document node of node/i-1: it is no JSON",
            (await Assert.ThrowsAsync<StoreException>(() => WriteAsync([new StoreRecord.Document("node/i-1", "node", "{\"cut\":")]))).Message, StringComparison.Ordinal);

    private static async Task<string> WriteAsync(IEnumerable<StoreRecord> records)
    {
        using var file = new MemoryStream();
        await ExportFile.WriteAsync(file, new ExportHeader(ExportFile.Format, "test", "sqlite", Noon), records.ToAsyncEnumerable(), Cancellation);
        return Encoding.UTF8.GetString(file.ToArray());
    }

    private static Task<List<StoreRecord>> ReadAsync(string text) => ReadAsync(Encoding.UTF8.GetBytes(text));

    private static async Task<List<StoreRecord>> ReadAsync(byte[] bytes)
    {
        using var file = new MemoryStream(bytes);
        return await ExportFile.ReadAsync(file, Cancellation).ToListAsync(Cancellation);
    }
}
