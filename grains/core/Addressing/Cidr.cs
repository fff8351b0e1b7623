using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Core.Addressing;

/// <summary>A range of addresses that share their first <paramref name="Length"/> bits.</summary>
/// <param name="Base">The first address; its other bits are zero.</param>
/// <param name="Length">0 to 32 for IPv4, 0 to 128 for IPv6.</param>
[JsonConverter(typeof(CidrJsonConverter))]
public readonly record struct Cidr(Ip Base, int Length)
{
    private int HostBits => (Base.IsV6 ? 128 : 32) - Length;

    /// <summary>How many addresses it has; saturates at <see cref="long.MaxValue"/>.</summary>
    public long Size => HostBits >= 63 ? long.MaxValue : 1L << HostBits;

    /// <summary>Whether it is one address.</summary>
    public bool IsSingle => HostBits == 0;

    /// <summary>One address as a range.</summary>
    public static Cidr Single(Ip ip) => new(ip, ip.IsV6 ? 128 : 32);

    /// <summary>Whether all of <paramref name="other"/> is in the range.</summary>
    public bool Contains(Cidr other) => other.Length >= Length && Contains(other.Base);

    /// <summary>Whether <paramref name="ip"/> is in the range.</summary>
    public bool Contains(Ip ip) => ip.IsV6 == Base.IsV6 && (HostBits == 128 || (ip.Bits ^ Base.Bits) >> HostBits == 0);

    /// <summary>Reads <c>10.0.0.0/16</c>.</summary>
    /// <exception cref="FormatException">The text is no CIDR, or has bits set beyond its length.</exception>
    public static Cidr Parse(string text) =>
        TryParse(text, out var cidr) ? cidr : throw new FormatException($"'{text}' is no CIDR such as 10.0.0.0/16.");

    /// <summary>Reads <c>10.0.0.0/16</c>; false when it is none.</summary>
    public static bool TryParse(string? text, out Cidr cidr)
    {
        cidr = default;
        var slash = text?.IndexOf('/', StringComparison.Ordinal) ?? -1;
        if (slash < 0 || !Ip.TryParse(text![..slash], out var ip) ||
            !int.TryParse(text.AsSpan(slash + 1), System.Globalization.NumberStyles.None, null, out var length) || length > (ip.IsV6 ? 128 : 32))
        {
            return false;
        }

        cidr = new Cidr(ip, length);
        return cidr.HostBits == 128 ? ip.Bits == 0 : ip.Bits >> cidr.HostBits << cidr.HostBits == ip.Bits;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Base}/{Length}";
}

/// <summary>Writes a <see cref="Cidr"/> as its text.</summary>
public sealed class CidrJsonConverter : JsonConverter<Cidr>
{
    /// <inheritdoc/>
    public override Cidr Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Cidr.TryParse(reader.GetString(), out var cidr) ? cidr : throw new JsonException("no CIDR");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Cidr value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
