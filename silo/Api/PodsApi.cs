using AwsVpcCni.Grains.Node;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/api/v1/pods?waiting</c>, as <c>ipam pods --waiting</c>: those that have waited longest.</summary>
internal static class PodsApi
{
    /// <summary>Adds it.</summary>
    public static void MapPods(this RouteGroupBuilder api) => api.MapRead("/pods", async (HttpContext http, Recent<WaitingPod[]> recent) =>
    {
        Page.Only(http.Request, "waiting", "limit");
        var limit = Page.LimitOf(http.Request);
        if (!http.Request.Query.TryGetValue("waiting", out var waiting) || waiting.ToString() is not ("" or "true"))
        {
            throw new BadQuestionException("Only the pods that wait are listed: ask for /api/v1/pods?waiting. /api/v1/nodes/ID has a node's pods.");
        }

        var all = await recent.ReadAsync();
        return new Tagged(new WaitingPods([.. all.Take(limit)], all.Length));
    });

    /// <summary>Their order changes from moment to moment, so there are no further pages.</summary>
    /// <param name="Items">Those that have waited longest come first.</param>
    /// <param name="Total">How many wait.</param>
    private sealed record WaitingPods(WaitingPod[] Items, int Total);
}
