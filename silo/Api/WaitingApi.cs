using System.Text.Json;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/v1/waiting</c> and <c>/v1/nodes/ID/waiting</c>: the pods that wait for an address, each with its reason. On the health port, which listens on loopback unless Http:Address says otherwise.</summary>
internal static class WaitingApi
{
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5);
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>Adds both.</summary>
    public static void MapWaiting(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/waiting", (IGrainFactory grains, ClusterSettings settings, TimeProvider time, CancellationToken gone) => AnswerAsync(null, grains, settings, time, gone));
        routes.MapGet("/v1/nodes/{instanceId}/waiting", AnswerAsync);
    }

    private static async Task<IResult> AnswerAsync(string? instanceId, IGrainFactory grains, ClusterSettings settings, TimeProvider time, CancellationToken gone)
    {
        try
        {
            var known = await grains.GetGrain<IVpcGrain>(settings.VpcId).NodesAsync().WaitAsync(CallDeadline, time, gone);
            if (instanceId is not null && !known.Contains(instanceId))
            {
                return Results.Problem($"{instanceId} has never joined {settings.VpcId}. 'ipam nodes' lists the nodes.", statusCode: StatusCodes.Status404NotFound, title: "no such node");
            }

            var asked = instanceId is null ? known : [instanceId];
            var waiting = await Task.WhenAll(asked.Select(id => grains.GetGrain<INodeGrain>(id).WaitingAsync())).WaitAsync(CallDeadline, time, gone);
            return Results.Json(waiting.SelectMany(pods => pods).OrderByDescending(pod => pod.WaitedSeconds), Json);
        }
        catch (Exception e) when (e is TimeoutException or StoreException or OrleansException)
        {
            return Results.Problem($"{e.Message} Ask again.", statusCode: StatusCodes.Status503ServiceUnavailable, title: "not now");
        }
    }
}
