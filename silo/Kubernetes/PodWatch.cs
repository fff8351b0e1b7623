using System.Threading.Channels;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Silo.Options;
using k8s;
using k8s.Models;
using Microsoft.Extensions.Options;
using NodeMetrics = AwsVpcCni.Grains.Node.NodeMetrics;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Tells nodes of the pods that are bound to them, so that addresses are drawn before the runtime asks for them. Each silo tells those nodes whose grains it has.</summary>
/// <remarks>Only pods that are bound and pending are followed, by the API server's own choice: what has started leaves the watch, and however many pods the cluster has, a silo sees few.</remarks>
internal sealed class PodWatch(
    ApiServer api, NodeTable nodes, NodeMetrics here, IGrainFactory grains, IOptions<KubernetesOptions> options, TimeProvider time, Random random, ILogger<PodWatch> logger) : BackgroundService, IFollower<V1Pod>
{
    private const int PageSize = 500;
    private const string Pending = "status.phase=Pending,spec.nodeName!=";
    private static readonly TimeSpan Gathers = TimeSpan.FromMilliseconds(50); // The scheduler binds a deployment's pods one by one.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(20); // A third of the time for which nodes hold it true.

    private readonly BoundPods _pods = new();
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <inheritdoc/>
    public void Reset(IReadOnlyList<V1Pod> items)
    {
        _pods.Reset(items, time.GetUtcNow());
        _news.Writer.TryWrite(true);
    }

    /// <inheritdoc/>
    public void Put(V1Pod item)
    {
        _pods.Put(item, time.GetUtcNow());
        _news.Writer.TryWrite(true);
    }

    /// <inheritdoc/>
    public void Remove(V1Pod item)
    {
        _pods.Remove(item);
        _news.Writer.TryWrite(true);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.Enabled && options.Value.PodDemand)
        {
            await await Task.WhenAny(TellAsync(stoppingToken), FollowAsync(stoppingToken)); // Neither ends before the other but by a fault, which the host must hear of.
        }
    }

    private Task FollowAsync(CancellationToken stopping) => new ObjectWatch<V1Pod>(
        "Pods that are bound and pending",
        async (token, cancellation) => await api.Client.CoreV1.ListPodForAllNamespacesAsync(continueParameter: token, fieldSelector: Pending, limit: PageSize, cancellationToken: cancellation) is var page ? (page.Items, page.Metadata) : default,
        (version, seconds, failed, cancellation) => api.Client.CoreV1.WatchListPodForAllNamespacesAsync(allowWatchBookmarks: true, fieldSelector: Pending, resourceVersion: version, timeoutSeconds: seconds, onError: failed, cancellationToken: cancellation),
        this, time, random, logger).FollowAsync(stopping);

    private async Task TellAsync(CancellationToken stopping)
    {
        var toldAll = time.GetTimestamp();
        while (!stopping.IsCancellationRequested)
        {
            using var period = new CancellationTokenSource(Period, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, period.Token);
            await ((Task)_news.Reader.WaitToReadAsync(either.Token).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await Task.Delay(Gathers, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _news.Reader.TryRead(out _);
            var again = time.GetElapsedTime(toldAll) >= Period;
            toldAll = again ? time.GetTimestamp() : toldAll;
            foreach (var (instance, pods) in _pods.Due(nodes.InstanceOf, here.Has, again, time.GetUtcNow()))
            {
                grains.GetGrain<INodeGrain>(instance).BoundAsync(pods).Ignore(); // One way.
            }
        }
    }
}
