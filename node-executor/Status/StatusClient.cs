using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.NodeExecutor.Status;

/// <summary><c>node-executor status</c>: asks the executor that runs on this node, over the plugin's socket.</summary>
internal static class StatusClient
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Writes the report; JSON as it came, or text.</summary>
    /// <exception cref="ExecutorStoppedException">No executor answers.</exception>
    internal static async Task RunAsync(string socket, bool json, TimeProvider time, TextWriter output)
    {
        var (exit, body) = await AskAsync(socket, time);
        if (exit != 0)
        {
            throw new ExecutorStoppedException($"The executor at {socket} does not know the question; it may be of another version. It says: {Encoding.UTF8.GetString(body)}");
        }

        await output.WriteAsync(json ? Encoding.UTF8.GetString(body) + '\n' : StatusText.Of(JsonSerializer.Deserialize(body, ExecutorStatusJson.Default.ExecutorStatus)!));
    }

    private static async Task<(int Exit, byte[] Body)> AskAsync(string path, TimeProvider time)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), deadline.Token);
            await using var stream = new NetworkStream(socket);
            await stream.WriteAsync(Frame.WriteRequest(StatusReport.Question, []), deadline.Token);
            var header = new byte[Frame.ReplyHeaderSize];
            await stream.ReadExactlyAsync(header, deadline.Token);
            var body = new byte[Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(header), 0, Frame.MaxReplyBodySize)];
            await stream.ReadExactlyAsync(body, deadline.Token);
            return (BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(4)), body);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.AccessDenied)
        {
            throw new ExecutorStoppedException($"The executor's socket {path} is for root only. Run it as root.", e);
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            throw new ExecutorStoppedException(
                $"No executor listens at {path}: {e.Message} Start it, look into its log for why it has ended, or set AWS_VPC_CNI_SOCKET to its socket.", e);
        }
        catch (IOException e)
        {
            throw new ExecutorStoppedException($"The executor at {path} has closed the connection without an answer: it is stopping, or this is not root. Its log says more.", e);
        }
        catch (OperationCanceledException e)
        {
            throw new ExecutorStoppedException($"The executor at {path} has not answered within {Deadline.TotalSeconds:0} s. Look into its log, and whether the machine is overloaded.", e);
        }
    }
}
