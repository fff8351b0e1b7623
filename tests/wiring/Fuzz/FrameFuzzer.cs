using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.NodeExecutor.Cni;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>A plugin's end of the executor's socket: frames cut off, doubled, with wrong lengths, in pieces, with descriptors where none belong, by a peer
/// that goes away or stays and says nothing.</summary>
/// <remarks>Checked: the executor serves just the requests that are whole, each as it was sent; the others get the defined error or an end of
/// the connection, at the latest after its deadline; no descriptor stays open; the next valid request is served.</remarks>
internal sealed partial class FrameFuzzer : Fuzzer
{
    private static readonly TimeSpan TransferDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("fuzz-");
    private readonly FakeTimeProvider time = new();
    private readonly SafeFileHandle given = File.OpenHandle("/etc/passwd"); // Its length can be asked.
    private readonly CancellationTokenSource stop = new();
    private readonly PluginSocket socket;
    private readonly Task running;
    private volatile PluginReply answer = PluginReply.Nothing;
    private readonly ConcurrentQueue<Served> served = new();
    private readonly List<byte[]> gone = []; // Whole requests of peers that did not wait: they may be served, whenever.

    public FrameFuzzer()
    {
        socket = PluginSocket.Listen(SocketPath, time, NullLogger.Instance, (request, _) =>
        {
            served.Enqueue(new Served(request.Environment.ToArray(), request.Stdin.ToArray(), request.Netns is { } netns ? RandomAccess.GetLength(netns) : -1));
            return Task.FromResult(answer);
        });
        running = socket.RunAsync(TimeSpan.FromSeconds(10), stop.Token);
    }

    private enum End
    {
        /// <summary>Reads what comes until the executor closes.</summary>
        Reads,

        /// <summary>Says that nothing more comes, and reads.</summary>
        HalfCloses,

        /// <summary>Has gone before anything comes.</summary>
        GoesAway,
    }

    private string SocketPath => Path.Combine(folder.FullName, "executor.sock");

    public override async Task TryAsync(Random random)
    {
        var (environment, stdin) = (Filled(random, Frame.MaxEnvironmentSize), Filled(random, Frame.MaxStdinSize));
        var isUntouched = random.Chance(0.2);
        var sent = Frame.WriteRequest(environment, stdin);
        if (!isUntouched)
        {
            sent = Broken(random, sent);
        }

        var end = isUntouched ? End.Reads : random.One([End.Reads, End.HalfCloses, End.GoesAway]);
        var cuts = Enumerable.Range(0, random.Next(4)).Select(_ => random.Chance(0.5) ? random.Next(20) : random.Next(sent.Length + 1)).Where(cut => cut > 0 && cut < sent.Length).Distinct().Order().ToArray();
        var descriptors = isUntouched ? 1 : random.One([0, 0, 1, 1, 2, 4, 5, 8, 64]);
        var withPiece = isUntouched || cuts.Length == 0 || random.Chance(0.7) ? 0 : random.Next(cuts.Length + 1);
        // A long one is for peers that read it: one that goes on writing instead is cut off at the executor's deadline, with half a reply.
        answer = new PluginReply(random.Next(3), isUntouched && random.Chance(0.1) ? new byte[random.Next(Frame.MaxReplyBodySize + 1)] : new byte[random.Next(200)]);
        Input = $"{end}, {descriptors} descriptors with piece {withPiece}, pieces at {string.Join(' ', cuts)}, untouched {isUntouched}\n{Oddities.Shown(sent)}";

        var error = Refusal(sent);
        var isWhole = error is null && sent.Length >= Frame.RequestHeaderSize && sent.Length >= Frame.RequestHeaderSize + Frame.ReadRequestHeader(sent).Total;
        var reply = await AskAsync(sent, cuts, withPiece, descriptors, end, isAnswered: isWhole || error is not null);
        if (end is End.GoesAway)
        {
            if (isWhole)
            {
                gone.Add(sent);
            }

            return;
        }

        Check(isWhole ? reply.AsSpan().SequenceEqual(Frame.WriteReply(answer.ExitCode, answer.Body)) : error is null ? reply.Length == 0 : CodeOf(reply) == (int)error, $"another reply than expected ({error}): {Oddities.Shown(reply)}");
        var own = 0;
        while (served.TryDequeue(out var request))
        {
            if (isWhole && request.IsOf(sent))
            {
                own++;
                Check(withPiece > 0 || request.Netns >= 0 == descriptors > 0, $"{descriptors} descriptors came with the first byte, and the request has {(request.Netns >= 0 ? "one" : "none")}");
            }
            else
            {
                Check(gone.Find(request.IsOf) is { } late && gone.Remove(late), $"served, and nobody sent it: {Oddities.Shown(request.Environment)}");
            }
        }

        Check(own == (isWhole ? 1 : 0), $"served {own} times");
    }

