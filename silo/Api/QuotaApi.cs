using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/api/v1/quota</c>, as <c>ipam quota</c>: the budget of EC2 calls, an action each.</summary>
internal static class QuotaApi
{
    /// <summary>Adds it.</summary>
    public static void MapQuota(this RouteGroupBuilder api) => api.MapRead("/quota", async (HttpContext http, ClusterViews views) =>
    {
        Page.Only(http.Request);
        return await views.QuotaAsync() is { } actions
            ? new Tagged(actions)
            : OperatorApi.NotFound("no budget here", "This edge does not know the account's region. Set Ec2__Region (and Ec2__AccountId) as for the silos, or ask a silo.");
    });
}
