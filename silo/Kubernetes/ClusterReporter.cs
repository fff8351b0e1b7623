using System.Net;
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
    private const int LongestText = 1024; // Of an event's message, as the API server has it for newer events.
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

        if (_marks.AnnotationFor(node, known, now) is { } maxPods)
        {
            var patch = Patch(new { metadata = new { annotations = new Dictionary<string, string> { [NodeMarks.MaxPods] = maxPods } } }, V1Patch.PatchType.MergePatch);
            yield return token => api.Client.CoreV1.PatchNodeAsync(patch, known.Name, cancellationToken: token);
        }

        if (_marks.ConditionFor(node, known, now) is { } condition)
        {
            var patch = Patch(new { status = new { conditions = new[] { condition } } }, V1Patch.PatchType.StrategicMergePatch);
            yield return async token =>
            {
                await api.Client.CoreV1.PatchNodeStatusAsync(patch, known.Name, cancellationToken: token);
                LogMarked(known.Name, condition.Status, condition.Reason);
            };
        }
    }

    private async Task TellAsync(Told told, DateTimeOffset now, CancellationToken cancellation)
    {
        try
        {
            if (told.Count == 0 || !await CountAsync(told, now, cancellation))
            {
                await CreateAsync(told, now, cancellation);
            }

            told.Tell(now);
        }
        catch (HttpOperationException e) when (IsOfObject(e))
        {
            LogNotTold(told.News.Key, ApiServer.Describe(e)); // Its namespace is going, or does not take it: the others are told.
            told.Leave(now);
        }
    }

    /// <summary>False when the API server no longer has the event: they live for an hour.</summary>
    private async Task<bool> CountAsync(Told told, DateTimeOffset now, CancellationToken cancellation)
    {
        try
        {
            await api.Client.CoreV1.PatchNamespacedEventAsync(
                Patch(new { count = told.Count + 1, lastTimestamp = now.UtcDateTime, message = Short(told.News.Text) }, V1Patch.PatchType.MergePatch), told.Name, NamespaceOf(told), cancellationToken: cancellation);
            return true;
        }
        catch (HttpOperationException e) when (e.Response.StatusCode == HttpStatusCode.NotFound)
        {
            told.Forget(now);
            return false;
        }
    }

    private async Task CreateAsync(Told told, DateTimeOffset now, CancellationToken cancellation)
    {
        try
        {
            await api.Client.CoreV1.CreateNamespacedEventAsync(
                new Corev1Event
                {
                    Metadata = new V1ObjectMeta { Name = told.Name, NamespaceProperty = NamespaceOf(told) }, InvolvedObject = told.News.About, Reason = told.News.Reason, Message = Short(told.News.Text),
                    Type = told.News.IsNormal ? "Normal" : "Warning", Count = 1, FirstTimestamp = told.First.UtcDateTime, LastTimestamp = now.UtcDateTime,
                    Source = new V1EventSource { Component = Component }, ReportingComponent = Component, ReportingInstance = Environment.MachineName,
                },
                NamespaceOf(told), cancellationToken: cancellation);
        }
        catch (HttpOperationException e) when (e.Response.StatusCode == HttpStatusCode.Conflict)
        {
            // Our own, whose answer was lost.
        }
    }

    // One after the other, until the API server itself fails: then it has more to do than to hear of this.
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
            catch (HttpOperationException e) when (IsOfObject(e))
            {
                LogNotTold(what, ApiServer.Describe(e)); // A node that has just gone, or that somebody else guards.
            }
            catch (HttpOperationException e) when (IsMissingRight(e))
            {
                _notBefore[what] = now + ForbiddenPause;
                LogForbidden(ApiServer.Describe(e));
                return true;
            }
            catch (Exception e) when (ApiServer.IsAway(e))
            {
                if (!_isAway && !stopping.IsCancellationRequested)
                {
                    LogAway(ApiServer.Describe(e));
                }

                _isAway = true;
                return false;
            }
        }

        return true;
    }

    /// <summary>Refused for what it is about, and not for who writes it nor for all.</summary>
    private static bool IsOfObject(HttpOperationException e) => (int)e.Response.StatusCode is >= 400 and < 500 and not 401 && !IsMissingRight(e);

    // As its authorizer words it; an admission that forbids something has other words.
    private static bool IsMissingRight(HttpOperationException e) => e.Response is { StatusCode: HttpStatusCode.Forbidden, Content: { } text }
        && (text.Contains(" cannot create resource ", StringComparison.Ordinal) || text.Contains(" cannot patch resource ", StringComparison.Ordinal));

    private static string NamespaceOf(Told told) => told.News.About.NamespaceProperty ?? NamespaceOfNodes;

    private static string Short(string text) => text.Length > LongestText ? text[..LongestText] : text;

    private static V1Patch Patch(object change, V1Patch.PatchType type) => new(KubernetesJson.Serialize(change), type);

    private delegate Task Write(CancellationToken cancellation);

    [LoggerMessage(EventId = 3531, Level = LogLevel.Warning, Message = "The API server does not take events and conditions: {Why} What still holds is told when it does.")]
    private partial void LogAway(string why);

    [LoggerMessage(EventId = 3532, Level = LogLevel.Warning, Message = "The cluster does not let this silo write: {Why} Give its service account the chart's ClusterRole, or set Kubernetes:Events or Kubernetes:MarkNodes to false. It is tried again each five minutes.")]
    private partial void LogForbidden(string why);

    [LoggerMessage(EventId = 3533, Level = LogLevel.Information, Message = "Node {Node}: condition PodAddressesUnavailable becomes {Status} ({Why}).")]
    private partial void LogMarked(string node, string status, string why);

    [LoggerMessage(EventId = 3534, Level = LogLevel.Information, Message = "Not told, of {What}: {Why}")]
    private partial void LogNotTold(string what, string why);
}
