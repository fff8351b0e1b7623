using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using AwsVpcCni.Core.Contracts;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.NodeApi;

/// <summary>What somebody gains who asks again as soon as he has been refused: turns of his own address, and in the end no connection. Others are served meanwhile.</summary>
public sealed class FloodTests
{
    private const string Attacker = "127.0.0.99", Other = "127.0.0.98";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly NodeReport Report = new() { Stamp = new Stamp(1, 1), SettledNumber = 0, LeaseVersion = 0, Leased = [], Claims = [], Waiting = [], Freed = [], Ended = [], InterfacesSetUp = [] };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Refusals_beyond_1100_at_once_come_by_turns_of_their_address()
    {
        await using var door = await Door.OpenAsync();
        using var attacker = From(Attacker);
        using var other = From(Other);
        var began = Stopwatch.GetTimestamp();
        var refused = Enumerable.Range(0, 1400).Select(_ => StatusAsync(attacker, door, null)).ToArray();
        await Task.WhenAll(refused.Take(1));

        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(other, door, null));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(other, door, door.Token()));
        var before = refused.Count(one => one.IsCompleted);
        Assert.All(await Task.WhenAll(refused).WaitAsync(Patience, Cancellation), status => Assert.Equal(HttpStatusCode.Unauthorized, status));

        Assert.InRange(before, 1, 1399);
        Assert.True(Stopwatch.GetElapsedTime(began) > TimeSpan.FromSeconds(2.5), "300 of them came faster than a hundred a second");
    }

    [Fact]
    public async Task Whose_refusals_are_too_many_to_wait_loses_connections_and_waits_for_the_next()
    {
        await using var door = await Door.OpenAsync(_ => [("NodeApi:ConnectionsPerAddress", "20")]);
        using var other = From(Other);
        HttpClient[] attackers = [.. Enumerable.Range(0, 10).Select(_ => From(Attacker))]; // As many as may come at once.
        try
        {
            // More than may wait, however slowly they come: each asks again until a connection has ended.
            var cut = new TaskCompletionSource<HttpClient>();
            var asking = attackers.SelectMany(attacker => Enumerable.Range(0, 200).Select(async _ =>
            {
                while (!cut.Task.IsCompleted)
                {
                    var status = await StatusAsync(attacker, door, null);
                    Assert.True(status is HttpStatusCode.Unauthorized or null, $"{status}");
                    if (status is null)
                    {
                        cut.TrySetResult(attacker);
                    }
                }
            })).ToArray();
            var again = await cut.Task.WaitAsync(Patience, Cancellation);
            var began = Stopwatch.GetTimestamp();
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(other, door, door.Token()));
            while (await StatusAsync(again, door, door.Token("i-0fedcba9876543210")) is null)
            {
                Assert.True(Stopwatch.GetElapsedTime(began) < Patience, "it never may again");
                await Task.Delay(TimeSpan.FromMilliseconds(100), Cancellation);
            }

            Assert.True(Stopwatch.GetElapsedTime(began) > TimeSpan.FromSeconds(5), "it had a new connection at once");
            await Task.WhenAll(asking).WaitAsync(Patience, Cancellation);
        }
        finally
        {
            Array.ForEach(attackers, one => one.Dispose());
        }
    }

    [Fact]
    public async Task Connections_come_by_turns_of_their_address()
    {
        await using var door = await Door.OpenAsync(_ => [("NodeApi:ConnectionsPerAddress", "100")]);
        using var other = From(Other);
        var began = Stopwatch.GetTimestamp();
        HttpClient[] attackers = [.. Enumerable.Range(0, 20).Select(_ => From(Attacker))];
        try
        {
            var all = attackers.Select((one, number) => StatusAsync(one, door, door.Token($"i-{number:x17}"))).ToArray();
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(other, door, door.Token("i-0fedcba9876543210")));
            Assert.All(await Task.WhenAll(all).WaitAsync(Patience, Cancellation), status => Assert.Equal(HttpStatusCode.OK, status));

            Assert.True(Stopwatch.GetElapsedTime(began) > TimeSpan.FromSeconds(1.5), "10 of them came faster than five a second");
        }
        finally
        {
            Array.ForEach(attackers, one => one.Dispose());
        }
    }

    [Fact]
    public async Task A_large_report_holds_its_place_for_a_second_for_each_MiB_and_the_other_place_is_there_for_small_ones()
    {
        await using var door = await Door.OpenAsync();
        using var node = From(Other);
        var began = Stopwatch.GetTimestamp();

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(node, door, door.Token(), padding: 8 << 20));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(node, door, door.Token()));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(node, door, door.Token(), padding: 8 << 20));
        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync(node, door, door.Token()));
        while (await StatusAsync(node, door, door.Token()) is HttpStatusCode.TooManyRequests)
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < Patience, "the places stay taken");
            await Task.Delay(TimeSpan.FromMilliseconds(50), Cancellation);
        }

        Assert.True(Stopwatch.GetElapsedTime(began) > TimeSpan.FromSeconds(7.8), "a place was there at once");
    }

    /// <summary>Of a sync; null: no answer came.</summary>
    /// <param name="padding">Bytes that the report has besides.</param>
    private static async Task<HttpStatusCode?> StatusAsync(HttpClient http, Door door, string? token, int padding = 0)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(door.Url, "node/v1/sync"))
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StringContent(JsonSerializer.Serialize(Report, NodeJson.Default.NodeReport) + new string(' ', padding), new MediaTypeHeaderValue("application/json")),
        };
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        try
        {
            using var answer = await http.SendAsync(request, Cancellation);
            return answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    private static HttpClient From(string address) => new(new SocketsHttpHandler
    {
        EnableMultipleHttp2Connections = false,
        ConnectCallback = async (context, cancellation) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
            await socket.ConnectAsync(context.DnsEndPoint, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });
}
