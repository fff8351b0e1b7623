using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Serialization.Metadata;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Calls of a node's grain past its executor and its lease.</summary>
/// <remarks>Null: no grain has answered, but the door has refused. HttpRequestException: nobody is at the door.</remarks>
internal sealed class Calls(HttpClient http, Func<string, string> tokenOf)
{
    public Task<AssignReply?> AssignAsync(Uri door, string instanceId, AssignRequest request, CancellationToken cancellation) =>
        PostAsync(new Uri(door, "/node/v1/assign"), instanceId, request, NodeJson.Default.AssignRequest, NodeJson.Default.AssignReply, cancellation);

    public Task<ReleaseReply?> ReleaseAsync(Uri door, string instanceId, ReleaseRequest request, CancellationToken cancellation) =>
        PostAsync(new Uri(door, "/node/v1/release"), instanceId, request, NodeJson.Default.ReleaseRequest, NodeJson.Default.ReleaseReply, cancellation);

    public Task<NodeOrders?> SyncAsync(Uri door, string instanceId, NodeReport report, CancellationToken cancellation) =>
        PostAsync(new Uri(door, "/node/v1/sync"), instanceId, report, NodeJson.Default.NodeReport, NodeJson.Default.NodeOrders, cancellation);

    private async Task<TReply?> PostAsync<TRequest, TReply>(
        Uri call, string instanceId, TRequest body, JsonTypeInfo<TRequest> requestType, JsonTypeInfo<TReply> replyType, CancellationToken cancellation)
        where TReply : class
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, call)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = JsonContent.Create(body, requestType),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokenOf(instanceId));
        using var answer = await http.SendAsync(request, cancellation);
        return answer.StatusCode == HttpStatusCode.OK ? await answer.Content.ReadFromJsonAsync(replyType, cancellation) : null;
    }
}
