using System.Text.Json;
using AwsVpcCni.Grains;
using AwsVpcCni.Silo.Options;
using k8s;
using Microsoft.Extensions.Options;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Keeps <see cref="EniConfigTable"/> as the API server has the ENIConfigs, from the moment when custom networking is on for any node.</summary>
internal sealed class EniConfigWatch(ApiServer api, EniConfigTable configs, ClusterSettings settings, IOptions<KubernetesOptions> options, TimeProvider time, Random random, ILogger<EniConfigWatch> logger)
    : BackgroundService, IFollower<EniConfig>
{
    private const int PageSize = 500;
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1); // Operators may turn it on at run time.

    /// <inheritdoc/>
    public void Reset(IReadOnlyList<EniConfig> items) => configs.Reset(items);

    /// <inheritdoc/>
    public void Put(EniConfig item) => configs.Put(item);

    /// <inheritdoc/>
    public void Remove(EniConfig item) => configs.Remove(item.Metadata.Name);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (options.Value.Enabled && !stoppingToken.IsCancellationRequested)
        {
            if (settings.Pool.CustomNetworking || settings.NodePools.Values.Any(pool => pool.CustomNetworking))
            {
                await FollowAsync(stoppingToken);
            }

            await Task.Delay(Period, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private Task FollowAsync(CancellationToken stopping) => new ObjectWatch<EniConfig>(
        "ENIConfigs",
        async (token, cancellation) => await api.Client.CustomObjects.ListClusterCustomObjectAsync<EniConfigList>(EniConfig.Group, EniConfig.Version, EniConfig.Plural, continueParameter: token, limit: PageSize, cancellationToken: cancellation) is var page ? (page.Items, page.Metadata) : default,
        WatchAsync, this, time, random, logger).FollowAsync(stopping);

    private async IAsyncEnumerable<(WatchEventType Type, EniConfig Item)> WatchAsync(string version, int seconds, Action<Exception> failed, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (var (type, item) in api.Client.CustomObjects.WatchListClusterCustomObjectAsync(EniConfig.Group, EniConfig.Version, EniConfig.Plural, allowWatchBookmarks: true, resourceVersion: version, timeoutSeconds: seconds, onError: failed, cancellationToken: cancellation))
        {
            yield return (type, KubernetesJson.Deserialize<EniConfig>(((JsonElement)item).GetRawText()));
        }
    }
}
