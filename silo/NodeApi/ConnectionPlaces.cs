using System.Collections.Concurrent;
using System.Net;
using System.Threading.RateLimiting;
using AwsVpcCni.Silo.Options;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>How many connections each remote address has on the node API, and how often it may make one: one node, or whatever got hold of its network, leaves places and CPU for the others.</summary>
/// <remarks>Of its places a tenth, and 10 at least, may come at once, then a twentieth each second; whoever makes them faster waits with his handshake unread.</remarks>
internal sealed class ConnectionPlaces(IOptions<NodeApiOptions> options, NodeApiMetrics metrics, IHostApplicationLifetime lifetime) : IAsyncDisposable
{
    private readonly int _most = options.Value.ConnectionsPerAddress;
    private readonly PartitionedRateLimiter<IPAddress> _turns = PartitionedRateLimiter.Create<IPAddress, IPAddress>(address => RateLimitPartition.GetTokenBucketLimiter(address, _ => Bucket(options.Value.ConnectionsPerAddress)));
    private readonly ConcurrentDictionary<IPAddress, int> _open = new();

    /// <summary>Beyond its address's places a connection is closed before its handshake, and counted.</summary>
    public async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var address = (connection.RemoteEndPoint as IPEndPoint)?.Address ?? IPAddress.None;
        try
        {
            if (_open.AddOrUpdate(address, 1, (_, open) => open + 1) > _most)
            {
                metrics.Refused(NodeApiRefusal.TooManyConnections);
                return;
            }

            using var end = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed, lifetime.ApplicationStopping);
            using var turn = await _turns.AcquireAsync(address, 1, end.Token);
            connection.Features.Set(new Cost());
            if (turn.IsAcquired)
            {
                await next(connection);
            }
            else
            {
                metrics.Refused(NodeApiRefusal.TooManyConnections);
            }
        }
        catch (OperationCanceledException) when (connection.ConnectionClosed.IsCancellationRequested || lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // It did not wait for its turn, or the silo does not.
        }
        finally
        {
            if (_open.AddOrUpdate(address, 0, (_, open) => open - 1) == 0)
            {
                _open.TryRemove(KeyValuePair.Create(address, 0)); // Not if another has come meanwhile.
            }
        }
    }

    /// <summary>Ends a request's connection; its address waits ten turns for it, so that nobody gains by it that he may begin anew.</summary>
    public void End(HttpContext http)
    {
        if (http.Features.Get<Cost>()?.IsToBePaid() == true)
        {
            _turns.AcquireAsync(http.Connection.RemoteIpAddress ?? IPAddress.None, 10, CancellationToken.None).AsTask().Ignore();
        }

        http.Features.Get<IConnectionLifetimeFeature>()?.Abort();
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _turns.DisposeAsync();

    private static TokenBucketRateLimiterOptions Bucket(int most) => new()
    {
        TokenLimit = Math.Max(10, most / 10),
        TokensPerPeriod = Math.Max(1, most / 20),
        ReplenishmentPeriod = TimeSpan.FromSeconds(1),
        QueueLimit = Math.Max(10, most),
    };

    /// <summary>Of a connection's end: each of its requests may be the one that ends it, and it is paid once.</summary>
    private sealed class Cost
    {
        private int _asked;

        public bool IsToBePaid() => Interlocked.Exchange(ref _asked, 1) == 0;
    }
}
