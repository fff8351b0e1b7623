using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/api/v1/addresses/IP?at=TIME</c>, as <c>ipam who</c>: which pod has an address, or had it.</summary>
internal static class AddressesApi
{
    /// <summary>Adds it.</summary>
    public static void MapAddresses(this RouteGroupBuilder api) => api.MapRead("/addresses/{ip}", async (HttpContext http, string ip, ClusterViews views, TimeProvider time) =>
    {
        Page.Only(http.Request, "at");
        var (address, at) = (Asked.Address(ip), Asked.Moment(http.Request.Query.TryGetValue("at", out var text) ? text.ToString() : null, "at", time.GetUtcNow()));
        return await views.WhoAsync(address, at) is { } holders
            ? new Tagged(holders)
            : OperatorApi.NotFound("no such address", $"{address} is in no subnet of {views.VpcId} and in no history. /api/v1/subnets lists the subnets.");
    });
}
