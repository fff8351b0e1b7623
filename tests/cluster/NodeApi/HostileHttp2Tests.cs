using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using AwsVpcCni.Core.Contracts;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.NodeApi;

/// <summary>Bytes that no good client sends to the executors' door: the connection ends or stands still, no grain is called, and other nodes are served.</summary>
public sealed class HostileHttp2Tests
{
    private const byte Data = 0, Headers = 1, Reset = 3, Settings = 4, Ping = 6, Continuation = 9;
    private const byte EndStream = 1, EndHeaders = 4;
    private const int MostSent = 32 << 20; // Past this nothing has stopped it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Stall = TimeSpan.FromSeconds(10);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("random bytes")]
    [InlineData("a frame of 16 MiB")]
    [InlineData("data of no stream")]
    [InlineData("headers that do not end")]
    [InlineData("headers that are no HPACK")]
    [InlineData("a stream with an even number")]
    [InlineData("streams that are reset as soon as they are open")]
    public async Task The_connection_is_ended(string what)
    {
        await using var door = await Door.OpenAsync();
        using var connection = await ConnectAsync(door);

        var sent = await SendUntilItEndsAsync(connection, what, door.Token());

        Assert.True(sent < MostSent, $"{sent} bytes were taken");
        await OthersAreServedAsync(door);
    }

