using System.Net;
using System.Text.Json;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Silo.Options;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Microsoft.Extensions.Options;
using NodeMetrics = AwsVpcCni.Grains.Node.NodeMetrics;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Tells the cluster of the nodes whose grains are on this silo: events, a condition, and how many pods a node can run.</summary>
/// <remarks>All of it is what is so now against what has been told, so nothing is lost with the API server away, and nothing queues up.</remarks>
internal sealed partial class ClusterReporter(
    ApiServer api, NodeTable nodes, NodeMetrics metrics, IOptions<KubernetesOptions> options, TimeProvider time, Random random, ILogger<ClusterReporter> logger) : BackgroundService
{
    /// <summary>As events and conditions name who writes them.</summary>
    public const string Component = "aws-vpc-cni-silo";

    /// <summary>Between two passes.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private const string NamespaceOfNodes = "default"; // Where kubelet's are, and kubectl describe looks.
    private const int LongestText = 1024; // Of an event's message, by the API server.
    private const int MostWrites = 25; // Of each kind in a pass: 5 a second.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ForbiddenPause = TimeSpan.FromMinutes(5);

    private readonly EventLog _events = new($"{random.NextInt64():x}");
    private readonly NodeMarks _marks = new();
    private readonly Dictionary<string, DateTimeOffset> _notBefore = new(StringComparer.Ordinal);
    private bool _isAway;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!options.Value.Enabled)
        {
            return;
        }

        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(Period, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (nodes.IsFilled && !stoppingToken.IsCancellationRequested)
            {
                await PassAsync(stoppingToken);
            }
        }
    }

    /// <summary>Tells what is new.</summary>
    internal async Task PassAsync(CancellationToken stopping)
    {
        var (now, here) = (time.GetUtcNow(), metrics.Nodes.Select(node => (Now: node, Known: nodes.OfInstance(node.InstanceId))).ToArray());
        var isFine = true;
        if (options.Value.Events)
        {
            var due = _events.Due(here.SelectMany(one => News.Of(one.Now, one.Known)), now, MostWrites);
            isFine = await TryAsync("events", due.Select(told => new Write(token => TellAsync(told, now, token))), now, stopping);
        }

        if (options.Value.MarkNodes && isFine)
        {
            _marks.Keep(here.Select(one => one.Now.InstanceId));
            await TryAsync("nodes", here.SelectMany(one => Marks(one.Now, one.Known, now)).Take(MostWrites).ToArray(), now, stopping);
        }
    }

    private IEnumerable<Write> Marks(NodeNow node, KnownNode? known, DateTimeOffset now)
    {
        if (known is null)
        {
            yield break;
        }

        if (NodeMarks.AnnotationFor(node, known) is { } maxPods)
        {
            var patch = Patch(new { metadata = new { annotations = new Dictionary<string, string> { [NodeMarks.MaxPods] = maxPods } } }, V1Patch.PatchType.MergePatch);
            yield return token => api.Client.CoreV1.PatchNodeAsync(patch, known.Name, cancellationToken: token);
        }

        if (_marks.ConditionFor(node, known, now) is { } condition)
        {
            LogMarked(known.Name, condition.Status, condition.Reason);
            var patch = Patch(new { status = new { conditions = new[] { condition } } }, V1Patch.PatchType.StrategicMergePatch);
            yield return token => api.Client.CoreV1.PatchNodeStatusAsync(patch, known.Name, cancellationToken: token);
        }
    }

    private async Task TellAsync(Told told, DateTimeOffset now, CancellationToken cancellation)
    {
        var ns = told.News.About.NamespaceProperty ?? NamespaceOfNodes;
        var text = told.News.Text.Length > LongestText ? told.News.Text[..LongestText] : told.News.Text;
        if (told.Count > 0)
        {
            try
            {
                await api.Client.CoreV1.PatchNamespacedEventAsync(Patch(new { count = told.Count + 1, lastTimestamp = now.UtcDateTime, message = text }, V1Patch.PatchType.MergePatch), told.Name, ns, cancellationToken: cancellation);
                told.Tell(now);
                return;
            }
            catch (HttpOperationException e) when (e.Response.StatusCode == HttpStatusCode.NotFound)
            {
                told.Forget(now); // Events live for an hour.
            }
        }

        try
        {
            await api.Client.CoreV1.CreateNamespacedEventAsync(
                new Corev1Event
                {
                    Metadata = new V1ObjectMeta { Name = told.Name, NamespaceProperty = ns }, InvolvedObject = told.News.About, Reason = told.News.Reason, Message = text,
                    Type = told.News.IsNormal ? "Normal" : "Warning", Count = 1, FirstTimestamp = told.First.UtcDateTime, LastTimestamp = now.UtcDateTime,
                    Source = new V1EventSource { Component = Component }, ReportingComponent = Component, ReportingInstance = Environment.MachineName,
                },
                ns, cancellationToken: cancellation);
        }
        catch (HttpOperationException e) when (e.Response.StatusCode is HttpStatusCode.Conflict)
        {
            // Our own, whose answer was lost.
        }
        catch (HttpOperationException e) when (e.Response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.UnprocessableEntity || IsOfTerminating(e))
        {
            LogNotTold(told.News.Key, Describe(e)); // Its namespace is gone: there is nobody to tell.
        }

        told.Tell(now);
    }

    // One after the other, until one fails: then the API server has more to do than to hear of this.
    private async Task<bool> TryAsync(string what, IEnumerable<Write> writes, DateTimeOffset now, CancellationToken stopping)
    {
        if (_notBefore.TryGetValue(what, out var until) && now < until)
        {
            return true;
        }

        foreach (var write in writes)
        {
            using var deadline = new CancellationTokenSource(Deadline, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, deadline.Token);
            try
            {
                await write(either.Token);
                _isAway = false;
            }
            catch (HttpOperationException e) when (e.Response.StatusCode == HttpStatusCode.Forbidden)
            {
                _notBefore[what] = now + ForbiddenPause;
                LogForbidden(Describe(e));
                return true;
            }
            catch (HttpOperationException e) when (e.Response.StatusCode == HttpStatusCode.NotFound)
            {
                // A node that has just gone.
            }
            catch (Exception e) when (e is HttpOperationException or HttpRequestException or IOException or OperationCanceledException or JsonException or UnauthorizedAccessException)
            {
                if (!_isAway && !stopping.IsCancellationRequested)
                {
                    LogAway(Describe(e));
                }

                _isAway = true;
                return false;
            }
        }

        return true;
    }

    private static bool IsOfTerminating(HttpOperationException e) => e.Response.StatusCode == HttpStatusCode.Forbidden && e.Response.Content?.Contains("because it is being terminated", StringComparison.Ordinal) == true;

    private static V1Patch Patch(object change, V1Patch.PatchType type) => new(KubernetesJson.Serialize(change), type);

    private static string Describe(Exception e) => e is HttpOperationException { Response: { } response } ? $"{(int)response.StatusCode} {response.Content}" : e.GetBaseException().Message;

    private delegate Task Write(CancellationToken cancellation);

    [LoggerMessage(EventId = 3531, Level = LogLevel.Warning, Message = "The API server does not take events and conditions: {Why} What still holds is told when it does.")]
    private partial void LogAway(string why);

    [LoggerMessage(EventId = 3532, Level = LogLevel.Warning, Message = "The cluster does not let this silo write: {Why} Give its service account the chart's ClusterRole, or set Kubernetes:Events or Kubernetes:MarkNodes to false. It is tried again in five minutes.")]
    private partial void LogForbidden(string why);

    [LoggerMessage(EventId = 3533, Level = LogLevel.Information, Message = "Node {Node}: condition PodAddressesUnavailable becomes {Status} ({Why}).")]
    private partial void LogMarked(string node, string status, string why);

    [LoggerMessage(EventId = 3534, Level = LogLevel.Information, Message = "No event for {What}: {Why}")]
    private partial void LogNotTold(string what, string why);
}
