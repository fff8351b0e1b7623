using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.NodeExecutor.Linux;

/// <summary>Visits to another network namespace.</summary>
internal static class NetworkNamespace
{
    /// <summary>The namespace of the calling thread.</summary>
    /// <exception cref="IOException">/proc is not mounted.</exception>
    internal static SafeFileHandle OpenCurrent() => Open("/proc/thread-self/ns/net");

    /// <summary>A namespace by its file, such as /run/netns/NAME.</summary>
    internal static SafeFileHandle Open(string path) =>
        File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);

    /// <summary>Opens a raw netlink socket that stays in <paramref name="netns"/>, whoever uses it later.</summary>
    /// <remarks>A socket belongs to the namespace of the thread that makes it, so the calling thread goes there for this one
    /// call. Nothing else runs in between: a thread that the runtime started meanwhile would stay there for good.</remarks>
    /// <exception cref="IOException"><paramref name="netns"/> is closed or no network namespace.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static SafeFileHandle OpenNetlinkSocket(SafeHandle netns, int protocol)
    {
        using var home = OpenCurrent();
        if (Libc.SetNs(netns, Libc.CLONE_NEWNET) != 0)
        {
            throw new IOException($"The descriptor handed over as the pod's network namespace is none: {ErrnoText.Last().Describe()}.");
        }

        var socket = Libc.Socket(Libc.AF_NETLINK, Libc.SOCK_RAW | Libc.SOCK_CLOEXEC, protocol);
        var errno = ErrnoText.Last();
        if (Libc.SetNs(home, Libc.CLONE_NEWNET) != 0)
        {
            // The thread goes back to a pool. Its next pod would be wired inside this one.
            Environment.FailFast($"A thread cannot return from a pod's network namespace: {ErrnoText.Last().Describe()}.");
        }

        return socket.IsInvalid ? throw new IOException($"No netlink socket: {errno.Describe()}.") : socket;
    }
}
