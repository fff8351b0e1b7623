using System.Buffers.Binary;
using System.Globalization;

namespace AwsVpcCni.CniProtocol;

/// <summary>An Ethernet address. A type of its own, so that a result's mac cannot be anything else: podman refuses such a result.</summary>
public readonly record struct MacAddress
{
    /// <summary>Bytes.</summary>
    public const int Size = 6;

    private readonly ulong value; // 48 bits, the first byte on the wire highest.

    /// <summary>From the kernel's bytes.</summary>
    /// <param name="bytes">Six, in the order of the wire.</param>
    public MacAddress(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, Size);
        Span<byte> padded = stackalloc byte[8];
        bytes.CopyTo(padded[2..]);
        value = BinaryPrimitives.ReadUInt64BigEndian(padded);
    }

    /// <summary>Six bytes, in the order of the wire.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        Span<byte> padded = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(padded, value);
        padded[2..].CopyTo(bytes);
    }

    /// <summary><c>02:00:0a:01:02:03</c>.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{(byte)(value >> 40):x2}:{(byte)(value >> 32):x2}:{(byte)(value >> 24):x2}:{(byte)(value >> 16):x2}:{(byte)(value >> 8):x2}:{(byte)value:x2}");
}
