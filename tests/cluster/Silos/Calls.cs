using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Calls of a node's grain past its executor and its lease.</summary>
internal sealed class Calls(HttpClient http, Func<string, string> tokenOf)
{
    /// <returns>Null: no grain has answered, but the door has refused.</returns>
    /// <exception cref="HttpRequestException">Nobody is at the door.</exception>
    public async Task<AssignReply?> AssignAsync(Uri door, string instanceId, AssignRequest body, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(door, "/node/v1/assign"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = JsonContent.Create(body, NodeJson.Default.AssignRequest),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokenOf(instanceId));
        using var answer = await http.SendAsync(request, cancellation);
        return answer.StatusCode == HttpStatusCode.OK ? await answer.Content.ReadFromJsonAsync(NodeJson.Default.AssignReply, cancellation) : null;
    }
}
