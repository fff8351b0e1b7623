using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Security;
using System.Net.ServerSentEvents;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>The node API over HTTP/2: cleartext with prior knowledge for http addresses, TLS for https.</summary>
public sealed class HttpNodeApi : INodeApi, IDisposable
{
    private const int MaxReplyBytes = 4 * 1024 * 1024; // Some ten thousand addresses.

    // Above the 1.5 s that a door gives its grain, below the 2 s that our callers give us: a silo that takes requests and says nothing is found out here.
    private static readonly TimeSpan SilentAfter = TimeSpan.FromMilliseconds(1750);

    private readonly SiloList silos;
    private readonly TokenFile token;
    private readonly TimeProvider time;
    private readonly HttpClient http;

    /// <param name="silos">In the order of liking; none: <see cref="Follow"/> names them.</param>
    /// <param name="tokenPath">File with the bearer token.</param>
    /// <param name="caPath">PEM of the authority that signs the silos' certificates; null: the machine's own.</param>
    public HttpNodeApi(IReadOnlyList<Uri> silos, string tokenPath, string? caPath, TimeProvider time)
        : this(silos, tokenPath, caPath, time, connect: null)
    {
    }

    /// <summary>The same from another network namespace.</summary>
    /// <param name="connect">Makes the connections; null: this process does.</param>
    internal HttpNodeApi(
        IReadOnlyList<Uri> silos, string tokenPath, string? caPath, TimeProvider time, Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>>? connect)
    {
        (this.silos, token, this.time) = (new SiloList(silos, time), new TokenFile(tokenPath), time);
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ConnectCallback = connect,
            ConnectTimeout = TimeSpan.FromSeconds(1),
            // A silo whose machine has vanished resets nothing; the hint stream would never end.
            KeepAlivePingDelay = TimeSpan.FromSeconds(5),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(2),
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        };
        if (caPath is not null)
        {
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = TrustOnly(caPath) };
        }

        http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxReplyBytes };
    }

    /// <summary>The name that the silos' certificate must be for, where they are known by address; null: each one's own.</summary>
    internal string? HostName { get; init; }

    /// <summary>Whether no silo answered the last call, or none is known.</summary>
    internal bool IsLost => silos.IsLost;

    /// <summary>These are the silos from now on.</summary>
    internal void Follow(IReadOnlyList<Uri> found) => silos.Replace(found);

    /// <inheritdoc/>
    public string? Silo => silos.Last?.ToString();

    /// <inheritdoc/>
    public Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation) =>
        PostAsync("assign", request, NodeJson.Default.AssignRequest, NodeJson.Default.AssignReply, cancellation);

    /// <inheritdoc/>
    public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation) =>
        PostAsync("release", request, NodeJson.Default.ReleaseRequest, NodeJson.Default.ReleaseReply, cancellation);

    /// <inheritdoc/>
    public Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation) =>
        PostAsync("sync", report, NodeJson.Default.NodeReport, NodeJson.Default.NodeOrders, cancellation);

    /// <inheritdoc/>
    public async Task ListenAsync(Action hint, CancellationToken cancellation)
    {
        foreach (var silo in silos.InOrder())
        {
            using var request = Request(HttpMethod.Get, silo, "hints");
            try
            {
                using var reply = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
                if (!reply.IsSuccessStatusCode)
                {
                    continue; // The syncs say why.
                }

                hint();
                await using var stream = await reply.Content.ReadAsStreamAsync(cancellation);
                await foreach (var _ in SseParser.Create(stream).EnumerateAsync(cancellation))
                {
                    hint();
                }

                return;
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                // The next one at once.
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();

    private async Task<TReply> PostAsync<TRequest, TReply>(
        string call, TRequest body, JsonTypeInfo<TRequest> requestType, JsonTypeInfo<TReply> replyType, CancellationToken cancellation)
    {
        var failures = new List<string>();
        var (refusals, failing) = (0, 0);
        foreach (var silo in silos.InOrder())
        {
            using var request = Request(HttpMethod.Post, silo, call);
            request.Content = JsonContent.Create(body, requestType);
            using var deadline = new CancellationTokenSource(SilentAfter, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
            try
            {
                using var reply = await http.SendAsync(request, HttpCompletionOption.ResponseContentRead, either.Token);
                if (reply.IsSuccessStatusCode)
                {
                    silos.Answered(silo);
                    return await reply.Content.ReadFromJsonAsync(replyType, either.Token) ?? throw new JsonException("the reply is null");
                }

                var text = await DescribeAsync(silo, call, reply, either.Token);
                if (reply.StatusCode == HttpStatusCode.Unauthorized)
                {
                    refusals++; // A silo may not have heard yet of a new node or signing key; another may.
                }
                else if ((int)reply.StatusCode < 500)
                {
                    throw new NodeApiException(text); // Another silo would say the same.
                }
                else
                {
                    failing++;
                }

                failures.Add(text);
            }
            catch (Exception e) when (e is HttpRequestException or IOException or JsonException or InvalidOperationException) // The last by a charset that is none.
            {
                failures.Add($"{silo}: {e.Message}");
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                silos.Silent(silo);
                failures.Add($"{silo}: no answer within {SilentAfter.TotalSeconds:0.##} s");
            }
        }

        if (refusals + failing == 0 || refusals + failing < failures.Count)
        {
            silos.Lost(); // Silos that refuse, or whose store fails, are there: neither must have a whole fleet look for others.
        }

        throw new NodeApiException(silos.IsEmpty
            ? "No silo is known yet: the API server has not told their endpoints. Check that it answers, and that silos are ready behind their service."
            : failures.Count == 0
            ? "Every silo has been silent in the last seconds. Check that silos run and that the node reaches them."
            : refusals == failures.Count
            ? $"{string.Join("; ", failures)}. Check the setting TokenFile, and whose tokens the silos take."
            : $"No silo answers: {string.Join("; ", failures)}. Check that silos run, and the setting Silos.");
    }

    private HttpRequestMessage Request(HttpMethod method, Uri silo, string call)
    {
        AuthenticationHeaderValue bearer;
        try
        {
            bearer = new AuthenticationHeaderValue("Bearer", token.Read());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException) // The last by a token of two lines.
        {
            throw new NodeApiException($"The node's token cannot be read: {e.Message} Check the setting TokenFile.", e);
        }

        var request = new HttpRequestMessage(method, new Uri(silo, $"/node/v1/{call}"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Host = HostName;
        request.Headers.Authorization = bearer;
        return request;
    }

    private static async Task<string> DescribeAsync(Uri silo, string call, HttpResponseMessage reply, CancellationToken cancellation)
    {
        NodeProblem? problem = null;
        try
        {
            problem = await reply.Content.ReadFromJsonAsync(NodeJson.Default.NodeProblem, cancellation);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Something between us and the silo has answered: the status must do.
        }

        return $"{silo} refuses {call} with {(int)reply.StatusCode}: {problem?.Title} {problem?.Detail}".TrimEnd();
    }

    /// <summary>Certificates of this authority only.</summary>
    internal static X509ChainPolicy TrustOnly(string caPath)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(caPath);
        return policy;
    }
}
