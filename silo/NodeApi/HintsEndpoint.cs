namespace AwsVpcCni.Silo.NodeApi;

/// <summary><c>GET /node/v1/hints</c>: server-sent events, each <c>sync</c>, which say that a sync would bring news.</summary>
internal static class HintsEndpoint
{
    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder door) => door.MapGet("/hints", (HttpContext http, NodeCalls calls, HintStreams streams) =>
        TypedResults.ServerSentEvents(streams.ReadAsync(NodeTokens.InstanceId(http.User)!, calls.CallerOf(http), http.RequestAborted)));
}
