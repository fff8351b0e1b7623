using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Connections;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>How many connections each remote address has on the node API: one node, or whatever got hold of its network, leaves places for the others.</summary>
/// <param name="most">Of one address; beyond it a connection is closed before its handshake, and counted.</param>
internal sealed class ConnectionPlaces(int most, NodeApiMetrics metrics)
{
    private readonly ConcurrentDictionary<IPAddress, int> _open = new();

    public async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var address = (connection.RemoteEndPoint as IPEndPoint)?.Address ?? IPAddress.None;
        try
        {
            if (_open.AddOrUpdate(address, 1, (_, open) => open + 1) > most)
            {
                metrics.Refused(NodeApiRefusal.TooManyConnections);
                return;
            }

            await next(connection);
        }
        finally
        {
            if (_open.AddOrUpdate(address, 0, (_, open) => open - 1) == 0)
            {
                _open.TryRemove(KeyValuePair.Create(address, 0)); // Not if another has come meanwhile.
            }
        }
    }
}
