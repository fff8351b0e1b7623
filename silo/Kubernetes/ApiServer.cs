using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using AwsVpcCni.Silo.Options;
using k8s;
using k8s.Authentication;
using k8s.Autorest;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>The client of the cluster's API server, as the silo's own service account.</summary>
internal sealed class ApiServer(IOptions<KubernetesOptions> options) : IDisposable
{
    private readonly Lazy<k8s.Kubernetes> _client = new(() => Connect(options.Value));

    /// <summary>Made at the first use: without Kubernetes there is none.</summary>
    public IKubernetes Client => _client.Value;

    /// <summary>What is no object, as text: the client's own calls for keys and discovery expect a JSON string where API servers write an object.</summary>
    /// <exception cref="HttpRequestException">It is not to be had, and why.</exception>
    public async Task<string> GetTextAsync(string path, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_client.Value.BaseUri, path));
        await _client.Value.Credentials.ProcessHttpRequestAsync(request, cancellation);
        using var reply = await _client.Value.HttpClient.SendAsync(request, cancellation);
        var text = await reply.Content.ReadAsStringAsync(cancellation);
        return reply.IsSuccessStatusCode ? text : throw new HttpRequestException($"{path}: {(int)reply.StatusCode} {text}");
    }

    /// <summary>What its client throws when it is away, or answers as none should.</summary>
    public static bool IsAway(Exception e) => e is HttpRequestException or IOException or OperationCanceledException or HttpOperationException or KubernetesException or JsonException or UnauthorizedAccessException;

    /// <summary>In a log line.</summary>
    public static string Describe(Exception e) => e is HttpOperationException { Response: { } response } ? $"{(int)response.StatusCode} {response.Content}" : e.GetBaseException().Message;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_client.IsValueCreated)
        {
            _client.Value.Dispose();
        }
    }

    private static k8s.Kubernetes Connect(KubernetesOptions options)
    {
        var isTls = options.ApiServer!.StartsWith("https:", StringComparison.Ordinal);
        var authorities = new X509Certificate2Collection();
        if (isTls)
        {
            authorities.ImportFromPemFile(options.CaPath);
        }

        return new k8s.Kubernetes(new KubernetesClientConfiguration
        {
            Host = options.ApiServer,
            SslCaCerts = isTls ? authorities : null,
            TokenProvider = new TokenOfFile(options.TokenPath),
            HttpClientTimeout = Timeout.InfiniteTimeSpan, // Watches last; each other call has a deadline of its own.
        });
    }

    /// <summary>Kubelet renews it in place.</summary>
    private sealed class TokenOfFile(string path) : ITokenProvider
    {
        public async Task<AuthenticationHeaderValue> GetAuthenticationHeaderAsync(CancellationToken cancellationToken) =>
            new("Bearer", (await File.ReadAllTextAsync(path, cancellationToken)).Trim());
    }
}
