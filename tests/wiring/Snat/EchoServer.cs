using System.Net;
using System.Net.Sockets;
using System.Text;
using AwsVpcCni.VpcEmulator.Fabric;

namespace AwsVpcCni.Tests.Wiring.Snat;

/// <summary>Says to whoever asks, by TCP or UDP, which address he has from here.</summary>
internal sealed class EchoServer : IDisposable
{
    public const int Port = 7777;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Impatience = TimeSpan.FromMilliseconds(700); // For an answer that should not come.

    private readonly Socket tcp;
    private readonly Socket udp;

    public EchoServer(string path)
    {
        tcp = NetworkNamespace.Listen(path, new IPEndPoint(IPAddress.Any, Port));
        udp = NetworkNamespace.Run(path, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        udp.Bind(new IPEndPoint(IPAddress.Any, Port));
        _ = ServeTcpAsync();
        _ = ServeUdpAsync();
    }

    /// <summary>Asks from inside a namespace.</summary>
    /// <returns>What the server says; null: no answer.</returns>
    public static async Task<string?> AskAsync(string path, string protocol, IPAddress to, int port = Port, bool expected = true)
    {
        using var patience = new CancellationTokenSource(expected ? Patience : Impatience);
        using var socket = NetworkNamespace.Run(path, () => protocol == "tcp"
            ? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        var answer = new byte[64];
        try
        {
            await socket.ConnectAsync(new IPEndPoint(to, port), patience.Token);
            await socket.SendAsync("?"u8.ToArray(), patience.Token);
            return Encoding.ASCII.GetString(answer, 0, await socket.ReceiveAsync(answer, patience.Token));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        tcp.Dispose();
        udp.Dispose();
    }

    private static byte[] Text(EndPoint who) => Encoding.ASCII.GetBytes(((IPEndPoint)who).Address.ToString());

    private async Task ServeTcpAsync()
    {
        try
        {
            while (true)
            {
                using var one = await tcp.AcceptAsync();
                await one.SendAsync(Text(one.RemoteEndPoint!));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The end.
        }
    }

    private async Task ServeUdpAsync()
    {
        var buffer = new byte[64];
        try
        {
            while (true)
            {
                var one = await udp.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                await udp.SendToAsync(Text(one.RemoteEndPoint), one.RemoteEndPoint);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The end.
        }
    }
}
