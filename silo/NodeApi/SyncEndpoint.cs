using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary><c>POST /node/v1/sync</c>. Renews the node's hint stream too, so that a new activation of the grain knows it.</summary>
internal static class SyncEndpoint
{
    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder door) => door.MapPost("/sync", (HttpContext http, NodeCalls calls, HintStreams streams) =>
        calls.AnswerAsync(http, NodeJson.Default.NodeReport, NodeJson.Default.NodeOrders, async (node, report) =>
        {
            await streams.RenewAsync(NodeTokens.InstanceId(http.User)!, node);
            return await node.SyncAsync(report);
        })).WithMetadata(Bodies.OfSyncs);
}
