using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using AwsVpcCni.VpcEmulator.Fabric;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The silo's HTTP API as an operator on its machine uses it: it listens on loopback, in the silo's namespace.</summary>
internal sealed class PolicyDoor : IDisposable
{
    public const string OfCluster = "/v1/policy";

    private readonly HttpClient http;

    public PolicyDoor(string netns, int port)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
            {
                // A socket stays in the namespace in which it was made.
                var socket = NetworkNamespace.Run(netns, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
                await socket.ConnectAsync(IPAddress.Loopback, port, cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        http = new HttpClient(handler) { BaseAddress = new Uri("http://localhost"), Timeout = TimeSpan.FromSeconds(10) };
    }

    /// <summary>Changes it as an operator does: reads it, and names the version that was read.</summary>
    /// <param name="policy">Null: what the settings say holds again.</param>
    public async Task SetAsync(object? policy, string path = OfCluster)
    {
        using var read = await http.GetAsync(path);
        var (status, said) = policy is null
            ? await SendAsync(HttpMethod.Delete, path, read.Headers.ETag?.Tag, new { who = "a test", why = "its next step" })
            : await SendAsync(HttpMethod.Put, path, read.Headers.ETag?.Tag, new { policy, who = "a test", why = "its next step" });
        if (status != HttpStatusCode.OK)
        {
            throw new InvalidOperationException($"{path}: {status}: {said}");
        }
    }

    /// <summary>What holds.</summary>
    public async Task<JsonElement> ReadAsync(string path = OfCluster) => await http.GetFromJsonAsync<JsonElement>(path);

    /// <summary>One request as it is written.</summary>
    /// <param name="body">An object, or text for what is no JSON.</param>
    public async Task<(HttpStatusCode Status, string Said)> SendAsync(HttpMethod method, string path, string? ifMatch, object body)
    {
        using var request = new HttpRequestMessage(method, path)
        {
            Content = body is string text ? new StringContent(text, new MediaTypeHeaderValue("application/json")) : JsonContent.Create(body),
        };
        if (ifMatch is not null)
        {
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        }

        using var answer = await http.SendAsync(request);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    public void Dispose() => http.Dispose();
}
