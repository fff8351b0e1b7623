using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary><c>POST /node/v1/release</c>.</summary>
internal static class ReleaseEndpoint
{
    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder door) => door.MapPost("/release", (HttpContext http, NodeCalls calls) =>
        calls.AnswerAsync(http, NodeJson.Default.ReleaseRequest, NodeJson.Default.ReleaseReply, (node, request) => node.ReleaseAsync(request))).WithMetadata(Bodies.OfOtherCalls);
}
