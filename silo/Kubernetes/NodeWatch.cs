using AwsVpcCni.Silo.Options;
using k8s;
using k8s.Models;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Keeps <see cref="NodeTable"/> as the API server has the Nodes.</summary>
internal sealed class NodeWatch(ApiServer api, NodeTable nodes, IOptions<KubernetesOptions> options, TimeProvider time, Random random, ILogger<NodeWatch> logger) : BackgroundService, IFollower<V1Node>
{
    private const int PageSize = 500;

    /// <inheritdoc/>
    public void Reset(IReadOnlyList<V1Node> items) => nodes.Reset([.. items.Select(item => KnownNode.Of(item, options.Value.EniConfigAnnotation))]);

    /// <inheritdoc/>
    public void Put(V1Node item) => nodes.Put(KnownNode.Of(item, options.Value.EniConfigAnnotation));

    /// <inheritdoc/>
    public void Remove(V1Node item) => nodes.Remove(item.Metadata.Name);

    /// <inheritdoc/>
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => !options.Value.Enabled ? Task.CompletedTask : new ObjectWatch<V1Node>(
        "Nodes",
        async (token, cancellation) => await api.Client.CoreV1.ListNodeAsync(continueParameter: token, limit: PageSize, cancellationToken: cancellation) is var page ? (page.Items, page.Metadata) : default,
        (version, seconds, failed, cancellation) => api.Client.CoreV1.WatchListNodeAsync(allowWatchBookmarks: true, resourceVersion: version, timeoutSeconds: seconds, onError: failed, cancellationToken: cancellation),
        this, time, random, logger).FollowAsync(stoppingToken);
}
