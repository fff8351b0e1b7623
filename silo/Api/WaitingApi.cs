using System.Text.Json;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/v1/waiting</c> and <c>/v1/nodes/ID/waiting</c>: the pods that wait for an address, each with its reason. On the health port.</summary>
internal static class WaitingApi
{
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5);
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>Adds both.</summary>
    public static void MapWaiting(this IEndpointRouteBuilder routes)
    {
        var readers = routes.MapGroup("").RequireRateLimiting(ReadersPolicy.Name);
        readers.MapGet("/v1/waiting", (ClusterViews views, Recent<WaitingPod[]> recent, TimeProvider time, CancellationToken gone) => AnswerAsync(null, views, recent, time, gone));
        readers.MapGet("/v1/nodes/{instanceId}/waiting", AnswerAsync);
    }

    private static async Task<IResult> AnswerAsync(string? instanceId, ClusterViews views, Recent<WaitingPod[]> recent, TimeProvider time, CancellationToken gone)
    {
        try
        {
            var waiting = await (instanceId is null ? AllAsync() : views.WaitingAsync(instanceId)).WaitAsync(CallDeadline, time, gone);
            return waiting is null
                ? Results.Problem($"{instanceId} has never joined {views.VpcId}. 'ipam nodes' lists the nodes.", statusCode: StatusCodes.Status404NotFound, title: "no such node")
                : Results.Json(waiting, Json);
        }
        catch (Exception e) when (e is TimeoutException or StoreException or OrleansException)
        {
            return Results.Problem($"{e.Message} Ask again.", statusCode: StatusCodes.Status503ServiceUnavailable, title: "not now");
        }

        async Task<WaitingPod[]?> AllAsync() => await recent.ReadAsync();
    }
}
