using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Views;

namespace AwsVpcCni.Silo.Api;

/// <summary><c>/v1/policy</c>, the same with <c>?label=KEY=VALUE</c>, and <c>/v1/nodes/ID/policy</c>: what all nodes, those with a label, or one should hold, read and changed at run time.</summary>
/// <remarks>The version is the ETag; a change must name the version that it has read (If-Match), so that no operator undoes another's
/// change unseen. On the health port, and on loopback only; who is asking is asked by <see cref="Reviews"/>.</remarks>
internal static partial class PolicyApi
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Adds both.</summary>
    public static void MapPolicy(this IEndpointRouteBuilder routes)
    {
        var local = LocalDoor.Map(routes);
        foreach (var path in (string[])["/v1/policy", "/v1/nodes/{instanceId}/policy"])
        {
            local.MapGet(path, (HttpContext http, Caller caller) => caller.ReadAsync(http));
            local.MapPut(path, (HttpContext http, Caller caller) => caller.ChangeAsync(http, takesAway: false));
            local.MapDelete(path, (HttpContext http, Caller caller) => caller.ChangeAsync(http, takesAway: true));
        }
    }

    [GeneratedRegex("^i-[0-9a-f]{8,17}$")]
    private static partial Regex InstanceId();

    /// <summary>What an answer shows.</summary>
    /// <param name="Source">node, label, cluster or settings: where the policy is set.</param>
    /// <param name="Label">Of a node whose policy it has by a label: which.</param>
    /// <param name="Labels">Those that have a policy; told where no node is asked for.</param>
    /// <param name="Policy">Null at an edge when the silos' settings hold: it does not know them.</param>
    internal sealed record Shown(long Version, string Source, PoolPolicy? Policy, PolicyNote? LastChange, string? Label = null, string[]? Labels = null);

    /// <summary>The calls behind both paths.</summary>
    /// <param name="follower">Of this silo; null at an edge, which has no grain that follows.</param>
    internal sealed class Caller(IGrainFactory grains, ClusterSettings settings, Recent<ClusterPolicies> recent, TimeProvider time, NodePolicies? ofNodes = null, PolicyFollower? follower = null)
    {
        /// <summary>What holds.</summary>
        public Task<IResult> ReadAsync(HttpContext http) => GuardedAsync(http, async () => Show(http, await recent.ReadAsync().WaitAsync(http.RequestAborted)));

        /// <summary>A change of just the version that the caller has read.</summary>
        public Task<IResult> ChangeAsync(HttpContext http, bool takesAway) => GuardedAsync(http, async () =>
        {
            if (LocalDoor.VersionOf(http.Request) is var (expected, refusal) && refusal is not null)
            {
                return refusal;
            }

            var (body, errors) = await PolicyBody.ReadAsync(http.Request.Body, takesAway, http.RequestAborted);
            if (body is null)
            {
                return LocalDoor.Problem(StatusCodes.Status400BadRequest, "refused", string.Join(' ', errors));
            }

            var change = new PolicyChange(expected, TargetOf(http.Request), body.Policy?.ToPolicy(), body.Who, body.Why);
            var cluster = grains.GetGrain<IClusterGrain>(settings.ClusterName);
            PolicyBound.Check(await cluster.ReadAsync().WaitAsync(LocalDoor.CallDeadline, time, http.RequestAborted), change);
            recent.Forget(); // Also when nobody hears how it ended.
            var (isDone, now) = await cluster.ChangeAsync(change).WaitAsync(LocalDoor.CallDeadline, time, http.RequestAborted);
            recent.Forget(); // What was read meanwhile may be of before.
            follower?.Follow(now);
            return isDone
                ? Show(http, now)
                : LocalDoor.Problem(StatusCodes.Status412PreconditionFailed, "changed meanwhile", $"The policy has version {now.Version}, by {now.Last?.Who ?? "nobody"}; yours is for {expected}. Read it again.");
        });

        private IResult Show(HttpContext http, ClusterPolicies policies)
        {
            http.Response.Headers.ETag = $"\"{policies.Version}\"";
            var ofAll = new Shown(policies.Version, policies.Pool is not null ? "cluster" : "settings", follower is null ? policies.Pool : settings.Pool, policies.Last);
            if (TargetOf(http.Request) is not { } asked)
            {
                string[] labels = [.. PolicyLabels.In(policies.Nodes)];
                return Results.Json(ofAll with { Labels = labels is [] ? null : labels }, Json);
            }

            // For a label its own policy alone: a node that bears it may have another one. For a node what holds, in the network that it has.
            var isLabel = PolicyLabels.IsTarget(asked);
            var source = ofNodes is not null ? ofNodes.SourceOf(asked, policies.Nodes) : policies.Nodes.ContainsKey(asked) ? asked : null;
            var shown = source is null ? ofAll : ofAll with { Source = PolicyLabels.IsTarget(source) ? "label" : "node", Policy = policies.Nodes[source], Label = PolicyLabels.LabelOf(source) };
            return Results.Json(isLabel || follower is null || ofNodes is null ? shown : shown with { Policy = ofNodes.Of(settings.Pool, policies.Nodes).GetValueOrDefault(asked) ?? shown.Policy }, Json);
        }

        /// <summary>Whose policy is asked for; null: that of all.</summary>
        private static string? TargetOf(HttpRequest request) =>
            (string?)request.RouteValues["instanceId"] ?? (request.Query["label"] is [{ Length: > 0 } label] ? PolicyLabels.TargetOf(label) : null);

        private static Task<IResult> GuardedAsync(HttpContext http, Func<Task<IResult>> call) => LocalDoor.GuardedAsync(() => http.Request.RouteValues["instanceId"] is string id && !InstanceId().IsMatch(id)
            ? Task.FromResult(LocalDoor.Problem(StatusCodes.Status400BadRequest, "no such node", $"{id} is no instance id, such as i-0123456789abcdef0."))
            : http.Request.Query.ContainsKey("label") && TargetOf(http.Request) is null
            ? Task.FromResult(LocalDoor.Problem(StatusCodes.Status400BadRequest, "no such label", $"{http.Request.Query["label"]} is no label with its value, such as eks.amazonaws.com/nodegroup=gpu."))
            : call());
    }
}