    [Theory]
    [InlineData("pings")]
    [InlineData("settings")]
    public async Task Whoever_asks_and_does_not_read_the_answers_is_not_read_from_any_more(string what)
    {
        await using var door = await Door.OpenAsync();
        using var connection = await ConnectAsync(door);
        await connection.SendAsync(Preface, Cancellation);
        var block = Enumerable.Repeat(what == "pings" ? Frame(Ping, 0, 0, new byte[8]) : Frame(Settings, 0, 0, []), 1000).SelectMany(bytes => bytes).ToArray();

        var sent = 0;
        for (; sent < MostSent; sent += block.Length)
        {
            using var stall = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            stall.CancelAfter(Stall);
            try
            {
                await connection.SendAsync(block, stall.Token);
            }
            catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !Cancellation.IsCancellationRequested))
            {
                break;
            }
        }

        Assert.True(sent < MostSent, $"{sent} bytes were taken");
        await OthersAreServedAsync(door);
    }

    [Fact]
    public async Task An_address_has_so_many_connections_and_others_have_theirs()
    {
        await using var door = await Door.OpenAsync(_ => [("NodeApi:ConnectionsPerAddress", "2")]);
        using (var first = await ConnectAsync(door))
        {
            using var second = await ConnectAsync(door);
            Assert.True(await IsServedAsync(first) && await IsServedAsync(second));
            using var beyond = await ConnectAsync(door);
            using var other = await ConnectAsync(door, IPAddress.Parse("127.0.0.2"));

            Assert.False(await IsServedAsync(beyond));
            Assert.True(await IsServedAsync(other));
            Assert.Contains("refused_node_calls_total{reason=\"TooManyConnections\"} 1", door.Metrics(), StringComparison.Ordinal);
        }

        for (var began = Stopwatch.GetTimestamp(); ;)
        {
            using var later = await ConnectAsync(door);
            if (await IsServedAsync(later))
            {
                break;
            }

            Assert.True(Stopwatch.GetElapsedTime(began) < Patience, "places of connections that have ended stay taken");
        }
    }

    [Fact]
    public async Task A_body_that_comes_a_byte_a_second_is_not_waited_for()
    {
        await using var door = await Door.OpenAsync();
        using var connection = await ConnectAsync(door);
        await connection.SendAsync(Preface, Cancellation);
        await connection.SendAsync(Frame(Headers, EndHeaders, 1, Call(door.Token(), length: 1000)), Cancellation);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var sending = SendSlowlyAsync();

        Assert.True(await EndsAsync(connection, frame => frame is (Reset, 1)), "the call is waited for");
        await stop.CancelAsync();
        await sending;
        await OthersAreServedAsync(door);

        async Task SendSlowlyAsync()
        {
            try
            {
                while (true)
                {
                    await connection.SendAsync(Frame(Data, 0, 1, [(byte)' ']), stop.Token);
                    await Task.Delay(TimeSpan.FromSeconds(1), stop.Token);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException)
            {
                // It has been told.
            }
        }
    }

    /// <returns>How much was sent until the connection ended.</returns>
    private static async Task<int> SendUntilItEndsAsync(Socket connection, string what, string token)
    {
        var (sent, ended) = (0, EndsAsync(connection, _ => false));
        try
        {
            await SendAsync(what == "random bytes" ? [.. Enumerable.Range(0, 4096).Select(at => (byte)(at * 37))] : Preface);
            for (var stream = 1; sent < MostSent && !ended.IsCompleted; stream += 2)
            {
                switch (what)
                {
                    case "a frame of 16 MiB":
                        await SendAsync([0xff, 0xff, 0xff, Data, 0, 0, 0, 0, 1, .. new byte[1024]]);
                        break;
                    case "data of no stream":
                        await SendAsync(Frame(Data, 0, 0, new byte[100]));
                        break;
                    case "headers that do not end":
                        await SendAsync(stream == 1 ? Frame(Headers, EndStream, 1, Call(token)) : Frame(Continuation, 0, 1, Field($"x-{stream}", new string('x', 16_000))));
                        break;
                    case "headers that are no HPACK":
                        await SendAsync(Frame(Headers, EndHeaders, stream, [.. Enumerable.Repeat((byte)0xff, 100)]));
                        break;
                    case "a stream with an even number":
                        await SendAsync(Frame(Headers, EndHeaders, stream + 1, Call(token)));
                        break;
                    case "streams that are reset as soon as they are open":
                        await SendAsync([.. Frame(Headers, EndHeaders, stream, Call(token, length: 1000)), .. Frame(Reset, 0, stream, [0, 0, 0, 8])]);
                        break;
                    default:
                        await Task.Delay(100, Cancellation);
                        break;
                }
            }
        }
        catch (SocketException)
        {
            // It has ended.
        }

        Assert.True(await ended, "it is still open");
        return sent;

        async Task SendAsync(byte[] bytes) => sent += await connection.SendAsync(bytes, Cancellation);
    }

    /// <summary>Reads until the connection ends, or a frame comes that is waited for.</summary>
    private static async Task<bool> EndsAsync(Socket connection, Func<(byte Kind, int Stream), bool> isIt)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        patience.CancelAfter(Patience);
        await using var stream = new NetworkStream(connection, ownsSocket: false);
        try
        {
            var head = new byte[9];
            while (true)
            {
                await stream.ReadExactlyAsync(head, patience.Token);
                await stream.ReadExactlyAsync(new byte[(head[0] << 16) | (head[1] << 8) | head[2]], patience.Token);
                if (isIt((head[3], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)))))
                {
                    return true;
                }
            }
        }
        catch (IOException)
        {
            return true;
        }
        catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
        {
            return false;
        }
    }

    private static async Task OthersAreServedAsync(Door door)
    {
        Assert.Empty(door.Calls);
        using var reply = await door.SendAsync(HttpMethod.Post, "node/v1/sync", JsonContent.Create(NodeApiTests.Report, NodeJson.Default.NodeReport), door.Token("i-0fedcba9876543210"));
        Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
    }

    /// <summary>Whether the door says its settings, rather than to end the connection.</summary>
    private static async Task<bool> IsServedAsync(Socket connection)
    {
        try
        {
            await connection.SendAsync(Preface, Cancellation);
            return await connection.ReceiveAsync(new byte[64], Cancellation) > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static async Task<Socket> ConnectAsync(Door door, IPAddress? from = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Bind(new IPEndPoint(from ?? IPAddress.Loopback, 0));
        await socket.ConnectAsync(IPAddress.Loopback, door.Url.Port, Cancellation);
        return socket;
    }

    private static byte[] Preface => [.. Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), .. Frame(Settings, 0, 0, [])];

    /// <summary>As RFC 9113 has it: 24 bits of length, type, flags, stream.</summary>
    private static byte[] Frame(byte kind, byte flags, int stream, byte[] payload)
    {
        var head = new byte[9];
        BinaryPrimitives.WriteInt32BigEndian(head, payload.Length << 8);
        (head[3], head[4]) = (kind, flags);
        BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(5), stream);
        return [.. head, .. payload];
    }

    /// <summary>A sync's header block.</summary>
    private static byte[] Call(string token, int length = 0) =>
        [.. Field(":method", "POST"), .. Field(":scheme", "http"), .. Field(":authority", "silo"), .. Field(":path", "/node/v1/sync"), .. Field("authorization", "Bearer " + token),
            .. Field("content-type", "application/json"), .. Field("content-length", $"{length}")];

    /// <summary>RFC 7541: literal, not indexed, with a name of its own, no Huffman.</summary>
    private static byte[] Field(string name, string value) => [0, .. Text(name), .. Text(value)];

    private static byte[] Text(string text)
    {
        List<byte> bytes = [(byte)Math.Min(text.Length, 127)];
        for (var rest = text.Length - 127; rest >= 0; rest >>= 7)
        {
            bytes.Add((byte)((rest & 127) | (rest > 127 ? 128 : 0)));
            if (rest <= 127)
            {
                break;
            }
        }

        return [.. bytes, .. Encoding.ASCII.GetBytes(text)];
    }
}
