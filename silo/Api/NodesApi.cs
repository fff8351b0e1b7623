using AwsVpcCni.Grains.Node;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/api/v1/nodes</c>, as <c>ipam nodes</c>, and <c>/api/v1/nodes/ID</c>, as <c>ipam node ID</c>.</summary>
internal static class NodesApi
{
    /// <summary>Adds both.</summary>
    public static void MapNodes(this RouteGroupBuilder api)
    {
        api.MapRead("/nodes", async (HttpContext http, Recent<string[]> all, RecentNodes nodes) =>
        {
            var page = Page.Of(http.Request);
            var (ids, next) = page.Cut(http.Request, await all.ReadAsync(), id => id); // Only this page's nodes are asked.
            return new Tagged(new Part<NodeSummary>(await nodes.ReadAsync(ids), next));
        });
        api.MapRead("/nodes/{id}", async (HttpContext http, string id, ClusterViews views) =>
        {
            Page.Only(http.Request);
            return await views.NodeAsync(id) is { } node
                ? new Tagged(node)
                : OperatorApi.NotFound("no such node", $"{id} has not joined {views.VpcId}, or is retired. /api/v1/nodes lists the nodes.");
        });
    }
}
