using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Security;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Finds the silos by the EndpointSlices of their service, through the API server and not by DNS: the cluster's DNS is pods, which need addresses first.</summary>
/// <remarks>The last list is kept on disk, so a node that boots while the API server is away knows where the silos were. It is asked seldom, since each node asks: each <see cref="Period"/>,
/// and while no silo answers each <see cref="Hurried"/> or two, later each <see cref="LongestHurried"/> or two. A list without a ready silo changes nothing.</remarks>
/// <param name="found">Gets each new list, in the order of liking.</param>
/// <param name="isLost">Whether no silo answers, by the last call.</param>
internal sealed partial class SiloFinder(SiloServiceSettings service, string path, Action<IReadOnlyList<Uri>> found, Func<bool> isLost, TimeProvider time, Random random, ILogger log) : IDisposable
{
    /// <summary>Between two looks while silos answer; up to a quarter less, by chance.</summary>
    internal static readonly TimeSpan Period = TimeSpan.FromMinutes(5);

    /// <summary>Between two looks while none does; up to twice that, by chance.</summary>
    internal static readonly TimeSpan Hurried = TimeSpan.FromSeconds(5);

    /// <summary>That, when they go on not to answer: it is doubled with each look, since a whole fleet may look.</summary>
    internal static readonly TimeSpan LongestHurried = TimeSpan.FromSeconds(20);

    private const int MaxReplyBytes = 4 << 20; // A slice has 100 endpoints at most by default, some 30 KB.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    private readonly TokenFile token = new(service.TokenFile);
    private readonly HttpClient http = Connect(service);
    private Uri[] known = [];
    private TimeSpan hurried = Hurried;
    private bool isAway;

    /// <summary>Until it is stopped. What the last process has found is there when this first waits.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        Restore();
        while (!stop.IsCancellationRequested)
        {
            await LookAsync(stop);
            await WaitAsync(stop);
        }
    }

    private void Restore()
    {
        try
        {
            if (File.Exists(path) && JsonSerializer.Deserialize(File.ReadAllBytes(path), KubernetesJson.Default.UriArray) is { Length: > 0 } kept)
            {
                LogKept(log, string.Join(", ", kept.Select(silo => silo.Authority)), path); // First: it throws on what is no address.
                Take(kept);
            }
        }
        catch (Exception e) // Whatever is in the file.
        {
            LogNotKept(log, path, e.Message); // The API server is asked next.
        }
    }

    private async Task LookAsync(CancellationToken stop)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, deadline.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(service.ApiServer,
                $"/apis/discovery.k8s.io/v1/namespaces/{service.Namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{service.Name}&resourceVersion=0")); // From the API server's memory, as it is there.
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token.Read());
            using var reply = await http.SendAsync(request, either.Token);
            if (!reply.IsSuccessStatusCode)
            {
                throw new HttpRequestException($"it refuses with {(int)reply.StatusCode}; the executor's service account needs the verb list on endpointslices (discovery.k8s.io) in {service.Namespace}");
            }

            var list = await reply.Content.ReadFromJsonAsync(KubernetesJson.Default.EndpointSliceList, either.Token);
            isAway = false;
            var silos = service.SilosOf(list?.Items ?? []);
            if (silos.Length > 0 && !silos.SequenceEqual(known))
            {
                Take(silos);
                LogFound(log, string.Join(", ", silos.Select(silo => silo.Authority)), $"{service.Namespace}/{service.Name}");
                Directory.CreateDirectory(Path.GetDirectoryName(path)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                AtomicFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(silos, KubernetesJson.Default.UriArray), UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }
        }
        catch (Exception e) when (!stop.IsCancellationRequested) // Whatever it is: nobody else would look again.
        {
            if (!isAway)
            {
                LogAway(log, service.ApiServer, e is OperationCanceledException ? $"no answer within {Deadline.TotalSeconds:0} s" : e.Message);
            }

            isAway = true;
        }
        catch (Exception)
        {
            // Stopped.
        }
    }

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();

    private async Task WaitAsync(CancellationToken stop)
    {
        var until = BootClock.Now(time) + (Period * (1 - (random.NextDouble() / 4)));
        do
        {
            await Task.Delay(hurried * (1 + random.NextDouble()), time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            hurried = !isLost() || known.Length == 0 ? Hurried : hurried * 2 < LongestHurried ? hurried * 2 : LongestHurried;
        }
        while (!stop.IsCancellationRequested && known.Length > 0 && !isLost() && BootClock.Now(time) < until);
    }

    private void Take(Uri[] silos)
    {
        known = silos;
        var first = random.Next(silos.Length); // Else every node of a fleet would begin with the same silo.
        found([.. silos[first..], .. silos[..first]]);
    }

    private static HttpClient Connect(SiloServiceSettings service)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, UseCookies = false, UseProxy = false, ConnectTimeout = TimeSpan.FromSeconds(2),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(1), // Minutes pass until the next question.
        };
        if (service.ApiServer.Scheme == Uri.UriSchemeHttps)
        {
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = HttpNodeApi.TrustOnly(service.CaFile) };
        }

        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxReplyBytes };
    }

    [LoggerMessage(EventId = 3081, Level = LogLevel.Information, Message = "The silos are {Silos}, by the endpoints of {Service}.")]
    private static partial void LogFound(ILogger log, string silos, string service);

    [LoggerMessage(EventId = 3082, Level = LogLevel.Information, Message = "The silos were {Silos}, by {Path}; the API server is asked next.")]
    private static partial void LogKept(ILogger log, string silos, string path);

    [LoggerMessage(EventId = 3083, Level = LogLevel.Warning, Message = "The API server {ApiServer} does not say where the silos are: {Why} Those last known are used.")]
    private static partial void LogAway(ILogger log, Uri apiServer, string why);

    [LoggerMessage(EventId = 3084, Level = LogLevel.Warning, Message = "The last list of silos {Path} cannot be read: {Why}")]
    private static partial void LogNotKept(ILogger log, string path, string why);
}

/// <summary>Of <c>discovery.k8s.io/v1</c> what says where silos are.</summary>
internal sealed record EndpointSliceList(EndpointSlice[]? Items);

/// <summary>Some of a service's endpoints, all on the same ports.</summary>
internal sealed record EndpointSlice(string? AddressType, SliceEndpoint[]? Endpoints, SlicePort[]? Ports);

/// <summary>One pod's.</summary>
internal sealed record SliceEndpoint(string[]? Addresses, SliceConditions? Conditions);

/// <summary>Null is yes, by Kubernetes' API.</summary>
internal sealed record SliceConditions(bool? Ready);

/// <summary>One port.</summary>
internal sealed record SlicePort(string? Name, int? Port);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(EndpointSliceList))]
[JsonSerializable(typeof(Uri[]))]
internal sealed partial class KubernetesJson : JsonSerializerContext;
