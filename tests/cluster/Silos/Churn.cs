using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Pods that come and go on all nodes: each ADD at a random time, each DEL after some seconds.</summary>
/// <param name="addsPerSecond">On all nodes together, on average.</param>
internal sealed class Churn(IReadOnlyList<FleetNode> nodes, double addsPerSecond, int seed) : IAsyncDisposable
{
    private static readonly (double Least, double Most) LivesSeconds = (3, 12);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly HashSet<Task> _pods = [];
    private readonly HashSet<long> _adding = []; // Since when, each of them another time.
    private List<Task> _loops = [];
    private readonly List<string> _failures = [];
    private Adds _adds;

    /// <summary>What each ADD that failed was told, since the start.</summary>
    public IReadOnlyList<string> Failures
    {
        get
        {
            lock (_lock)
            {
                return [.. _failures];
            }
        }
    }

    public void Start() => _loops = [.. nodes.Select((node, index) => Task.Run(() => ComeAsync(node, new Random(seed + index))))];

    /// <summary>The ADDs that have ended since this was taken last; how long the longest took, also of those that have not ended.</summary>
    public Adds Take()
    {
        lock (_lock)
        {
            var adds = _adds with { Longest = _adding.Select(since => TimeProvider.System.GetElapsedTime(since)).Append(_adds.Longest).Max() };
            _adds = default;
            return adds;
        }
    }

    /// <summary>No pod comes or goes any more; those that are there stay. Ends when the last ADD or DEL has.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_loops);
        Task[] pods;
        lock (_lock)
        {
            pods = [.. _pods];
        }

        await Task.WhenAll(pods);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task ComeAsync(FleetNode node, Random random)
    {
        while (await WaitAsync(-Math.Log(1 - random.NextDouble()) * nodes.Count / addsPerSecond))
        {
            var pod = LiveAsync(node, LivesSeconds.Least + (random.NextDouble() * (LivesSeconds.Most - LivesSeconds.Least)));
            lock (_lock)
            {
                _pods.RemoveWhere(one => one.IsCompletedSuccessfully);
                _pods.Add(pod);
            }
        }
    }

    private async Task LiveAsync(FleetNode node, double seconds)
    {
        var began = TimeProvider.System.GetTimestamp();
        lock (_lock)
        {
            while (!_adding.Add(began))
            {
                began++;
            }
        }

        (SandboxKey Sandbox, string? Failure) added = default;
        try
        {
            added = await node.AddAsync(CancellationToken.None);
        }
        finally
        {
            lock (_lock)
            {
                _adding.Remove(began);
                var took = TimeProvider.System.GetElapsedTime(began);
                _adds = new Adds(_adds.Count + 1, _adds.Failed + (added.Failure is null ? 0 : 1), took > _adds.Longest ? took : _adds.Longest);
                if (added.Failure is not null)
                {
                    _failures.Add(added.Failure);
                }
            }
        }

        if (added.Failure is null && await WaitAsync(seconds))
        {
            await node.DeleteAsync(added.Sandbox);
        }
    }

    /// <returns>False when it is over.</returns>
    private async Task<bool> WaitAsync(double seconds)
    {
        await Task.Delay(TimeSpan.FromSeconds(seconds), _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !_stop.IsCancellationRequested;
    }
}

/// <summary>ADDs of some time.</summary>
internal readonly record struct Adds(int Count, int Failed, TimeSpan Longest);
