using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AwsVpcCni.NodeExecutor.Linux;
using Microsoft.Win32.SafeHandles;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>One rtnetlink or netfilter socket: requests out, answers in, each matched by sender, port and sequence number.</summary>
/// <remarks>Any thread may call; one exchange runs at a time. The kernel carries a request out inside the send, so a
/// deadline bounds the wait for answers, not the kernel's own work on a request that it has begun.</remarks>
internal sealed unsafe class NetlinkSocket : IDisposable
{
    private const int ReceiveBytes = 32 * 1024; // A dump's datagrams are never larger: netlink_dump in the kernel's af_netlink.c.
    private const int MaxDumps = 8; // A dump is interrupted only while links come and go; each attempt takes well below 1 ms.

    private readonly Lock _gate = new();
    private readonly SafeFileHandle _socket;
    private readonly uint _port;
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(ReceiveBytes);
    private uint _sequence;

    private NetlinkSocket(SafeFileHandle socket, uint port) => (_socket, _port) = (socket, port);

    /// <summary>A reply to a query. Attributes may be read only during the call.</summary>
    internal delegate T? Parse<T>(ushort type, MessageReader body)
        where T : class;

    private delegate void OnReply(ushort type, MessageReader body);

    /// <summary>A socket in the calling thread's network namespace.</summary>
    internal static NetlinkSocket Open(int protocol = NETLINK_ROUTE)
    {
        var socket = Libc.Socket(Libc.AF_NETLINK, Libc.SOCK_RAW | Libc.SOCK_CLOEXEC, protocol);
        Check(socket.IsInvalid ? -1 : 0, "open a netlink socket");
        return Bound(socket);
    }

    /// <summary>A socket in <paramref name="netns"/>.</summary>
    internal static NetlinkSocket OpenIn(SafeHandle netns) => Bound(NetworkNamespace.OpenNetlinkSocket(netns, NETLINK_ROUTE));

    /// <summary>Over a socket that is connected to somebody who plays the kernel: for tests.</summary>
    internal static NetlinkSocket Over(SafeFileHandle socket, uint port) => new(socket, port);

    /// <summary>Carries out one or more requests, in order.</summary>
    /// <param name="messages">From a <see cref="MessageWriter"/>; sequence numbers and port are filled in here.</param>
    /// <param name="steps">What each message does, to which object: an error says it.</param>
    /// <param name="tolerated">Errors that mean that things are already as wanted.</param>
    /// <exception cref="NetlinkException">The first refusal. Later messages of the batch were tried none the less.</exception>
    internal void Execute(Span<byte> messages, ReadOnlySpan<string> steps, Deadline deadline, params ReadOnlySpan<Errno> tolerated)
    {
        lock (_gate)
        {
            Exchange(messages, steps, deadline, tolerated, acks: true, null, out _);
        }
    }

    /// <summary>Asks for one object.</summary>
    /// <param name="absent">The errors that mean that there is none.</param>
    /// <returns>Null when there is none.</returns>
    internal T? Get<T>(Span<byte> message, string step, Deadline deadline, Parse<T> parse, params ReadOnlySpan<Errno> absent)
        where T : class
    {
        lock (_gate)
        {
            T? found = null;
            Exchange(message, [step], deadline, absent, acks: true, (type, body) => found ??= parse(type, body), out _);
            return found;
        }
    }

