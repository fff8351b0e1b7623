using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using AwsVpcCni.VpcEmulator.Fabric;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>A silo's node API, as whoever is in a node's network namespace reaches it: by HTTP/2 under TLS.</summary>
internal sealed class NodeApiPort(string netns, string address) : IDisposable
{
    private readonly HttpClient http = new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=server" },
        ConnectCallback = async (_, cancellation) =>
        {
            // A socket stays in the namespace in which it was made.
            var socket = NetworkNamespace.Run(netns, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            await socket.ConnectAsync(IPAddress.Parse(address), 8440, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    }) { BaseAddress = new Uri("https://silo:8440"), Timeout = TimeSpan.FromSeconds(10) };

    /// <summary>The status of the answer to a call.</summary>
    public async Task<int> PostAsync(string path, string? token, byte[]? body = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body ?? "{}"u8.ToArray()), Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        using var answer = await http.SendAsync(request);
        return (int)answer.StatusCode;
    }

    public void Dispose() => http.Dispose();
}
