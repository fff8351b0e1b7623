using System.Globalization;
using Amazon.DynamoDBv2.Model;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Silo.Storage.DynamoDb;

/// <summary>One row as an item of <c>addresses</c>, or of <c>address-history</c>. Pure.</summary>
internal static class AddressItem
{
    /// <summary>The instance.</summary>
    public const string HashKey = "node";

    /// <summary>The address as text.</summary>
    public const string RangeKey = "address";

    /// <summary>When it was assigned.</summary>
    public const string Since = "since";

    private static readonly HashSet<string> Names =
    [
        HashKey, RangeKey, "container", "ifname", "pod_namespace", "pod_name", "pod_uid", "incarnation", "number", Since, "released",
    ];

    /// <summary>Its keys.</summary>
    public static Dictionary<string, AttributeValue> Key(string nodeId, Ip address) => new() { [HashKey] = S(nodeId), [RangeKey] = S(address.ToString()) };

    /// <summary>The item.</summary>
    public static Dictionary<string, AttributeValue> Write(AddressRow row)
    {
        var item = new Dictionary<string, AttributeValue>(Key(row.NodeId, row.Address))
        {
            ["container"] = S(row.Sandbox.ContainerId),
            ["ifname"] = S(row.Sandbox.IfName),
            ["pod_namespace"] = S(row.Pod.Namespace),
            ["pod_name"] = S(row.Pod.Name),
            ["pod_uid"] = S(row.Pod.Uid),
            ["incarnation"] = N(row.Stamp.Incarnation),
            ["number"] = N(row.Stamp.Number),
            [Since] = S(Text(row.Since)),
        };
        if (row.Released is { } released)
        {
            item["released"] = S(Text(released));
        }

        return item;
    }

    /// <summary>The row of an item.</summary>
    /// <param name="table">For the error.</param>
    /// <exception cref="StoreException">It is none of ours.</exception>
    public static AddressRow Read(Dictionary<string, AttributeValue> item, string table)
    {
        try
        {
            return new AddressRow
            {
                NodeId = item[HashKey].S,
                Address = Ip.Parse(item[RangeKey].S),
                Sandbox = new SandboxKey(item["container"].S, item["ifname"].S),
                Pod = new PodName(item["pod_namespace"].S, item["pod_name"].S, item["pod_uid"].S),
                Stamp = new Stamp(Number(item["incarnation"]), Number(item["number"])),
                Since = Time(item[Since].S),
                Released = item.TryGetValue("released", out var released) ? Time(released.S) : null,
            };
        }
        catch (Exception e) when (e is KeyNotFoundException or FormatException or ArgumentNullException)
        {
            throw new StoreException(
                $"Table {table}: the item of {item.GetValueOrDefault(HashKey)?.S}, {item.GetValueOrDefault(RangeKey)?.S} is none of ours ({e.Message}). "
                + "Something else has written it; delete it, or set Storage:AddressTable and Storage:HistoryTable to tables of this silo's own.", e);
        }
    }

    /// <summary>What an item has beyond a row: a newer silo's; null: nothing.</summary>
    /// <param name="also">The attribute that an item of this table has besides.</param>
    public static string? Unknown(Dictionary<string, AttributeValue> item, string? also = null) => item.Keys.FirstOrDefault(name => name != also && !Names.Contains(name));

    /// <summary>A text.</summary>
    public static AttributeValue S(string text) => new(text);

    /// <summary>A number.</summary>
    public static AttributeValue N(long number) => new() { N = number.ToString(CultureInfo.InvariantCulture) };

    /// <summary>A time, to the tick.</summary>
    public static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);

    private static long Number(AttributeValue value) => long.Parse(value.N, CultureInfo.InvariantCulture);

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind);
}
