using System.Net;
using System.Net.Sockets;
using AwsVpcCni.Silo.Cli;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>Whether the silo's ports are its own.</summary>
internal static class Ports
{
    /// <summary>Tries each port before anything starts.</summary>
    /// <remarks>Orleans listens with SO_REUSEPORT: a second silo on its ports starts without an error, and the kernel deals
    /// their callers out between the two.</remarks>
    /// <exception cref="CommandException">Which are taken, and which setting to change.</exception>
    public static void EnsurePortsFree(this IServiceProvider parts)
    {
        var door = parts.GetRequiredService<IOptions<NodeApiOptions>>().Value;
        var http = parts.GetRequiredService<IOptions<HttpOptions>>().Value;
        var silo = parts.GetRequiredService<IOptions<SiloNetworkOptions>>().Value;
        var taken = new[]
        {
            WhyTaken("NodeApi:Port", door.Address, door.Port), WhyTaken("Http:Port", http.Address, http.Port),
            WhyTaken("Silo:Port", silo.Address, silo.Port), WhyTaken("Silo:GatewayPort", "127.0.0.1", silo.GatewayPort),
        };
        if (taken.OfType<string>().ToList() is { Count: > 0 } errors)
        {
            throw new CommandException(errors);
        }
    }

    private static string? WhyTaken(string setting, string address, int port)
    {
        using var socket = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Parse(address), port));
            return null;
        }
        catch (SocketException e)
        {
            return $"{setting}: cannot listen on {address} port {port} ({e.Message}). Stop the program that does (`ss -ltnp` names it), or change {setting.Replace(":", "__", StringComparison.Ordinal)}.";
        }
    }
}
