using System.Runtime.InteropServices;

namespace AwsVpcCni.CniPlugin;

/// <summary>The C library's functions, called straight: no marshalling, no transition of the garbage collector. Names and numbers are the C headers', the same on x86-64 and arm64 (O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE and O_TMPFILE are not).</summary>
internal static unsafe partial class Libc
{
    public const int ENOENT = 2, EINTR = 4, EAGAIN = 11, ENAMETOOLONG = 36, ECONNREFUSED = 111, EPIPE = 32, ECONNRESET = 104;
    public const int O_RDONLY = 0, O_WRONLY = 1, O_CREAT = 0x40, O_EXCL = 0x80, O_NONBLOCK = 0x800, O_CLOEXEC = 0x80000;
    public const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0x80000;
    public const int SOL_SOCKET = 1, SO_RCVTIMEO = 20, SO_SNDTIMEO = 21, SCM_RIGHTS = 1, MSG_NOSIGNAL = 0x4000;

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial nint read(int fd, byte* buffer, nint count);

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial nint write(int fd, byte* buffer, nint count);

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial int open(byte* path, int flags, int mode);

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial nint getdents64(int fd, byte* buffer, nint count);

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial int nanosleep(TimeSpec* wanted, TimeSpec* left);

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial int socket(int family, int type, int protocol);

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial int setsockopt(int fd, int level, int name, void* value, uint length);

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial int connect(int fd, UnixAddress* address, uint length);

    [LibraryImport("libc"), SuppressGCTransition]
    public static partial nint sendmsg(int fd, MessageHeader* message, int flags);

    [LibraryImport("libc"), SuppressGCTransition]
    private static partial int* __errno_location();

    public static int Errno => *__errno_location();

    /// <summary>struct sockaddr_un.</summary>
    public struct UnixAddress
    {
        public const int PathSize = 108;

        public ushort Family;
        public fixed byte Path[PathSize];
    }

    /// <summary>struct timeval.</summary>
    public struct TimeValue
    {
        public long Seconds;
        public long Microseconds;
    }

    /// <summary>struct timespec.</summary>
    public struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary>struct iovec.</summary>
    public struct Part
    {
        public byte* Start;
        public nint Length;
    }

    /// <summary>struct msghdr.</summary>
    public struct MessageHeader
    {
        public void* Name;
        public nint NameLength;
        public Part* Parts;
        public nint PartCount;
        public void* Control;
        public nint ControlLength;
        public nint Flags;
    }

    /// <summary>struct cmsghdr with one descriptor, and the padding that CMSG_SPACE counts.</summary>
    public struct DescriptorMessage
    {
        public const int LengthWithoutPadding = 20;

        public nint Length;
        public int Level;
        public int Type;
        public int Descriptor;
        public int Padding;
    }
}
