using System.Collections.Immutable;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/api/v1/subnets</c>, as <c>ipam subnets</c>, and <c>/api/v1/subnets/ID</c>.</summary>
internal static class SubnetsApi
{
    /// <summary>In the list; one subnet is told with all.</summary>
    private const int LargestHolders = 10;

    /// <summary>Adds both.</summary>
    public static void MapSubnets(this RouteGroupBuilder api)
    {
        api.MapRead("/subnets", async (HttpContext http, Recent<SubnetSummary[]> recent) =>
        {
            var page = Page.Of(http.Request);
            var (items, next) = page.Cut(http.Request, await recent.ReadAsync(), subnet => subnet.SubnetId);
            return new Tagged(new Part<SubnetSummary>([.. items.Select(Short)], next));
        });
        api.MapRead("/subnets/{id}", async (HttpContext http, string id, ClusterViews views) =>
        {
            Page.Only(http.Request);
            return await views.SubnetAsync(id) is { } subnet
                ? new Tagged(subnet)
                : OperatorApi.NotFound("no such subnet", $"{id} is no subnet of {views.VpcId} as EC2 was last read. /api/v1/subnets lists them.");
        });
    }

    private static SubnetSummary Short(SubnetSummary subnet)
    {
        var largest = subnet.LargestHolders(LargestHolders).ToImmutableSortedDictionary(StringComparer.Ordinal);
        return subnet with { Holders = largest, ToldAt = subnet.ToldAt?.Where(one => largest.ContainsKey(one.Key)).ToImmutableSortedDictionary(StringComparer.Ordinal) };
    }
}
