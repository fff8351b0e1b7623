using AwsVpcCni.CniProtocol;
using static AwsVpcCni.CniPlugin.Libc;
using Form = AwsVpcCni.CniProtocol.EndedMark;

namespace AwsVpcCni.CniPlugin;

/// <summary>Tells the next executor of a DEL that found none: an empty file, whose form is <see cref="Form"/>'s. Whatever fails, the DEL goes on.</summary>
internal static unsafe class EndedMark
{
    private const int EntriesSize = 64 * 1024;

    private static Buffer path;
    private static int length;

    /// <param name="socketPath">The folder is beside it.</param>
    /// <param name="containerId">Null when it is not set.</param>
    /// <param name="ifName">Null when it is not set.</param>
    /// <param name="stdinLength">Of the config, which lies in <see cref="Executor.Stdin"/>.</param>
    public static void Leave(byte* socketPath, byte* containerId, byte* ifName, int stdinLength)
    {
        if (!IsContainerId(containerId) || !IsIfName(ifName) || !AddFolderOf(socketPath))
        {
            return;
        }

        fixed (byte* start = path.Bytes)
        {
            // A prevResult: an ADD of it has succeeded. Looked for before the memory is used again.
            var most = HasPrevResult(stdinLength) ? Form.Most : Form.Most / 2;
            Add("ended/\0"u8);
            var folder = open(start, O_RDONLY | O_CLOEXEC, 0);
            if (folder < 0 || !HasRoom(folder, most))
            {
                return;
            }

            length--; // The NUL.
            Add(containerId);
            Add(":"u8);
            Add(ifName);
            Add("\0"u8);
            _ = open(start, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0x180 /* 0600 */); // The end of the process closes it. One that is there says it already.
        }
    }

    private static bool HasRoom(int folder, int most)
    {
        var entries = Executor.Stdin; // The request is over: its memory is free.
        var count = -2; // "." and "..".
        while (true)
        {
            var got = getdents64(folder, entries, EntriesSize);
            if (got <= 0)
            {
                return got == 0;
            }

            for (nint at = 0; at < got; at += *(ushort*)(entries + at + 16)) // d_reclen of struct linux_dirent64.
            {
                if (++count >= most)
                {
                    return false;
                }
            }
        }
    }

    private static bool HasPrevResult(int stdinLength)
    {
        var wanted = "\"prevResult\""u8;
        for (var at = 0; at <= stdinLength - wanted.Length; at++)
        {
            var same = 0;
            while (same < wanted.Length && Executor.Stdin[at + same] == wanted[same])
            {
                same++;
            }

            if (same == wanted.Length)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsContainerId(byte* text)
    {
        if (text == null || *text is (byte)'_' or (byte)'.' or (byte)'-')
        {
            return false;
        }

        var at = 0;
        while (text[at] is >= (byte)'a' and <= (byte)'z' or >= (byte)'A' and <= (byte)'Z' or >= (byte)'0' and <= (byte)'9' or (byte)'_' or (byte)'.' or (byte)'-')
        {
            at++;
            if (at > CniCall.MaxContainerIdLength)
            {
                return false;
            }
        }

        return at > 0 && text[at] == 0;
    }

    private static bool IsIfName(byte* text)
    {
        if (text == null || (text[0] == '.' && (text[1] == 0 || (text[1] == '.' && text[2] == 0))))
        {
            return false;
        }

        var at = 0;
        while (text[at] is > 0x20 and < 0x7f and not ((byte)'/' or (byte)':' or (byte)'%'))
        {
            at++;
            if (at > CniCall.MaxIfNameLength)
            {
                return false;
            }
        }

        return at > 0 && text[at] == 0;
    }

    /// <returns>False when the path is longer than a socket's.</returns>
    private static bool AddFolderOf(byte* socketPath)
    {
        var (at, end) = (0, 0);
        for (; socketPath[at] != 0; at++)
        {
            if (at >= UnixAddress.PathSize)
            {
                return false;
            }

            end = socketPath[at] == '/' ? at + 1 : end;
        }

        for (at = 0; at < end; at++)
        {
            Add(socketPath[at]);
        }

        return true;
    }

    private static void Add(byte* text)
    {
        for (; *text != 0; text++)
        {
            Add(*text);
        }
    }

    private static void Add(ReadOnlySpan<byte> text)
    {
        fixed (byte* from = text)
        {
            for (var i = 0; i < text.Length; i++)
            {
                Add(from[i]);
            }
        }
    }

    private static void Add(byte value) => path.Bytes[length++] = value; // All that comes is checked, and fits.

    private struct Buffer
    {
        public fixed byte Bytes[UnixAddress.PathSize + CniCall.MaxContainerIdLength + CniCall.MaxIfNameLength + 16];
    }
}
