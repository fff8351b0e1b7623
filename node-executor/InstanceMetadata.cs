namespace AwsVpcCni.NodeExecutor;

/// <summary>The instance metadata service (IMDSv2): who this machine is.</summary>
internal static class InstanceMetadata
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    /// <returns>The instance id; null when the service does not answer.</returns>
    internal static async Task<string?> InstanceIdAsync(Uri imds, TimeProvider time)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { MaxResponseContentBufferSize = 4096 };
        try
        {
            using var session = new HttpRequestMessage(HttpMethod.Put, new Uri(imds, "/latest/api/token"));
            session.Headers.Add("X-aws-ec2-metadata-token-ttl-seconds", "60");
            using var token = await http.SendAsync(session, deadline.Token);
            token.EnsureSuccessStatusCode();
            using var question = new HttpRequestMessage(HttpMethod.Get, new Uri(imds, "/latest/meta-data/instance-id"));
            question.Headers.Add("X-aws-ec2-metadata-token", await token.Content.ReadAsStringAsync(deadline.Token));
            using var answer = await http.SendAsync(question, deadline.Token);
            answer.EnsureSuccessStatusCode();
            return (await answer.Content.ReadAsStringAsync(deadline.Token)).Trim();
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or FormatException)
        {
            return null;
        }
    }
}
