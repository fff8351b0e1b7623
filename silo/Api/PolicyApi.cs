using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Options;
using Orleans.Storage;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/v1/policy</c> and <c>/v1/nodes/ID/policy</c>: what nodes should hold, read and changed at run time.</summary>
/// <remarks>The version is the ETag; a change must name the version that it has read (If-Match), so that no operator undoes another's
/// change unseen. On the health port, which listens on loopback.</remarks>
internal static class PolicyApi
{
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5);
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Adds both.</summary>
    public static void MapPolicy(this IEndpointRouteBuilder routes)
    {
        foreach (var path in (string[])["/v1/policy", "/v1/nodes/{instanceId}/policy"])
        {
            routes.MapGet(path, (HttpContext http, Caller caller) => caller.ReadAsync(http));
            routes.MapPut(path, (HttpContext http, Caller caller) => caller.ChangeAsync(http, takesAway: false));
            routes.MapDelete(path, (HttpContext http, Caller caller) => caller.ChangeAsync(http, takesAway: true));
        }
    }

    /// <summary>What a change brings.</summary>
    /// <param name="Policy">The whole policy; what is left out has its default.</param>
    /// <param name="Who">Is behind it.</param>
    /// <param name="Why">For those who read it later.</param>
    internal sealed record Body(PoolOptions? Policy, string? Who, string? Why);

    /// <summary>What an answer shows.</summary>
    /// <param name="Source">node, cluster or settings: where the policy is set.</param>
    internal sealed record Shown(long Version, string Source, PoolPolicy Policy, PolicyNote? LastChange);

    /// <summary>The calls behind both paths.</summary>
    internal sealed class Caller(IGrainFactory grains, ClusterSettings settings, PolicyFollower follower, TimeProvider time)
    {
        private IClusterGrain Cluster => grains.GetGrain<IClusterGrain>(settings.ClusterName);

        /// <summary>What holds.</summary>
        public Task<IResult> ReadAsync(HttpContext http) => GuardedAsync(async () => Show(http, await Cluster.ReadAsync().WaitAsync(CallDeadline, time, http.RequestAborted)));

        /// <summary>A change of just the version that the caller has read.</summary>
        public Task<IResult> ChangeAsync(HttpContext http, bool takesAway) => GuardedAsync(async () =>
        {
            if (Version(http) is not { } expected)
            {
                return Problem(StatusCodes.Status428PreconditionRequired, "If-Match is missing", "Read the policy first, and send its ETag as If-Match, such as If-Match: \"3\".");
            }

            var body = await http.Request.ReadFromJsonAsync<Body>(Json, http.RequestAborted);
            if (body is not { Who.Length: > 0, Why.Length: > 0 } || (body.Policy is null) != takesAway)
            {
                return Problem(StatusCodes.Status400BadRequest, "incomplete", takesAway
                    ? "Send {\"who\":\"...\",\"why\":\"...\"}." : "Send {\"policy\":{\"warmIps\":2},\"who\":\"...\",\"why\":\"...\"}.");
            }

            if (body.Policy is { } wanted && new PoolOptionsValidator().Validate(null, wanted) is { Failed: true } refused)
            {
                return Problem(StatusCodes.Status400BadRequest, "refused", string.Join(' ', refused.Failures!));
            }

            var change = new PolicyChange(expected, (string?)http.Request.RouteValues["instanceId"], body.Policy?.ToPolicy(), body.Who, body.Why);
            var (isDone, now) = await Cluster.ChangeAsync(change).WaitAsync(CallDeadline, time, http.RequestAborted);
            follower.Follow(now);
            return isDone
                ? Show(http, now)
                : Problem(StatusCodes.Status412PreconditionFailed, "changed meanwhile", $"The policy has version {now.Version}, by {now.Last?.Who ?? "nobody"}; yours is for {expected}. Read it again.");
        });

        private static long? Version(HttpContext http) =>
            long.TryParse(http.Request.Headers.IfMatch.ToString().Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var version) ? version : null;

        private IResult Show(HttpContext http, ClusterPolicies policies)
        {
            follower.Follow(policies);
            http.Response.Headers.ETag = $"\"{policies.Version}\"";
            var node = http.Request.RouteValues["instanceId"] is string id ? policies.Nodes.GetValueOrDefault(id) : null;
            return Results.Json(new Shown(policies.Version, node is not null ? "node" : policies.Pool is not null ? "cluster" : "settings", node ?? settings.Pool, policies.Last), Json);
        }

        private static async Task<IResult> GuardedAsync(Func<Task<IResult>> call)
        {
            try
            {
                return await call();
            }
            catch (Exception e) when (e is JsonException or BadHttpRequestException or InvalidOperationException)
            {
                return Problem(StatusCodes.Status400BadRequest, "no such policy", e.Message);
            }
            catch (Exception e) when (e is TimeoutException or StoreException or InconsistentStateException or OrleansException)
            {
                return Problem(StatusCodes.Status503ServiceUnavailable, "not now", $"{e.Message} Read the policy to see whether it has changed, then try again.");
            }
        }

        private static IResult Problem(int status, string title, string detail) => Results.Problem(detail, statusCode: status, title: title);
    }
}
