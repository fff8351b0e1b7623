using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>Writes netlink messages, one after another, into a span; lengths are patched as the message grows.</summary>
/// <remarks>A batch is several messages in one buffer: the kernel runs them in order, in one system call, and goes on after
/// one that fails. Sequence numbers and port are the socket's to fill in.</remarks>
internal ref struct MessageWriter(Span<byte> buffer)
{
    private const int Alignment = 4; // NLMSG_ALIGNTO and NLA_ALIGNTO, linux/netlink.h.

    private readonly Span<byte> _buffer = buffer;
    private int _message;
    private int _position;

    /// <summary>All messages so far.</summary>
    public readonly Span<byte> Written => _buffer[.._position];

    /// <summary>Starts a message; what was written before it is complete.</summary>
    public void Header<T>(ushort type, ushort flags, in T header)
        where T : unmanaged
    {
        _message = _position;
        Append(new NetlinkHeader { Type = type, Flags = flags });
        Append(header); // Any header is 4 bytes or more, and patches the length that the line above has left at 0.
    }

    /// <summary>A struct inside a nested attribute.</summary>
    public void Append<T>(in T value)
        where T : unmanaged
    {
        MemoryMarshal.Write(Take(Unsafe.SizeOf<T>()), value);
    }

    /// <summary>An attribute with bytes as they are.</summary>
    public void Attribute(ushort type, scoped ReadOnlySpan<byte> value) => value.CopyTo(Begin(type, value.Length));

    /// <summary>An attribute with a number in the machine's byte order, as the kernel wants it.</summary>
    public void Attribute(ushort type, uint value) => MemoryMarshal.Write(Begin(type, sizeof(uint)), value);

    /// <summary>An attribute with an address in network byte order.</summary>
    public void Attribute(ushort type, Ip address) =>
        address.ToIPAddress().TryWriteBytes(Begin(type, address.IsV6 ? 16 : 4), out _);

    /// <summary>An attribute with a link-layer address.</summary>
    public void Attribute(ushort type, MacAddress mac) => mac.CopyTo(Begin(type, MacAddress.Size));

    /// <summary>An attribute with a text, and the NUL that the kernel expects.</summary>
    public void Attribute(ushort type, string text) =>
        Encoding.UTF8.GetBytes(text, Begin(type, Encoding.UTF8.GetByteCount(text) + 1));

    /// <summary>Starts an attribute that holds others. Give the result to <see cref="EndNest"/>.</summary>
    public int Nest(ushort type)
    {
        var start = _position;
        Append(new AttributeHeader { Type = type });
        return start;
    }

    /// <summary>Ends it: its length is known now.</summary>
    public readonly void EndNest(int start) =>
        MemoryMarshal.AsRef<AttributeHeader>(_buffer[start..]).Length = checked((ushort)(_position - start));

    private Span<byte> Begin(ushort type, int length)
    {
        Append(new AttributeHeader { Type = type, Length = checked((ushort)(Unsafe.SizeOf<AttributeHeader>() + length)) });
        return Take(length);
    }

    /// <summary>The next bytes, zeroed, with what aligns the following ones; the message now ends behind them.</summary>
    private Span<byte> Take(int length)
    {
        var padded = Align(length);
        if (padded > _buffer.Length - _position)
        {
            throw new InvalidOperationException($"A netlink buffer of {_buffer.Length} bytes is too small.");
        }

        var taken = _buffer.Slice(_position, padded);
        taken.Clear();
        _position += padded;
        if (_position - _message >= Unsafe.SizeOf<NetlinkHeader>())
        {
            MemoryMarshal.AsRef<NetlinkHeader>(_buffer[_message..]).Length = (uint)(_position - _message);
        }

        return taken[..length];
    }

    private static int Align(int length) => (length + Alignment - 1) & -Alignment;
}
