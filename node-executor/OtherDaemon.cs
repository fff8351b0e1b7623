using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.NodeExecutor;

/// <summary>amazon-vpc-cni-k8s's daemon: on one node two that give addresses give one twice.</summary>
internal static class OtherDaemon
{
    /// <summary>Where it lists what it can be asked, unless it is told otherwise (DISABLE_INTROSPECTION, INTROSPECTION_BIND_ADDRESS).</summary>
    private static readonly Uri Introspection = new("http://127.0.0.1:61679/");

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    /// <exception cref="ExecutorStoppedException">It runs on this node.</exception>
    internal static async Task RefuseAsync(TimeProvider time)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { MaxResponseContentBufferSize = 4096 };
        try
        {
            var said = await http.GetStringAsync(Introspection, deadline.Token);
            if (said.Contains("/v1/enis", StringComparison.Ordinal))
            {
                throw new ExecutorStoppedException($"amazon-vpc-cni-k8s's daemon (aws-node) runs on this node: it answers at {Introspection}. It gives pods the addresses that are given here. "
                    + "Keep its DaemonSet off this node (docs/install.md, 'From aws-node'), then start again.");
            }
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or InvalidOperationException) // The last: a text in no known alphabet.
        {
            // Nobody, or another program: nothing that is known of.
        }
    }
}
