using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using AwsVpcCni.Benchmarks.StoreCost;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.Benchmarks.Flood;

/// <summary>One node's token in bad hands: reports of 8 MB, hint streams and ADDs, each on many streams of several connections and again as soon as there is an answer. With no connections it computes all the same.</summary>
internal static class NodeFlood
{
    private const int Streams = 100; // Of a connection.
    private static readonly TimeSpan OneStream = TimeSpan.FromMilliseconds(100);

    /// <summary>Until the input ends; then the counts go to the output.</summary>
    /// <param name="connections">A third of them for each kind.</param>
    public static async Task RunAsync(string token, int connections)
    {
        using var stop = new CancellationTokenSource();
        var (report, assign) = (Report(), JsonSerializer.SerializeToUtf8Bytes(new AssignRequest(new Stamp(1, 1), new SandboxKey("flood", "eth0"), new PodName("default", "flood", "u"), []), NodeJson.Default.AssignRequest));
        var counts = new long[3];
        var kinds = new Func<HttpRequestMessage>[] { () => Post("sync", report), () => Post("assign", assign), () => new HttpRequestMessage(HttpMethod.Get, new Uri(StoreBenchmark.Door, "node/v1/hints")) };
        var clients = kinds.SelectMany(kind => Enumerable.Range(0, connections / kinds.Length).Select(_ => (Kind: kind, Http: new HttpClient(new SocketsHttpHandler { EnableMultipleHttp2Connections = false, ConnectCallback = ConnectAsync })))).ToArray();
        var all = Task.WhenAll(clients.SelectMany(client => Enumerable.Range(0, Streams).Select(_ => Task.Run(() => FloodAsync(client.Http, client.Kind, token, counts, stop.Token)))));
        for (var core = 0; connections == 0 && core < Environment.ProcessorCount; core++)
        {
            new Thread(() =>
            {
                while (!stop.IsCancellationRequested)
                {
                    Thread.SpinWait(1000);
                }
            }).Start();
        }

        while (await Console.In.ReadLineAsync() is not null)
        {
            // Whatever is said there.
        }

        await stop.CancelAsync();
        await all;
        Array.ForEach(clients, client => client.Http.Dispose());
        Console.WriteLine(JsonSerializer.Serialize(new FloodCounts(counts[0], counts[1], counts[2])));
    }

    private static async Task FloodAsync(HttpClient http, Func<HttpRequestMessage> kind, string token, long[] counts, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                using var request = kind();
                request.Version = HttpVersion.Version20;
                request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
                using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
                Interlocked.Increment(ref counts[answer.IsSuccessStatusCode ? 0 : 1]);
                if (request.Method == HttpMethod.Get)
                {
                    await Task.Delay(OneStream, stop);
                }
            }
            catch (HttpRequestException)
            {
                Interlocked.Increment(ref counts[2]);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>From an address that no other node has.</summary>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.99"), 0));
            await socket.ConnectAsync(context.DnsEndPoint, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static HttpRequestMessage Post(string call, byte[] body) => new(HttpMethod.Post, new Uri(StoreBenchmark.Door, $"node/v1/{call}"))
    {
        Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
    };

    /// <summary>With all that a silo takes of ended assignments.</summary>
    private static byte[] Report()
    {
        var pod = new PodName(new string('n', 63), new string('p', 253), Guid.Empty.ToString());
        return JsonSerializer.SerializeToUtf8Bytes(
            new NodeReport
            {
                Stamp = new Stamp(1, 1), SettledNumber = 0, LeaseVersion = 0, Leased = [], Claims = [], Waiting = [], Freed = [], InterfacesSetUp = [],
                Ended = [.. Enumerable.Range(0, NodeLease.MaxEnded).Select(number => new EndedAssignment(new SandboxKey($"{number:x64}", "eth0"), Ip.Parse("10.30.0.1"), new Stamp(1, number), 1)
                {
                    Had = new EndedClaim(pod, new Stamp(1, number), 1),
                })],
            }, NodeJson.Default.NodeReport);
    }
}
