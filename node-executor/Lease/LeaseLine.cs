using System.Collections.Immutable;
using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>A line of the lease file: a checksum, a blank, JSON. First the header, then one line an address and an end, then what was appended.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "line")]
[JsonDerivedType(typeof(Header), "lease")]
[JsonDerivedType(typeof(Address), "address")]
[JsonDerivedType(typeof(Ended), "ended")]
[JsonDerivedType(typeof(Claimed), "claimed")]
[JsonDerivedType(typeof(Freed), "freed")]
internal abstract record LeaseLine
{
    private LeaseLine()
    {
    }

    /// <param name="Lines">Lines of the snapshot after this one: fewer of them are damage, not a torn tail.</param>
    internal sealed record Header(
        int Format, string InstanceId, string BootId, long Incarnation, long Version, NodePolicy Policy,
        ImmutableArray<InterfaceOrder> Interfaces, int Lines) : LeaseLine;

    internal sealed record Address(Ip Ip, Slot Slot) : LeaseLine;

    internal sealed record Ended(Stamp Stamp, Ending Ending) : LeaseLine;

    internal sealed record Claimed(Ip Ip, Hold Hold) : LeaseLine;

    internal sealed record Freed(SandboxKey Sandbox, Ip Ip, TimeSpan At) : LeaseLine;

    /// <summary>The line with its end.</summary>
    internal string ToText()
    {
        var json = JsonSerializer.Serialize(this, LeaseLineJson.Default.LeaseLine);
        return string.Create(CultureInfo.InvariantCulture, $"{Checksum(json):x8} {json}\n");
    }

    /// <summary>Null when the line is not as it was written.</summary>
    internal static LeaseLine? Parse(string line)
    {
        if (line.Length < 10 || line[8] != ' ' ||
            line.AsSpan(0, 8).ContainsAnyInRange('A', 'F') || // A letter of another case is a changed byte, too.
            !uint.TryParse(line.AsSpan(0, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var checksum) ||
            checksum != Checksum(line[9..]))
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(line[9..], LeaseLineJson.Default.LeaseLine);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            return null; // Written whole, by a version that we do not know.
        }
    }

    private static uint Checksum(string text)
    {
        var checksum = uint.MaxValue;
        foreach (var b in Encoding.UTF8.GetBytes(text))
        {
            checksum = BitOperations.Crc32C(checksum, b);
        }

        return ~checksum;
    }
}

/// <summary>How lines of the lease file are written.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(LeaseLine))]
internal sealed partial class LeaseLineJson : JsonSerializerContext;
