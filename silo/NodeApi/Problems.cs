using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>Refusals of the node API, all of one form.</summary>
internal static class Problems
{
    /// <summary>Answers with a <see cref="NodeProblem"/>.</summary>
    /// <param name="title">What is wrong, in a few words.</param>
    /// <param name="detail">Which, and what to do.</param>
    public static Task WriteAsync(HttpContext http, int status, string title, string detail)
    {
        http.Response.StatusCode = status;
        return http.Response.WriteAsJsonAsync(
            new NodeProblem(title, detail, status), NodeJson.Default.NodeProblem, "application/problem+json", http.RequestAborted);
    }
}
