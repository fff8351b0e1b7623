using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.EndToEnd.KillPoints;

/// <summary>What an executor's descriptors and paths are to it: <c>plugin</c>, <c>silo</c>, <c>netlink host</c>, <c>store lease</c>, ...</summary>
/// <param name="process">The executor.</param>
/// <param name="stateFolder">Where its lease is.</param>
internal sealed unsafe partial class Descriptors(int process, string stateFolder) : IDisposable
{
    private const int Unix = 1, Inet = 2, Inet6 = 10, Netlink = 16, MetadataPort = 80;
    private const int SolSocket = 1, SoProtocol = 38, SoDomain = 39, Netfilter = 12, GetNamespace = 0x894c /* SIOCGSKNS */;
    private const int PidfdOpen = 434, PidfdGetFd = 438;

    private readonly SafeFileHandle handle = new((nint)syscall(PidfdOpen, process, 0, 0), ownsHandle: true);
    private readonly string log = LinkOf($"/proc/{process}/fd/2");
    private readonly string home = LinkOf($"/proc/{process}/ns/net");

    /// <returns>Null for what leads nowhere out of the process, its log, its pollers and events, and for the metadata service, which is only read.</returns>
    public string? Of(int descriptor)
    {
        var target = LinkOf($"/proc/{process}/fd/{descriptor}");
        return target == log || target.StartsWith("anon_inode:", StringComparison.Ordinal) || target.StartsWith("pipe:", StringComparison.Ordinal) ? null
            : target.StartsWith("socket:", StringComparison.Ordinal) ? Socket(descriptor)
            : Path(target);
    }

    /// <summary>By purpose, so that it is the same for each pod and each run.</summary>
    public string Path(string path) =>
        path.StartsWith(stateFolder, StringComparison.Ordinal) ? "store " + (path.Length > stateFolder.Length ? path[(stateFolder.Length + 1)..] : "folder")
        : path.StartsWith("net:", StringComparison.Ordinal) ? "the node's namespace"
        : path.StartsWith("/run/netns/", StringComparison.Ordinal) ? "a pod's namespace"
        : path.StartsWith("/proc/sys/net/", StringComparison.Ordinal) ? "sysctl " + System.IO.Path.GetFileName(path)
        : "file " + path;

    public void Dispose() => handle.Dispose();

    private string? Socket(int descriptor)
    {
        using var copy = new SafeFileHandle((nint)syscall(PidfdGetFd, (int)handle.DangerousGetHandle(), descriptor, 0), ownsHandle: true);
        if (copy.IsInvalid)
        {
            return "nothing";
        }

        return Option(copy, SoDomain) switch
        {
            Unix => "plugin",
            Inet or Inet6 => PeerPortOf(copy) switch { null => "nobody", MetadataPort => null, _ => "silo" },
            Netlink when HasGroups(copy) => "netlink events",
            Netlink when Option(copy, SoProtocol) == Netfilter => "netfilter",
            Netlink => NamespaceOf(copy) == home ? "netlink host" : "netlink pod",
            var family => $"socket of family {family}",
        };
    }

    private static string NamespaceOf(SafeFileHandle socket)
    {
        using var netns = new SafeFileHandle(ioctl(socket, GetNamespace), ownsHandle: true);
        return LinkOf($"/proc/self/fd/{netns.DangerousGetHandle()}");
    }

    /// <returns>Null: it has no peer yet, or no more.</returns>
    private static int? PeerPortOf(SafeFileHandle socket)
    {
        const int Most = 128; // sockaddr_storage; the port is in bytes 2 and 3 of both families.
        var address = stackalloc byte[Most];
        var length = Most;
        return getpeername(socket, address, &length) == 0 ? BinaryPrimitives.ReadUInt16BigEndian(new ReadOnlySpan<byte>(address + 2, 2)) : null;
    }

    private static bool HasGroups(SafeFileHandle socket)
    {
        var address = stackalloc uint[3]; // sockaddr_nl: family, port, groups.
        var length = 3 * sizeof(uint);
        return getsockname(socket, address, &length) == 0 && address[2] != 0;
    }

    private static int Option(SafeFileHandle socket, int option)
    {
        int value = 0, length = sizeof(int);
        return getsockopt(socket, SolSocket, option, &value, &length) == 0 ? value : -1;
    }

    private static string LinkOf(string path)
    {
        var target = stackalloc byte[4096];
        var length = readlink(path, target, 4096);
        return length < 0 ? "" : Encoding.UTF8.GetString(target, (int)length);
    }

    [LibraryImport("libc")]
    private static partial nint syscall(nint number, nint first, nint second, nint third);

    [LibraryImport("libc")]
    private static partial int getsockopt(SafeFileHandle socket, int level, int option, int* value, int* length);

    [LibraryImport("libc")]
    private static partial int getsockname(SafeFileHandle socket, uint* address, int* length);

    [LibraryImport("libc")]
    private static partial int getpeername(SafeFileHandle socket, byte* address, int* length);

    [LibraryImport("libc")]
    private static partial int ioctl(SafeFileHandle socket, nuint request);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint readlink(string path, byte* target, nint size);
}
