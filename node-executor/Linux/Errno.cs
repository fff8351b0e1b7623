using System.Runtime.InteropServices;

namespace AwsVpcCni.NodeExecutor.Linux;

/// <summary>Error numbers that this program acts on or names; asm-generic/errno.h.</summary>
internal enum Errno
{
    None = 0,
    EPERM = 1,
    ENOENT = 2,
    ESRCH = 3,
    EINTR = 4,
    EBADF = 9,
    EAGAIN = 11,
    EACCES = 13,
    EBUSY = 16,
    EEXIST = 17,
    ENODEV = 19,
    EINVAL = 22,
    ERANGE = 34,
    EADDRNOTAVAIL = 99,
    ENETDOWN = 100,
    ENETUNREACH = 101,
    ENOBUFS = 105,
    ETIMEDOUT = 110,
    EHOSTUNREACH = 113,
}

/// <summary>Reads and words error numbers.</summary>
internal static class ErrnoText
{
    /// <summary>What the last P/Invoke of this thread left.</summary>
    internal static Errno Last() => (Errno)Marshal.GetLastPInvokeError();

    /// <summary>The C library's words, then the name: <c>File exists (EEXIST)</c>.</summary>
    internal static string Describe(this Errno errno) => $"{Marshal.GetPInvokeErrorMessage((int)errno)} ({errno})";
}
