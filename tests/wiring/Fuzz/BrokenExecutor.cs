using System.Buffers.Binary;
using System.Net.Sockets;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Tests.Wiring.Executor;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>An executor whose replies are cut off, too long, or none: the plugin prints a whole one as it is, and says by itself that there was none.
/// A STATUS that gets not a byte of one asks the next executor.</summary>
internal sealed class BrokenExecutor : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("fuzz-broken-");
    private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public BrokenExecutor()
    {
        listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        listener.Listen(8);
    }

    private string SocketPath => Path.Combine(folder.FullName, "executor.sock");

    /// <returns>What was replied, for people.</returns>
    public async Task<string> TryAsync(Random random, PluginExec plugin, string command)
    {
        var body = new byte[random.Next(200)];
        random.NextBytes(body);
        var whole = Frame.WriteReply(random.Next(256), body);
        var reply = whole;
        switch (random.Next(5))
        {
            case 0: reply = reply[..random.Next(reply.Length)]; break;
            case 1: BinaryPrimitives.WriteInt32LittleEndian(reply, random.One([-1, 0, 1, body.Length - 1, body.Length + 1, Frame.MaxReplyBodySize, Frame.MaxReplyBodySize + 1, int.MinValue, int.MaxValue])); break;
            case 2: BinaryPrimitives.WriteInt32LittleEndian(reply.AsSpan(4), random.One([-1, 256, int.MinValue, int.MaxValue, 1 << 8])); break;
            case 3: reply = [.. reply, .. reply]; break;
        }

        var takesRequest = random.Chance(0.9);
        var asksNext = command == "STATUS" && (!takesRequest || reply.Length == 0);
        var serving = ServeAsync(takesRequest ? reply : null, asksNext ? whole : null);
        var answer = plugin.Run([$"CNI_COMMAND={command}", "CNI_CONTAINERID=c", "CNI_IFNAME=eth0", "CNI_NETNS=", "AWS_VPC_CNI_SOCKET=" + SocketPath], Oddities.Bytes(PluginClient.Config));
        await serving;
        if (asksNext)
        {
            (reply, takesRequest) = (whole, true);
        }

        var length = reply.Length < Frame.ReplyHeaderSize ? uint.MaxValue : BinaryPrimitives.ReadUInt32LittleEndian(reply);
        if (takesRequest && length <= Frame.MaxReplyBodySize && reply.Length - Frame.ReplyHeaderSize >= length)
        {
            var code = BinaryPrimitives.ReadInt32LittleEndian(reply.AsSpan(4));
            Expect((code is >= 0 and <= 255 ? code : 1, System.Text.Encoding.Latin1.GetString(reply, Frame.ReplyHeaderSize, (int)length)) == (answer.ExitCode, answer.Output));
        }
        else
        {
            Expect(command == "DEL" ? answer is { ExitCode: 0, Output: "" } : CniAnswer.CodeOf(command, answer.ExitCode, Oddities.Bytes(answer.Output)) == (command == "STATUS" ? 50 : 11));
        }

        return $"{command} with reply {Oddities.Shown(reply)}";

        void Expect(bool holds)
        {
            if (!holds)
            {
                throw new FuzzException($"{command}: the reply {Oddities.Shown(reply)} became exit code {answer.ExitCode} with {Oddities.Shown(Oddities.Bytes(answer.Output))}");
            }
        }
    }

    public void Dispose()
    {
        listener.Dispose();
        folder.Delete(recursive: true);
    }

    /// <param name="reply">None: it does not even take the request.</param>
    /// <param name="next">Of the executor after it, if that is asked.</param>
    private async Task ServeAsync(byte[]? reply, byte[]? next)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        using (var connection = await listener.AcceptAsync(patience.Token))
        {
            if (reply is not null)
            {
                using var stream = new NetworkStream(connection);
                var header = new byte[Frame.RequestHeaderSize];
                await stream.ReadExactlyAsync(header, patience.Token);
                await stream.ReadExactlyAsync(new byte[Frame.ReadRequestHeader(header).Total], patience.Token);
                await stream.WriteAsync(reply, patience.Token);
            }
        }

        if (next is not null)
        {
            await ServeAsync(next, null);
        }
    }
}
