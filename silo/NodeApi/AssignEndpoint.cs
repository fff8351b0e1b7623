using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary><c>POST /node/v1/assign</c>.</summary>
internal static class AssignEndpoint
{
    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder door) => door.MapPost("/assign", (HttpContext http, NodeCalls calls) =>
        calls.AnswerAsync(http, NodeJson.Default.AssignRequest, NodeJson.Default.AssignReply, (node, request) => node.AssignAsync(request))).WithMetadata(Bodies.OfOtherCalls);
}
