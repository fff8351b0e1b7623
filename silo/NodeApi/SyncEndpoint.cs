using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary><c>POST /node/v1/sync</c>. Renews the node's hint stream too, so that a new activation of the grain knows it.</summary>
internal static class SyncEndpoint
{
    /// <summary>Of a node's reports, in the long run, in each of its two places. The largest report (<see cref="Bodies.OfSyncs"/>), which an executor sends once after an outage, keeps one for 8 s; the other is there for what it says next.</summary>
    private const double BytesPerSecond = 1 << 20;

    private const int Small = 100_000; // Bytes: what a node with hundreds of pods reports while nothing is wrong.

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder door) => door.MapPost("/sync", async (HttpContext http, NodeCalls calls, HintStreams streams, IHostApplicationLifetime lifetime) =>
    {
        var body = new CountedBody(http.Request.Body);
        http.Request.Body = body;
        await calls.AnswerAsync(http, NodeJson.Default.NodeReport, NodeJson.Default.NodeOrders, async (node, report) =>
        {
            await streams.RenewAsync(NodeTokens.InstanceId(http.User)!, node);
            return await node.SyncAsync(report);
        });
        if (body.Count > Small)
        {
            await http.Response.CompleteAsync();
            await Task.Delay(TimeSpan.FromSeconds(body.Count / BytesPerSecond), lifetime.ApplicationStopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // Until then the request counts as under way.
        }
    }).WithMetadata(Bodies.OfSyncs);
}
