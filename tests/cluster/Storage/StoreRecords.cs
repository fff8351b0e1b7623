using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Storage;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>What a store may hold.</summary>
internal static class StoreRecords
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    // The history goes back from now.
    private static readonly DateTimeOffset Yesterday = new(TimeProvider.System.GetUtcNow().UtcDateTime.Date.AddDays(-1), TimeSpan.Zero);

    /// <summary>A document, a row, and history.</summary>
    public static List<StoreRecord> Some() =>
    [
        new StoreRecord.Document("node/i-1", "document", """{"count":7}"""),
        new StoreRecord.Address(new AddressRow
        {
            NodeId = "i-1", Address = Ip.Parse("10.0.0.9"), Sandbox = new SandboxKey("c", "eth0"), Pod = new PodName("default", "web", "uid"), Stamp = new Stamp(1, 2), Since = Yesterday, Released = Yesterday.AddSeconds(1),
        }),
        new StoreRecord.History(new AddressRow
        {
            NodeId = "i-2", Address = Ip.Parse("10.0.0.9"), Sandbox = new SandboxKey("b", "eth0"), Pod = new PodName("default", "web", "uid"), Stamp = new Stamp(1, 1), Since = Yesterday.AddTicks(7), Released = Yesterday.AddSeconds(1),
        }),
    ];

    /// <summary>60 grains with a document or two each, in which are fields that nobody knows, and up to 5 rows, each with up to 3 that were there before.</summary>
    public static List<StoreRecord> Draw(Random random)
    {
        List<StoreRecord> records = [];
        string Text() => string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => random.Next(5) == 0 ? char.ConvertFromUtf32(random.Next(1, 0xD800)) : $"{(char)random.Next('a', 'z')}"));
        for (var grain = 0; grain < 60; grain++)
        {
            var id = $"i-{grain:x17}";
            foreach (var name in new[] { "node", "other" }.Take(random.Next(1, 3)))
            {
                var body = JsonSerializer.Serialize(
                    new Dictionary<string, object?> { ["schema"] = 1, [$"unknown{random.Next()}"] = new object?[] { Text(), random.NextInt64(), random.NextDouble(), null, true }, ["text"] = Text() },
                    random.Next(2) == 0 ? s_indented : null);
                records.Add(new StoreRecord.Document($"node/{id}", name, body));
            }

            for (var row = random.Next(6); row > 0; row--)
            {
                var since = Yesterday.AddTicks(random.NextInt64(1L << 40));
                var held = new AddressRow
                {
                    NodeId = id, Address = random.Next(2) == 0 ? Ip.Parse($"10.0.{grain}.{row}") : Ip.Parse($"fd00::{grain:x}:{row:x}"), Sandbox = new SandboxKey($"c{random.Next()}", "eth0"),
                    Pod = new PodName(Text(), Text(), Text()), Stamp = new Stamp(random.NextInt64(), random.NextInt64()), Since = since, Released = random.Next(2) == 0 ? null : since.AddTicks(random.Next()),
                };
                records.Add(new StoreRecord.Address(held));
                for (var before = random.Next(4); before > 0; before--)
                {
                    records.Add(new StoreRecord.History(held with
                    {
                        NodeId = random.Next(2) == 0 ? id : "i-gone", Pod = new PodName(Text(), Text(), Text()), Since = since.AddTicks(-before), Released = since.AddTicks(random.Next()),
                    }));
                }
            }
        }

        return records;
    }
}
