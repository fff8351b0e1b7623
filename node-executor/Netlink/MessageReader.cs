using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>Walks over the messages of one datagram, or over a message's parts. Checks every length before it reads.</summary>
/// <exception cref="InvalidDataException">By every member: the bytes are no netlink messages.</exception>
internal ref struct MessageReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    /// <summary>The next message; false at the end.</summary>
    public bool NextMessage(out NetlinkHeader header, out MessageReader body)
    {
        body = default;
        header = default;
        if (_rest.IsEmpty)
        {
            return false;
        }

        header = Peek<NetlinkHeader>();
        body = new MessageReader(Cut(header.Length, Unsafe.SizeOf<NetlinkHeader>()));
        return true;
    }

    /// <summary>The next attribute, without the flag bits of its type; false at the end.</summary>
    public bool NextAttribute(out ushort type, out ReadOnlySpan<byte> value)
    {
        type = 0;
        value = default;
        if (_rest.IsEmpty)
        {
            return false;
        }

        var header = Peek<AttributeHeader>();
        type = (ushort)(header.Type & Rtnetlink.NLA_TYPE_MASK);
        value = Cut(header.Length, Unsafe.SizeOf<AttributeHeader>());
        return true;
    }

    /// <summary>The struct at the front.</summary>
    public T Read<T>()
        where T : unmanaged
    {
        var value = Peek<T>();
        _rest = _rest[Unsafe.SizeOf<T>()..];
        return value;
    }

    /// <summary>Leaves out <paramref name="length"/> bytes.</summary>
    public void Skip(int length) =>
        _rest = length >= 0 && length <= _rest.Length ? _rest[length..] : throw Malformed(length, _rest.Length);

    internal static uint UInt32(ReadOnlySpan<byte> value) =>
        value.Length == sizeof(uint) ? MemoryMarshal.Read<uint>(value) : throw Malformed(sizeof(uint), value.Length);

    /// <summary>An address of 4 or 16 bytes.</summary>
    internal static Ip Address(ReadOnlySpan<byte> value) =>
        value.Length is 4 or 16 ? Ip.From(new System.Net.IPAddress(value)) : throw Malformed(16, value.Length);

    /// <summary>A text up to its NUL, or to the end.</summary>
    internal static string Text(ReadOnlySpan<byte> value)
    {
        var end = value.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? value : value[..end]);
    }

    private readonly T Peek<T>()
        where T : unmanaged =>
        _rest.Length >= Unsafe.SizeOf<T>() ? MemoryMarshal.Read<T>(_rest) : throw Malformed(Unsafe.SizeOf<T>(), _rest.Length);

    /// <summary>Takes a part of <paramref name="length"/> bytes, header included, off the front with its padding; gives what is behind the header.</summary>
    private ReadOnlySpan<byte> Cut(uint length, int header)
    {
        if (length < header || length > _rest.Length)
        {
            throw Malformed((int)Math.Min(length, int.MaxValue), _rest.Length);
        }

        var part = _rest[header..(int)length];
        _rest = _rest[Math.Min(((int)length + 3) & ~3, _rest.Length)..]; // The last part may come without its padding.
        return part;
    }

    private static InvalidDataException Malformed(int wanted, int left) =>
        new($"A netlink message says {wanted} bytes where {left} are left.");
}
