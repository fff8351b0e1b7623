using System.ComponentModel;
using System.Runtime.InteropServices;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>The other end of a netlink socket: a pair of unix sockets that keep datagrams apart. What it says lies ready before it is asked.</summary>
/// <remarks>Its abstract name has the bytes of a netlink address, so that the shipped check of the sender sees a port.</remarks>
internal sealed unsafe partial class FakeKernel : IDisposable
{
    /// <summary>The asking socket's.</summary>
    public const uint Port = 4242;

    private const int AF_UNIX = 1, SOCK_SEQPACKET = 5, MSG_NOSIGNAL = 0x4000;
    private const int EADDRINUSE = 98;
    private static int s_names = Environment.ProcessId << 12;

    private readonly SafeFileHandle ours;
    private readonly SafeFileHandle theirs;

    /// <param name="port">Of the sender; 0 is the kernel's.</param>
    public FakeKernel(uint port = 0)
    {
        var pair = stackalloc int[2];
        Check(SocketPair(AF_UNIX, SOCK_SEQPACKET | Libc.SOCK_CLOEXEC, 0, pair));
        (ours, theirs) = (new SafeFileHandle(pair[0], ownsHandle: true), new SafeFileHandle(pair[1], ownsHandle: true));
        while (true)
        {
            var name = new NetlinkAddress { Family = AF_UNIX, Padding = 0x4600, Port = port, Groups = (uint)Interlocked.Increment(ref s_names) };
            if (Libc.Bind(theirs, &name, sizeof(NetlinkAddress)) == 0)
            {
                break;
            }

            Check(Marshal.GetLastPInvokeError() == EADDRINUSE ? 0 : -1);
        }

        Socket = NetlinkSocket.Over(ours, Port);
    }

    /// <summary>What asks.</summary>
    public NetlinkSocket Socket { get; }

    /// <returns>False when no more datagrams may wait.</returns>
    public bool Say(ReadOnlySpan<byte> datagram)
    {
        fixed (byte* start = datagram)
        {
            return Libc.SendTo(theirs, start, datagram.Length, Libc.MSG_DONTWAIT | MSG_NOSIGNAL, null, 0) >= 0;
        }
    }

    /// <summary>The number of the last message that was asked.</summary>
    /// <param name="left">So many late answers that are whole stay unread; the others are thrown away.</param>
    public uint Heard(int left)
    {
        var buffer = stackalloc byte[64 * 1024];
        var number = 0u;
        nint length;
        while ((length = Libc.ReceiveFrom(theirs, buffer, 64 * 1024, Libc.MSG_DONTWAIT, null, null)) > 0)
        {
            var request = new MessageReader(new ReadOnlySpan<byte>(buffer, (int)length));
            while (request.NextMessage(out var header, out _))
            {
                number = header.Sequence;
                if (header.Port != Port || (header.Flags & Rtnetlink.NLM_F_REQUEST) == 0)
                {
                    throw new FuzzException("a message went out that is no request of ours");
                }
            }
        }

        List<byte[]> late = [];
        while ((length = Libc.ReceiveFrom(ours, buffer, 64 * 1024, Libc.MSG_DONTWAIT, null, null)) >= 0) // One may be empty.
        {
            late.Add(new ReadOnlySpan<byte>(buffer, (int)length).ToArray());
        }

        late.Where(datagram => datagram.Length >= sizeof(NetlinkHeader) && MemoryMarshal.Read<NetlinkHeader>(datagram) is var header && header.Sequence <= number && header.Length == datagram.Length).Take(left).ToList().ForEach(datagram => Say(datagram));
        return number;
    }

    public void Dispose()
    {
        Socket.Dispose();
        theirs.Dispose();
    }

    private static void Check(int result)
    {
        if (result < 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static partial int SocketPair(int domain, int type, int protocol, int* pair);
}