    /// <summary>Asks for every object. What changed while the kernel was listing is listed again.</summary>
    internal List<T> Dump<T>(Span<byte> message, string step, Deadline deadline, Parse<T> parse)
        where T : class
    {
        lock (_gate)
        {
            for (var attempt = 0; attempt < MaxDumps; attempt++)
            {
                var found = new List<T>();
                void Add(ushort type, MessageReader body)
                {
                    if (parse(type, body) is { } value)
                    {
                        found.Add(value);
                    }
                }

                Exchange(message, [step], deadline, [], acks: false, Add, out var interrupted);
                if (!interrupted)
                {
                    return found;
                }
            }

            throw new NetlinkException(step, Errno.EBUSY, $"changed under {MaxDumps} listings in a row");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private static NetlinkSocket Bound(SafeFileHandle socket)
    {
        try
        {
            return new NetlinkSocket(socket, Bind(socket));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static uint Bind(SafeFileHandle socket)
    {
        var address = new NetlinkAddress { Family = Libc.AF_NETLINK }; // Port 0: the kernel chooses a free one.
        var length = sizeof(NetlinkAddress);
        Check(Libc.Bind(socket, &address, length), "bind a netlink socket");
        Check(Libc.GetSockName(socket, &address, &length), "read a netlink socket's port");

        // Acks without the request's echo, the kernel's error texts, and no silent ignoring of what it does not know.
        foreach (var option in (ReadOnlySpan<int>)[NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
        {
            var on = 1;
            Check(Libc.SetSockOpt(socket, SOL_NETLINK, option, &on, sizeof(int)), $"set netlink option {option} (Linux 4.20 or newer has it)");
        }

        return address.Port;
    }

    private void Exchange(
        Span<byte> messages, ReadOnlySpan<string> steps, Deadline deadline, ReadOnlySpan<Errno> tolerated, bool acks, OnReply? onReply, out bool interrupted)
    {
        interrupted = false;
        var first = _sequence + 1;
        Stamp(messages, acks);
        Send(messages, steps[0]);

        NetlinkException? failure = null;
        var failed = steps.Length;
        for (var awaited = steps.Length; awaited > 0;)
        {
            var datagram = new MessageReader(Receive(steps[0], deadline));
            while (datagram.NextMessage(out var header, out var body))
            {
                var index = header.Sequence - first; // Wraps for an earlier number.
                if (header.Port != _port || index >= (uint)steps.Length)
                {
                    continue; // A late answer to an exchange that was given up.
                }

                interrupted |= (header.Flags & NLM_F_DUMP_INTR) != 0;
                if (header.Type is not (NLMSG_ERROR or NLMSG_DONE))
                {
                    onReply?.Invoke(header.Type, body);
                    continue;
                }

                awaited--;
                var errno = ReadOutcome(header, body, out var text);
                if (errno != Errno.None && !tolerated.Contains(errno) && index < failed)
                {
                    failed = (int)index;
                    failure = new NetlinkException(steps[(int)index], errno, text);
                }
            }
        }

        if (failure is not null)
        {
            throw failure;
        }
    }

    /// <summary>Gives each message its number.</summary>
    /// <param name="acks">Not for listings: they end by themselves.</param>
    private void Stamp(Span<byte> messages, bool acks)
    {
        for (var rest = messages; !rest.IsEmpty;)
        {
            ref var header = ref MemoryMarshal.AsRef<NetlinkHeader>(rest);
            header.Sequence = ++_sequence;
            header.Port = _port;
            header.Flags |= acks ? (ushort)(NLM_F_REQUEST | NLM_F_ACK) : NLM_F_REQUEST;
            rest = rest[(int)header.Length..];
        }
    }

    private void Send(ReadOnlySpan<byte> messages, string step)
    {
        var kernel = new NetlinkAddress { Family = Libc.AF_NETLINK };
        fixed (byte* start = messages)
        {
            while (Libc.SendTo(_socket, start, messages.Length, 0, &kernel, sizeof(NetlinkAddress)) < 0)
            {
                // Interrupted means not begun: the kernel works on the messages only after it has taken all of them.
                if (ErrnoText.Last() is var errno && errno != Errno.EINTR)
                {
                    throw new NetlinkException(step, errno, null);
                }
            }
        }
    }

    private ReadOnlySpan<byte> Receive(string step, Deadline deadline)
    {
        while (true)
        {
            var left = deadline.Remaining;
            if (left <= TimeSpan.Zero)
            {
                throw new NetlinkException(step, Errno.ETIMEDOUT, "the kernel did not answer within the deadline");
            }

            var timeout = new TimeValue { Seconds = (long)left.TotalSeconds, Microseconds = left.Microseconds + 1000 * left.Milliseconds + 1 };
            timeout.Seconds += timeout.Microseconds / 1_000_000;
            timeout.Microseconds %= 1_000_000;
            Check(Libc.SetSockOpt(_socket, Libc.SOL_SOCKET, Libc.SO_RCVTIMEO, &timeout, sizeof(TimeValue)), "set a netlink socket's deadline");

            NetlinkAddress sender;
            var senderLength = sizeof(NetlinkAddress);
            nint length;
            fixed (byte* start = _buffer)
            {
                length = Libc.ReceiveFrom(_socket, start, _buffer.Length, Libc.MSG_TRUNC, &sender, &senderLength);
            }

            if (length < 0)
            {
                if (ErrnoText.Last() is var errno && errno is not (Errno.EINTR or Errno.EAGAIN))
                {
                    throw new NetlinkException(step, errno, "no answer could be read");
                }
            }
            else if (length > _buffer.Length)
            {
                throw new NetlinkException(step, Errno.ENOBUFS, $"an answer of {length} bytes, where {_buffer.Length} are the kernel's most");
            }
            else if (sender.Port == 0 && senderLength == sizeof(NetlinkAddress)) // Another process may write to our port; only port 0 is the kernel.
            {
                return _buffer.AsSpan(0, (int)length);
            }
        }
    }

    /// <summary>The error number of an ack or of a listing's end, and the kernel's sentence about it.</summary>
    private static Errno ReadOutcome(NetlinkHeader header, MessageReader body, out string? text)
    {
        text = null;
        var errno = (Errno)(-body.Read<int>());
        if (header.Type == NLMSG_ERROR)
        {
            var request = body.Read<NetlinkHeader>();
            if ((header.Flags & NLM_F_CAPPED) == 0)
            {
                body.Skip((int)Math.Min(request.Length, int.MaxValue) - Unsafe.SizeOf<NetlinkHeader>());
            }
        }

        while ((header.Flags & NLM_F_ACK_TLVS) != 0 && body.NextAttribute(out var type, out var value))
        {
            text = type == NLMSGERR_ATTR_MSG ? MessageReader.Text(value) : text;
        }

        return errno;
    }

    private static void Check(int result, string step)
    {
        if (result < 0)
        {
            throw new NetlinkException(step, ErrnoText.Last(), null);
        }
    }
}