    /// <summary>Also when requests that are not whole are still there: none outlives the executor's deadline.</summary>
    public override async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        var ended = running;
        while (!ended.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(ended, Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System));
        }

        await ended;
        socket.Dispose();
        stop.Dispose();
        given.Dispose();
        folder.Delete(recursive: true);
        await base.DisposeAsync();
    }

    private static byte[] Filled(Random random, int most)
    {
        var bytes = new byte[random.Chance(0.01) ? random.One([most, most - 1, 65_536]) : random.Next(400)];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] Broken(Random random, byte[] whole)
    {
        var bytes = whole.ToArray();
        switch (random.Next(8))
        {
            case 0: return bytes[..random.Next(bytes.Length + 1)];
            case 1: return bytes[..random.Next(Frame.RequestHeaderSize + 2)];
            case 2: return [.. bytes, .. bytes[..random.Next(1, bytes.Length + 1)]];
            case 3: BinaryPrimitives.WriteUInt32LittleEndian(bytes, random.One<uint>([0u, Frame.Magic + (1 << 24), 0x41564331, uint.MaxValue, (uint)random.Next()])); return bytes;
            case 4: return Oddities.Damaged(random, bytes);
            case 5: return [];
            default:
                var length = random.One<uint>([0u, 1, (uint)bytes.Length, (uint)bytes.Length - 12, Frame.MaxEnvironmentSize, Frame.MaxEnvironmentSize + 1, Frame.MaxStdinSize, Frame.MaxStdinSize + 1, int.MaxValue, 0x8000_0000, uint.MaxValue, (uint)random.Next(500)]);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(random.One([4, 8])), length);
                return bytes;
        }
    }

    private static CniErrorCode? Refusal(byte[] sent)
    {
        try
        {
            _ = sent.Length < Frame.RequestHeaderSize ? default : Frame.ReadRequestHeader(sent);
            return null;
        }
        catch (CniException e)
        {
            return e.Error.Code;
        }
    }

    private static int CodeOf(byte[] reply)
    {
        Check(reply.Length > Frame.ReplyHeaderSize && BinaryPrimitives.ReadInt32LittleEndian(reply) == reply.Length - Frame.ReplyHeaderSize, $"no whole reply: {Oddities.Shown(reply)}");
        return CniAnswer.CodeOf("ADD", BinaryPrimitives.ReadInt32LittleEndian(reply.AsSpan(4)), reply.AsMemory(Frame.ReplyHeaderSize));
    }

    private async Task<byte[]> AskAsync(byte[] sent, int[] cuts, int withPiece, int descriptors, End end, bool isAnswered)
    {
        using var plugin = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        plugin.Connect(new UnixDomainSocketEndPoint(SocketPath));
        try
        {
            int[] borders = [0, .. cuts, sent.Length];
            for (var piece = 0; piece < borders.Length - 1; piece++)
            {
                await SendAsync(plugin, sent.AsMemory(borders[piece]..borders[piece + 1]), piece == withPiece ? descriptors : 0);
                await Task.Yield();
            }

            if (end is End.GoesAway)
            {
                return [];
            }

            if (end is End.HalfCloses)
            {
                plugin.Shutdown(SocketShutdown.Send);
            }
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.Shutdown or SocketError.ConnectionReset)
        {
            // It has refused the beginning, and closed.
        }

        return await ReadAllAsync(plugin, isAnswered);
    }

    /// <summary>Until the executor closes. Where no answer is due its time goes on: a peer that says nothing more costs it no more than its deadline.</summary>
    private async Task<byte[]> ReadAllAsync(Socket plugin, bool isAnswered)
    {
        using var all = new MemoryStream();
        var buffer = new byte[64 * 1024];
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            var reading = plugin.ReceiveAsync(buffer, patience.Token).AsTask();
            while (!isAnswered && !reading.IsCompleted)
            {
                await Task.WhenAny(reading, Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System));
                time.Advance(TransferDeadline / 2);
            }

            try
            {
                var got = await reading;
                if (got == 0)
                {
                    return all.ToArray();
                }

                all.Write(buffer, 0, got);
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset)
            {
                return all.ToArray(); // It closes without having read all.
            }
        }
    }

    private async Task SendAsync(Socket plugin, ReadOnlyMemory<byte> piece, int descriptors)
    {
        var sent = descriptors == 0 ? 0 : SendWith(plugin, piece.Span, descriptors);
        while (sent < piece.Length)
        {
            sent += await plugin.SendAsync(piece[sent..], SocketFlags.None);
        }
    }

    private unsafe int SendWith(Socket plugin, ReadOnlySpan<byte> bytes, int descriptors)
    {
        fixed (byte* start = bytes)
        {
            var part = stackalloc nint[2] { (nint)start, bytes.Length };
            var length = 16 + (descriptors * sizeof(int));
            var control = stackalloc int[(length / sizeof(int)) + 2];
            (*(nint*)control, control[2], control[3]) = (length, 1, 1); // SOL_SOCKET, SCM_RIGHTS.
            for (var n = 0; n < descriptors; n++)
            {
                control[4 + n] = (int)given.DangerousGetHandle();
            }

            var message = stackalloc nint[7] { 0, 0, (nint)part, 1, (nint)control, length, 0 };
            const int MSG_NOSIGNAL = 0x4000, MSG_DONTWAIT = 0x40;
            return Math.Max(0, (int)SendMsg(plugin.SafeHandle, message, MSG_NOSIGNAL | MSG_DONTWAIT));
        }
    }

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static unsafe partial nint SendMsg(SafeHandle socket, nint* message, int flags);

    /// <param name="Netns">0 for a descriptor that could be asked, -1 for none.</param>
    private sealed record Served(byte[] Environment, byte[] Stdin, long Netns)
    {
        public bool IsOf(byte[] sent)
        {
            var size = Frame.ReadRequestHeader(sent);
            return size.Environment == Environment.Length && sent.AsSpan(Frame.RequestHeaderSize, size.Total).SequenceEqual([.. Environment, .. Stdin]);
        }
    }
}
