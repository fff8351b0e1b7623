using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using AwsVpcCni.VpcEmulator.Fabric;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>A silo's health port, as each process in its node's network namespace reaches it.</summary>
/// <param name="netns">The path of that namespace.</param>
/// <param name="address">Null: loopback.</param>
internal sealed class HealthPort(string netns, string? address = null) : IDisposable
{
    private readonly HttpClient http = new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            // A socket stays in the namespace in which it was made.
            var socket = NetworkNamespace.Run(netns, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            await socket.ConnectAsync(address is null ? IPAddress.Loopback : IPAddress.Parse(address), 8441, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    }) { BaseAddress = new Uri("http://localhost"), Timeout = TimeSpan.FromSeconds(10) };

    /// <summary>The status of the answer.</summary>
    public async Task<int> AskAsync(string method, string path, string? token)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        using var answer = await http.SendAsync(request);
        return (int)answer.StatusCode;
    }

    /// <summary>What is answered; it must be an answer.</summary>
    public async Task<string> ReadAsync(string path, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        using var answer = await http.SendAsync(request);
        return await answer.EnsureSuccessStatusCode().Content.ReadAsStringAsync();
    }

    public void Dispose() => http.Dispose();
}
