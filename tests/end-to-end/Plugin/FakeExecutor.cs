using System.Net.Sockets;
using System.Runtime.InteropServices;
using AwsVpcCni.CniProtocol;

namespace AwsVpcCni.Tests.EndToEnd.Plugin;

/// <summary>The executor's end of the socket, in the test: takes one request, then does what the test says.</summary>
internal sealed class FakeExecutor : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("avc-plugin-");
    private Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public FakeExecutor()
    {
        listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        listener.Listen(8);
    }

    public string SocketPath => Path.Combine(folder.FullName, "executor.sock");

    /// <summary>Where nobody listens until <see cref="ListenLater"/>.</summary>
    public string LaterSocketPath => Path.Combine(folder.FullName, "later.sock");

    /// <summary>Where DELs that find nobody leave their marks.</summary>
    public DirectoryInfo Marks => new(Path.Combine(folder.FullName, EndedMark.Folder));

    public DirectoryInfo MakeMarks()
    {
        Marks.Create();
        return Marks;
    }

    /// <summary>From now on it listens there, and no more at <see cref="SocketPath"/>.</summary>
    public void ListenLater()
    {
        listener.Dispose();
        File.Delete(LaterSocketPath);
        listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(LaterSocketPath));
        listener.Listen(8);
    }

    public bool HasCaller => listener.Poll(0, SelectMode.SelectRead);

    /// <summary>Takes one request whole, then answers.</summary>
    /// <param name="answer">With the connection, on which it may send anything or nothing; it is closed afterwards.</param>
    public Task<Request> ServeAsync(Action<Socket> answer) => Task.Run(() =>
    {
        using var connection = Accept();
        var request = Request.Read(connection);
        answer(connection);
        return request;
    });

    /// <summary>Takes a connection and hands it over before anything is read.</summary>
    public Task AcceptAsync(Action<Socket> answer) => Task.Run(() =>
    {
        using var connection = Accept();
        answer(connection);
    });

    public void Dispose()
    {
        listener.Dispose();
        folder.Delete(recursive: true);
    }

    private Socket Accept()
    {
        if (!listener.Poll(Patience, SelectMode.SelectRead))
        {
            throw new TimeoutException($"The plugin did not connect within {Patience}.");
        }

        var connection = listener.Accept();
        connection.ReceiveTimeout = connection.SendTimeout = (int)Patience.TotalMilliseconds;
        return connection;
    }
}

/// <summary>What the plugin sent.</summary>
/// <param name="Namespace">What the descriptor that came along is, as /proc names it (<c>net:[4026531840]</c>); null: none came.</param>
internal sealed partial record Request(byte[] Environment, byte[] Stdin, string? Namespace)
{
    public static Request Read(Socket connection)
    {
        var header = new byte[Frame.RequestHeaderSize];
        var (read, name) = ReadFirst((int)connection.Handle, header);
        ReadExactly(connection, header.AsSpan(read));
        var size = Frame.ReadRequestHeader(header);
        var (environment, stdin) = (new byte[size.Environment], new byte[size.Stdin]);
        ReadExactly(connection, environment);
        ReadExactly(connection, stdin);
        return new Request(environment, stdin, name);
    }

    private static void ReadExactly(Socket connection, Span<byte> to)
    {
        while (!to.IsEmpty)
        {
            var count = connection.Receive(to);
            to = count > 0 ? to[count..] : throw new EndOfStreamException($"The request ended {to.Length} bytes too early.");
        }
    }

    /// <summary>The descriptor comes with the first byte; .NET's Socket would throw it away.</summary>
    private static unsafe (int Read, string? Namespace) ReadFirst(int socket, byte[] to)
    {
        fixed (byte* start = to)
        {
            var part = new Part { Start = start, Length = to.Length };
            var control = default(Control);
            var message = new Message { Parts = &part, PartCount = 1, Control = &control, ControlLength = sizeof(Control) };
            var count = recvmsg(socket, &message, 0x40000000 /* MSG_CMSG_CLOEXEC */);
            if (count <= 0)
            {
                throw new IOException($"recvmsg answers {count}, errno {Marshal.GetLastPInvokeError()}.");
            }

            if (message.ControlLength == 0)
            {
                return ((int)count, null);
            }

            using var descriptor = new Microsoft.Win32.SafeHandles.SafeFileHandle(control.Descriptor, ownsHandle: true);
            return ((int)count, new FileInfo($"/proc/self/fd/{control.Descriptor}").LinkTarget);
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint recvmsg(int socket, Message* message, int flags);

    private unsafe struct Part
    {
        public byte* Start;
        public nint Length;
    }

    private unsafe struct Message
    {
        public void* Name;
        public nint NameLength;
        public Part* Parts;
        public nint PartCount;
        public void* Control;
        public nint ControlLength;
        public nint Flags;
    }

    private struct Control
    {
        public nint Length;
        public int Level;
        public int Type;
        public int Descriptor;
        public int Padding;
    }
}
