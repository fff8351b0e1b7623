using static AwsVpcCni.CniPlugin.Libc;

namespace AwsVpcCni.CniPlugin;

/// <summary>What the plugin prints by itself: its errors. Each method answers the process's exit code.</summary>
internal static unsafe class Output
{
    private const int Stdout = 1;

    private static Buffer buffer;
    private static int length;

    /// <summary>An error whose config's version nobody has read: 1.0.0 is known to every runtime, and none looks at it in an error.</summary>
    public static int Error(ReadOnlySpan<byte> code, ReadOnlySpan<byte> message)
    {
        Begin(code);
        Add(message);
        return End();
    }

    /// <summary>Says what the exchange with the executor failed on, where, and what to do.</summary>
    public static int NoExecutor(ReadOnlySpan<byte> code, byte* socketPath)
    {
        Begin(code);
        Add("no answer from the node executor at "u8);
        AddPath(socketPath);
        Add(": "u8);
        AddReason();
        Add(". Check that the node executor (node-executor) runs on this node; the container runtime tries again by itself"u8);
        return End();
    }

    /// <returns>0, or 1 when it cannot be written.</returns>
    public static int Put(int descriptor, ReadOnlySpan<byte> text)
    {
        fixed (byte* start = text)
        {
            return Put(descriptor, start, text.Length);
        }
    }

    /// <inheritdoc cref="Put(int, ReadOnlySpan{byte})"/>
    public static int Put(int descriptor, byte* start, nint count)
    {
        while (count > 0)
        {
            var written = write(descriptor, start, count);
            if (written < 0)
            {
                if (Errno == EINTR)
                {
                    continue;
                }

                return 1;
            }

            start += written;
            count -= written;
        }

        return 0;
    }

    private static void Begin(ReadOnlySpan<byte> code)
    {
        Add("""{"cniVersion":"1.0.0","code":"""u8);
        Add(code);
        Add(",\"msg\":\""u8);
    }

    private static int End()
    {
        Add("\"}\n"u8);
        fixed (byte* start = buffer.Bytes)
        {
            Put(Stdout, start, length);
        }

        return 1;
    }

    private static void AddReason()
    {
        if (Executor.FailedErrno == EAGAIN)
        {
            Add("it takes too long"u8);
            return;
        }

        if (Executor.FailedErrno == 0)
        {
            Add("it closed the connection before its answer was whole"u8);
            return;
        }

        Add(Executor.Failed switch
        {
            Executor.Step.Connecting => "cannot connect, errno "u8,
            Executor.Step.Sending => "cannot send, errno "u8,
            _ => "cannot receive, errno "u8,
        });
        AddNumber(Executor.FailedErrno);
        Add(Executor.FailedErrno switch
        {
            ENOENT => " (there is no such socket)"u8,
            ENAMETOOLONG => " (AWS_VPC_CNI_SOCKET is longer than 107 bytes)"u8,
            ECONNREFUSED => " (nobody listens)"u8,
            _ => ""u8,
        });
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

    /// <summary>At most as much of the path as a socket's address holds; what JSON would want escaped becomes '?'.</summary>
    private static void AddPath(byte* path)
    {
        for (var i = 0; path[i] != 0 && i < UnixAddress.PathSize; i++)
        {
            Add(path[i] is >= 0x20 and < 0x7f and not ((byte)'"' or (byte)'\\') ? path[i] : (byte)'?');
        }
    }

    private static void AddNumber(int number)
    {
        if (number >= 10)
        {
            AddNumber(number / 10);
        }

        Add((byte)('0' + (number % 10)));
    }

    private static void Add(byte value)
    {
        if (length < Buffer.Size)
        {
            buffer.Bytes[length++] = value;
        }
    }

    private struct Buffer
    {
        public const int Size = 1024; // The longest error has about 400 bytes.

        public fixed byte Bytes[Size];
    }
}
