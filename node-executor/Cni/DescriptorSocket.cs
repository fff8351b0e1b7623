using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>What .NET's unix sockets cannot do: who is at the other end, and descriptors that come with bytes.</summary>
internal static partial class DescriptorSocket
{
    private const int SOL_SOCKET = 1;
    private const int SO_PEERCRED = 17;
    private const int SCM_RIGHTS = 1;
    private const int MSG_DONTWAIT = 0x40;
    private const int MSG_CMSG_CLOEXEC = 0x40000000;

    /// <summary>Of the process that connected, as the kernel noted it then.</summary>
    internal static uint PeerUserId(Socket socket)
    {
        Span<byte> credentials = stackalloc byte[12]; // struct ucred: pid, uid, gid.
        socket.GetRawSocketOption(SOL_SOCKET, SO_PEERCRED, credentials);
        return MemoryMarshal.Read<uint>(credentials[4..]);
    }

    /// <summary>Waits for bytes and takes them with the descriptor that came along. More descriptors than one are closed.</summary>
    /// <returns>0 bytes when the other end has closed.</returns>
    /// <exception cref="SocketException">The connection broke.</exception>
    internal static async Task<(int Bytes, SafeFileHandle? Descriptor)> ReceiveAsync(Socket socket, Memory<byte> buffer, CancellationToken cancellation)
    {
        await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, cancellation); // Takes nothing; ends when there is something.
        return Receive(socket, buffer.Span);
    }

    private static unsafe (int Bytes, SafeFileHandle? Descriptor) Receive(Socket socket, Span<byte> bytes)
    {
        fixed (byte* buffer = bytes)
        {
            return Receive(socket, buffer, bytes.Length);
        }
    }

    private static unsafe (int Bytes, SafeFileHandle? Descriptor) Receive(Socket socket, byte* buffer, int length)
    {
        const int MaxDescriptors = 4;
        var control = stackalloc byte[sizeof(ControlHeader) + (MaxDescriptors * sizeof(int))];
        var part = new IoVector { Base = buffer, Length = length };
        var message = new MessageHeader
        {
            Parts = &part, PartCount = 1, Control = control, ControlLength = sizeof(ControlHeader) + (MaxDescriptors * sizeof(int)),
        };
        var got = RecvMsg(socket.SafeHandle, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got < 0)
        {
            throw new SocketException(Marshal.GetLastPInvokeError());
        }

        SafeFileHandle? descriptor = null;
        var header = (ControlHeader*)control;
        if (message.ControlLength >= sizeof(ControlHeader) && header->Level == SOL_SOCKET && header->Type == SCM_RIGHTS)
        {
            var descriptors = (int*)(control + sizeof(ControlHeader));
            for (var n = 0; n < (header->Length - sizeof(ControlHeader)) / sizeof(int); n++)
            {
                var received = new SafeFileHandle(descriptors[n], ownsHandle: true);
                if (descriptor is null)
                {
                    descriptor = received;
                }
                else
                {
                    received.Dispose();
                }
            }
        }

        return ((int)got, descriptor);
    }

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static unsafe partial nint RecvMsg(SafeHandle socket, MessageHeader* message, int flags);

    // struct iovec, msghdr and cmsghdr of 64-bit Linux (bits/socket.h).
    private unsafe struct IoVector
    {
        public byte* Base;
        public nint Length;
    }

    private unsafe struct MessageHeader
    {
        public void* Name;
        public nint NameLength;
        public IoVector* Parts;
        public nint PartCount;
        public void* Control;
        public nint ControlLength;
        public nint Flags;
    }

    private readonly record struct ControlHeader(nint Length, int Level, int Type);
}
