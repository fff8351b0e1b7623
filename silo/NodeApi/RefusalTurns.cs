using System.Net;
using System.Threading.RateLimiting;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>How fast each remote address is told that it is refused: whoever asks again as soon as there is an answer, whatever it is, takes no more of the silo than these turns.</summary>
internal sealed class RefusalTurns(NodeApiMetrics metrics, ConnectionPlaces places, IHostApplicationLifetime lifetime) : IAsyncDisposable
{
    private static readonly TokenBucketRateLimiterOptions s_bucket = new()
    {
        TokenLimit = Bodies.OfOtherCalls.AtOnce, // An executor whose token is over is told so for each ADD that waits, so that it asks the next silo.
        TokensPerPeriod = 100,
        ReplenishmentPeriod = TimeSpan.FromSeconds(1),
        QueueLimit = 1000, // 45 kB each, measured by 4,000 that waited in `make bench-flood`.
        QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
    };

    private readonly PartitionedRateLimiter<IPAddress> _turns = PartitionedRateLimiter.Create<IPAddress, IPAddress>(address => RateLimitPartition.GetTokenBucketLimiter(address, _ => s_bucket));

    /// <summary>Counts the refusal and writes it when its turn has come. Where its address has as many waiting as it may, the connection ends instead.</summary>
    public async Task RefuseAsync(HttpContext http, NodeApiRefusal reason, int status, string title, string detail)
    {
        metrics.Refused(reason);
        try
        {
            // A caller that takes its stream back keeps its place: else it would get round the turns by that.
            using var turn = await _turns.AcquireAsync(http.Connection.RemoteIpAddress ?? IPAddress.None, 1, lifetime.ApplicationStopping);
            if (!turn.IsAcquired)
            {
                places.End(http);
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // The silo stops, and nobody waits for turns any more.
        }

        await Problems.WriteAsync(http, status, title, detail);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _turns.DisposeAsync();
}
