using System.Collections.Immutable;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/v1/switches</c> and <c>/v1/switches/TARGET</c>: what operators let be changed in EC2, for one node, one subnet or all; read and changed at run time.</summary>
/// <remarks>Of one version with the policy (<see cref="PolicyApi"/>), and on loopback only as that.</remarks>
internal static class SwitchesApi
{
    /// <summary>Adds both.</summary>
    public static void MapSwitches(this IEndpointRouteBuilder routes)
    {
        var local = LocalDoor.Map(routes);
        local.MapGet("/v1/switches", (HttpContext http, Caller caller) => caller.ReadAsync(http));
        local.MapPut("/v1/switches/{target}", (HttpContext http, string target, Caller caller) => caller.SwitchAsync(http, target));
    }

    private static IResult Show(HttpContext http, ClusterPolicies policies)
    {
        http.Response.Headers.ETag = $"\"{policies.Version}\"";
        return Results.Json(new Shown(policies.Version, policies.Switches ?? [], policies.Last), ViewJson.Dense);
    }

    /// <summary>What an answer shows.</summary>
    internal sealed record Shown(long Version, ImmutableArray<OperatorSwitch> Switches, PolicyNote? LastChange);

    /// <summary>The calls behind both paths.</summary>
    /// <param name="follower">Of this silo; null at an edge.</param>
    internal sealed class Caller(ClusterViews views, Recent<ClusterPolicies> recent, TimeProvider time, PolicyFollower? follower = null)
    {
        /// <summary>What holds.</summary>
        public Task<IResult> ReadAsync(HttpContext http) => LocalDoor.GuardedAsync(async () => Show(http, await recent.ReadAsync().WaitAsync(http.RequestAborted)));

        /// <summary>A change of just the version that the caller has read.</summary>
        public Task<IResult> SwitchAsync(HttpContext http, string target) => LocalDoor.GuardedAsync(async () =>
        {
            if (LocalDoor.VersionOf(http.Request) is var (expected, refusal) && refusal is not null)
            {
                return refusal;
            }

            var body = await SwitchBody.ReadAsync(http.Request.Body, http.RequestAborted);
            await views.CheckTargetAsync(target, body.Mode).WaitAsync(LocalDoor.CallDeadline, time, http.RequestAborted);
            recent.Forget(); // As for the policy.
            var (isDone, now) = await views.SwitchAsync(new SwitchChange(expected, target, body.Mode, body.Who, body.Why)).WaitAsync(LocalDoor.CallDeadline, time, http.RequestAborted);
            recent.Forget();
            follower?.Follow(now);
            return isDone
                ? Show(http, now)
                : LocalDoor.Problem(StatusCodes.Status412PreconditionFailed, "changed meanwhile", $"Policy and switches have version {now.Version}, by {now.Last?.Who ?? "nobody"}; yours is for {expected}. Read it again.");
        });
    }
}
