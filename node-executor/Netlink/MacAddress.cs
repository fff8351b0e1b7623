using System.Globalization;
using System.Security.Cryptography;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>A link-layer address.</summary>
/// <param name="Bits">In the low 48 bits, first byte uppermost.</param>
internal readonly record struct MacAddress(ulong Bits)
{
    internal const int Size = 6;

    /// <summary>Reads the text form, six hexadecimal bytes with colons.</summary>
    internal static bool TryParse(string text, out MacAddress mac)
    {
        mac = default;
        var parts = text.Split(':');
        if (parts.Length != Size)
        {
            return false;
        }

        foreach (var part in parts)
        {
            if (part.Length != 2 || !byte.TryParse(part, NumberStyles.AllowHexSpecifier, null, out var value))
            {
                return false;
            }

            mac = new MacAddress(mac.Bits << 8 | value);
        }

        return true;
    }

    /// <summary>The six bytes of a message; null for a link of another kind, whose address has another length.</summary>
    internal static MacAddress? From(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size)
        {
            return null;
        }

        var bits = 0UL;
        foreach (var value in bytes)
        {
            bits = bits << 8 | value;
        }

        return new MacAddress(bits);
    }

    /// <summary>A random one of the locally administered, single-receiver kind.</summary>
    internal static MacAddress NewLocal()
    {
        Span<byte> bytes = stackalloc byte[Size];
        RandomNumberGenerator.Fill(bytes);
        bytes[0] = (byte)(bytes[0] & 0xfc | 0x02);
        return From(bytes)!.Value;
    }

    internal void CopyTo(Span<byte> bytes)
    {
        for (var i = 0; i < Size; i++)
        {
            bytes[i] = (byte)(Bits >> 8 * (Size - 1 - i));
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(17, Bits, static (text, bits) =>
    {
        for (var i = 0; i < Size; i++)
        {
            ((byte)(bits >> 8 * (Size - 1 - i))).TryFormat(text[(3 * i)..], out _, "x2", CultureInfo.InvariantCulture);
            if (i < Size - 1)
            {
                text[3 * i + 2] = ':';
            }
        }
    });
}
