using System.Net.Sockets;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>The unix socket on which the plugin asks: for root only, one request a connection.</summary>
internal sealed partial class PluginSocket : IDisposable
{
    /// <summary>ADDs that may wait, and room for DELs beside them. More connections wait in the kernel's queue.</summary>
    private const int MaxConnections = NodeLease.MaxAdds + 200;

    private const int Backlog = 512;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan TransferDeadline = TimeSpan.FromSeconds(5);

    private readonly Socket listener;
    private readonly TimeProvider time;
    private readonly ILogger log;
    private readonly Func<PluginRequest, CancellationToken, Task<PluginReply>> serve;
    private readonly SemaphoreSlim room = new(MaxConnections, MaxConnections);
    private long turns;

    private PluginSocket(Socket listener, TimeProvider time, ILogger log, Func<PluginRequest, CancellationToken, Task<PluginReply>> serve) =>
        (this.listener, this.time, this.log, this.serve) = (listener, time, log, serve);

    /// <summary>Opens the socket; a socket file that a dead executor left is replaced.</summary>
    /// <param name="serve">Answers a request. Cancelled when the plugin goes away.</param>
    /// <exception cref="ExecutorStoppedException">The path cannot be used.</exception>
    internal static PluginSocket Listen(
        string path, TimeProvider time, ILogger log, Func<PluginRequest, CancellationToken, Task<PluginReply>> serve)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            var directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
            Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
            if (File.Exists(path))
            {
                if ((File.GetAttributes(path) & FileAttributes.Normal) != 0 && new FileInfo(path).Length > 0)
                {
                    throw new ExecutorStoppedException($"{path} is a file with content, not a socket. Remove it, or set Socket to another path.");
                }

                if (IsServed(path))
                {
                    throw new ExecutorStoppedException($"Another node-executor serves {path}. One executor serves a node: stop that one first.");
                }

                File.Delete(path); // Of one that was killed.
            }

            listener.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, OwnerOnly);
            listener.Listen(Backlog);
            return new PluginSocket(listener, time, log, serve);
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            listener.Dispose();
            throw new ExecutorStoppedException($"The plugin's socket {path} cannot be opened: {e.Message} Check the setting Socket (at most 107 bytes, on a local disk).", e);
        }
    }

    private static bool IsServed(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Serves until it is cancelled, then lets what is being served end.</summary>
    /// <param name="grace">For requests that are being served; a waiting ADD is ended at once.</param>
    internal async Task RunAsync(TimeSpan grace, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await room.WaitAsync(stop);
                var connection = await listener.AcceptAsync(stop);
                _ = ServeAndCloseAsync(connection, ++turns, stop); // Ends by itself: each of its waits has a deadline.
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            listener.Dispose(); // Plugins that come now find nobody: a DEL succeeds, an ADD says what is missing.
        }

        using var enough = new CancellationTokenSource(grace, time);
        try
        {
            for (var n = 0; n < MaxConnections - 1; n++)
            {
                await room.WaitAsync(enough.Token);
            }
        }
        catch (OperationCanceledException)
        {
            LogUnfinished();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        listener.Dispose();
        room.Dispose();
    }

    private async Task ServeAndCloseAsync(Socket connection, long turn, CancellationToken stop)
    {
        try
        {
            using (connection)
            {
                await ServeAsync(connection, turn, stop);
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            LogBroken(e.Message);
        }
        finally
        {
            room.Release();
        }
    }

    private async Task ServeAsync(Socket connection, long turn, CancellationToken stop)
    {
        if (DescriptorSocket.PeerUserId(connection) is var user and not 0)
        {
            LogNotRoot(user);
            return;
        }

        PluginReply reply;
        SafeFileHandle? netns = null;
        try
        {
            using var deadline = new CancellationTokenSource(TransferDeadline, time);
            (var request, netns) = await ReadAsync(connection, turn, deadline.Token);
            reply = await ServeWatchingAsync(connection, request, stop);
        }
        catch (CniException e)
        {
            reply = PluginReply.Of(e.Error, null);
        }
        finally
        {
            netns?.Dispose();
        }

        try
        {
            using var deadline = new CancellationTokenSource(TransferDeadline, time);
            ReadOnlyMemory<byte> frame = Frame.WriteReply(reply.ExitCode, reply.Body);
            while (frame.Length > 0)
            {
                frame = frame[await connection.SendAsync(frame, deadline.Token)..];
            }
        }
        catch (Exception e) when (reply.Undo is not null && e is SocketException or OperationCanceledException)
        {
            await reply.Undo!(); // The runtime counts the ADD as failed.
        }
    }

    private static async Task<(PluginRequest Request, SafeFileHandle? Netns)> ReadAsync(Socket connection, long turn, CancellationToken cancellation)
    {
        var header = new byte[Frame.RequestHeaderSize];
        var (got, netns) = await DescriptorSocket.ReceiveAsync(connection, header, cancellation);
        try
        {
            await ReadRestAsync(connection, header.AsMemory(got), got, cancellation);
            var size = Frame.ReadRequestHeader(header);
            var body = new byte[size.Total];
            await ReadRestAsync(connection, body, size.Total, cancellation);
            return (new PluginRequest(body.AsMemory(0, size.Environment), body.AsMemory(size.Environment), netns, turn), netns);
        }
        catch (Exception)
        {
            netns?.Dispose();
            throw;
        }
    }

    private static async Task ReadRestAsync(Socket connection, Memory<byte> rest, int expected, CancellationToken cancellation)
    {
        while (rest.Length > 0)
        {
            var got = expected == 0 ? 0 : await connection.ReceiveAsync(rest, cancellation);
            if (got == 0)
            {
                throw new SocketException((int)SocketError.ConnectionReset); // Killed while it wrote.
            }

            rest = rest[got..];
        }
    }

    /// <summary>A plugin sends nothing after its request, so whatever ends this read is its end.</summary>
    private async Task<PluginReply> ServeWatchingAsync(Socket connection, PluginRequest request, CancellationToken stop)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var served = new CancellationTokenSource();
        var watch = WatchAsync(connection, gone, served.Token);
        try
        {
            return await serve(request, gone.Token);
        }
        finally
        {
            await served.CancelAsync();
            await watch;
        }
    }

    private static async Task WatchAsync(Socket connection, CancellationTokenSource gone, CancellationToken served)
    {
        try
        {
            await connection.ReceiveAsync(new byte[1], served);
        }
        catch (SocketException)
        {
            // Reset: gone as well.
        }
        catch (OperationCanceledException)
        {
            return;
        }

        await gone.CancelAsync();
    }

    [LoggerMessage(EventId = 3201, Level = LogLevel.Warning, Message = "A process of user {User} has connected to the plugin's socket: refused, only root may.")]
    private partial void LogNotRoot(uint user);

    [LoggerMessage(EventId = 3202, Level = LogLevel.Debug, Message = "A plugin has gone: {Why}")]
    private partial void LogBroken(string why);

    [LoggerMessage(EventId = 3203, Level = LogLevel.Warning, Message = "Some requests of plugins did not end in time and are cut off; the runtime's DEL cleans up after them.")]
    private partial void LogUnfinished();
}
