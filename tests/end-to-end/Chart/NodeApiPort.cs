using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using AwsVpcCni.VpcEmulator.Fabric;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>A silo's node API, as whoever is in a node's network namespace reaches it: by HTTP/2 under TLS.</summary>
internal sealed class NodeApiPort(string netns, string address) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly HttpClient http = new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = IsSilos },
        ConnectCallback = async (_, cancellation) => await ConnectAsync(netns, address, cancellation),
    }) { BaseAddress = new Uri("https://silo:8440"), Timeout = Patience };

    /// <summary>The status of the answer to a call.</summary>
    public async Task<int> PostAsync(string path, string? token, byte[]? body = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body ?? "{}"u8.ToArray()), Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        using var answer = await http.SendAsync(request);
        return (int)answer.StatusCode;
    }

    /// <summary>Sends these bytes, inside of TLS, and reads until the silo has ended the connection.</summary>
    public async Task EndsAfterAsync(byte[] bytes)
    {
        using var deadline = new CancellationTokenSource(Patience);
        await using var tls = new SslStream(await ConnectAsync(netns, address, deadline.Token));
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "silo", ApplicationProtocols = [SslApplicationProtocol.Http2], RemoteCertificateValidationCallback = IsSilos }, deadline.Token);
        await tls.WriteAsync(bytes, deadline.Token);
        try
        {
            while (await tls.ReadAsync(new byte[4096], deadline.Token) > 0)
            {
                // Its settings, and that it goes away.
            }
        }
        catch (IOException)
        {
            // Reset, which ends it, too.
        }
    }

    public void Dispose() => http.Dispose();

    private static bool IsSilos(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) => certificate?.Subject == "CN=server";

    private static async Task<NetworkStream> ConnectAsync(string netns, string address, CancellationToken cancellation)
    {
        // A socket stays in the namespace in which it was made.
        var socket = NetworkNamespace.Run(netns, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        await socket.ConnectAsync(IPAddress.Parse(address), 8440, cancellation);
        return new NetworkStream(socket, ownsSocket: true);
    }
}
