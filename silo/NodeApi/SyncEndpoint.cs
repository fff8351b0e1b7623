using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary><c>POST /node/v1/sync</c>. Renews the node's hint stream too, so that a new activation of the grain knows it.</summary>
internal static class SyncEndpoint
{
    /// <summary>Of a node's reports, in the long run, in each of its two places. The largest report (<see cref="Bodies.OfSyncs"/>), which an executor sends once after an outage, keeps one for 8 s; the other is there for what it says next.</summary>
    private const double BytesPerSecond = 1 << 20;

    private static readonly TimeSpan Least = TimeSpan.FromMilliseconds(1);

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder door) => door.MapPost("/sync", async (HttpContext http, NodeCalls calls, HintStreams streams, IHostApplicationLifetime lifetime) =>
    {
        var body = new CountedBody(http.Request.Body);
        http.Request.Body = body;
        var isAsked = false;
        try
        {
            await calls.AnswerAsync(http, NodeJson.Default.NodeReport, NodeJson.Default.NodeOrders, async (node, report) =>
            {
                isAsked = true;
                await streams.RenewAsync(NodeTokens.InstanceId(http.User)!, node);
                return await node.SyncAsync(report);
            });
        }
        finally
        {
            // What the grain did not answer in time is sent again at once; a body that did not come in time is not the silo's failure.
            var rest = TimeSpan.FromSeconds(body.Count / BytesPerSecond);
            if (rest > Least && (!isAsked || http.Response.StatusCode < StatusCodes.Status500InternalServerError))
            {
                await http.Response.CompleteAsync();
                await Task.Delay(rest, lifetime.ApplicationStopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // Until then the request counts as under way.
            }
        }
    }).WithMetadata(Bodies.OfSyncs);
}
