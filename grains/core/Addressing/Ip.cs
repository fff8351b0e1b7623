using System.Buffers.Binary;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace AwsVpcCni.Core.Addressing;

/// <summary>One IPv4 or IPv6 address as a number: ordered, comparable, the same on every machine.</summary>
/// <remarks><see cref="IPAddress"/> has no order, and its hash differs from process to process, so sorted
/// collections and replays need this. On the wire and in documents it is the usual text.</remarks>
/// <param name="Bits">The address, most significant byte first. An IPv4 address is in the low 32 bits.</param>
/// <param name="IsV6">Whether it is IPv6. Every IPv4 address sorts before every IPv6 one.</param>
[JsonConverter(typeof(IpJsonConverter))]
public readonly record struct Ip(UInt128 Bits, bool IsV6) : IComparable<Ip>
{
    /// <summary>Reads the usual text form.</summary>
    /// <exception cref="FormatException">The text is no IP address.</exception>
    public static Ip Parse(string text) =>
        TryParse(text, out var ip) ? ip : throw new FormatException($"'{text}' is no IP address.");

    /// <summary>Reads the usual text form; false when it is none.</summary>
    public static bool TryParse(string? text, out Ip ip)
    {
        ip = default;
        if (!IPAddress.TryParse(text, out var address))
        {
            return false;
        }

        ip = From(address);
        return true;
    }

    /// <summary>The same address as the runtime's type has it.</summary>
    public static Ip From(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var length);
        return length == 4
            ? new Ip(BinaryPrimitives.ReadUInt32BigEndian(bytes), false)
            : new Ip(BinaryPrimitives.ReadUInt128BigEndian(bytes), true);
    }

    /// <summary>The same address in the runtime's type.</summary>
    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, Bits);
        return new IPAddress(IsV6 ? bytes : bytes[12..]);
    }

    /// <summary>The address <paramref name="offset"/> further on.</summary>
    public static Ip operator +(Ip ip, int offset) => ip with { Bits = ip.Bits + (UInt128)(Int128)offset };

    /// <inheritdoc/>
    public int CompareTo(Ip other) => IsV6 == other.IsV6 ? Bits.CompareTo(other.Bits) : IsV6.CompareTo(other.IsV6);

    /// <inheritdoc/>
    public override string ToString() => ToIPAddress().ToString();
}

/// <summary>Writes an <see cref="Ip"/> as its text.</summary>
public sealed class IpJsonConverter : JsonConverter<Ip>
{
    /// <inheritdoc/>
    public override Ip Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Ip.TryParse(reader.GetString(), out var ip) ? ip : throw new JsonException("no IP address");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Ip value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ToString());
}
