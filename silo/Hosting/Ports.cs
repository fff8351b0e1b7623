using System.Net;
using System.Net.Sockets;
using AwsVpcCni.Silo.Cli;
using AwsVpcCni.Silo.Options;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Hosting;

/// <summary>Whether the ports are our own.</summary>
internal static class Ports
{
    /// <summary>Tries each port before anything starts.</summary>
    /// <remarks>Orleans listens with SO_REUSEPORT: a second silo on its ports starts without an error, and the kernel deals
    /// their callers out between the two.</remarks>
    /// <exception cref="CommandException">Which are taken, and which setting to change.</exception>
    public static void EnsurePortsFree(this IServiceProvider parts, bool isEdge = false)
    {
        if (parts.LookAtPorts(isEdge).Select(port => port.Why).OfType<string>().ToList() is { Count: > 0 } errors)
        {
            throw new CommandException(errors);
        }
    }

    /// <summary>Each port with its setting and where it would listen; and why it cannot, which is null when it can.</summary>
    /// <param name="isEdge">The doors' only.</param>
    public static IEnumerable<(string Setting, string Where, string? Why)> LookAtPorts(this IServiceProvider parts, bool isEdge = false)
    {
        var door = parts.GetRequiredService<IOptions<NodeApiOptions>>().Value;
        var http = parts.GetRequiredService<IOptions<HttpOptions>>().Value;
        var silo = parts.GetRequiredService<IOptions<SiloNetworkOptions>>().Value;
        (string Setting, string Address, int Port)[] all =
        [
            ("NodeApi:Port", door.Address, door.Port), ("Http:Port", http.Address, http.Port), ("Silo:Port", silo.Address, silo.Port), ("Silo:GatewayPort", $"{silo.GatewayAddress()}", silo.GatewayPort),
        ];
        return all.Take(isEdge ? 2 : all.Length).Select(port => (port.Setting, $"{port.Address} port {port.Port}", WhyTaken(port.Setting, port.Address, port.Port)));
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
