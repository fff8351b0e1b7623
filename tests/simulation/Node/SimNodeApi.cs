using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Scheduling;

namespace AwsVpcCni.Tests.Simulation.Node;

/// <summary>The way from an executor to the silos' doors and back: each call lost, late, doubled; a silo that is down refuses at once.</summary>
internal sealed class SimNodeApi(Scheduler scheduler, Swarm faults, Transport transport, List<SiloNode> silos, string instanceId, Action<AssignRequest> asked) : INodeApi
{
    private static readonly TimeSpan DoorDeadline = TimeSpan.FromSeconds(1.5); // NodeApi:CallDeadline.

    private HintStream? _stream;
    private int _streams;

    public Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation)
    {
        asked(request);
        return CallAsync("assign", node => node.AssignAsync(request), cancellation);
    }

    public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation) =>
        CallAsync("release", node => node.ReleaseAsync(request), cancellation);

    public Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation) => CallAsync("sync", async (node, silo) =>
    {
        if (_stream is { IsOpen: true } stream && stream.Silo == silo)
        {
            await node.SubscribeAsync(stream.Reference);
        }

        return await node.SyncAsync(report);
    }, cancellation);

    public async Task ListenAsync(Action hint, CancellationToken cancellation)
    {
        var up = silos.Where(silo => silo.IsUp && !faults.IsCut(instanceId, silo.Name)).ToList();
        if (up.Count == 0)
        {
            return;
        }

        var silo = up[scheduler.Random.Next(up.Count)];
        var stream = _stream = new HintStream(scheduler, faults, silo, $"{instanceId}/{++_streams}", instanceId);
        transport.Observe(stream.Key, silo, stream);
        silo.Door.Start($"hints of {instanceId}", () => SubscribeAsync(stream));
        hint();
        while (await stream.NextAsync())
        {
            hint();
        }
    }

    /// <summary>A fault: the connection of the hints is reset.</summary>
    public void CutStream() => _stream?.End();

    private async Task SubscribeAsync(HintStream stream)
    {
        try
        {
            await Node().SubscribeAsync(stream.Reference);
        }
        catch (Exception e) when (e is TimeoutException or OrleansException)
        {
            stream.End(); // The door's request fails, and the stream with it.
        }
    }

    private INodeGrain Node() => new Factory().GetGrain<INodeGrain>(instanceId);

    private Task<T> CallAsync<T>(string what, Func<INodeGrain, Task<T>> call, CancellationToken cancellation) => CallAsync(what, (node, _) => call(node), cancellation);

    private Task<T> CallAsync<T>(string what, Func<INodeGrain, SiloNode, Task<T>> call, CancellationToken cancellation)
    {
        var lane = scheduler.RequireLane(what);
        scheduler.Trace?.Invoke($"{lane.Name} asks to {what}");
        var answer = new TaskCompletionSource<T>(); // Plain: completed from the event loop.
        cancellation.UnsafeRegister(_ => answer.TrySetCanceled(cancellation), null);
        var silo = silos[scheduler.Random.Next(silos.Count)];
        if (!silo.IsUp)
        {
            // Refused at once; the executor's list goes on to the next.
            silo = silos.FirstOrDefault(one => one.IsUp);
        }

        if (silo is null)
        {
            scheduler.After(faults.Latency(), () => answer.TrySetException(new NodeApiException("no silo is up")));
            return answer.Task;
        }

        foreach (var latency in faults.Deliveries())
        {
            scheduler.After(latency, () =>
            {
                if (!faults.IsCut(instanceId, silo.Name) && silo.IsUp)
                {
                    silo.Door.Start($"{what} of {instanceId}", () => ServeAsync(silo, call, answer));
                }
            });
        }

        return answer.Task;
    }

    private async Task ServeAsync<T>(SiloNode silo, Func<INodeGrain, SiloNode, Task<T>> call, TaskCompletionSource<T> answer)
    {
        (T Reply, Exception? Thrown) outcome;
#pragma warning disable CA1031 // As the door does: whatever the grain throws, the executor gets a refusal.
        try
        {
            outcome = (await call(Node(), silo).WaitAsync(DoorDeadline, silo.Clock), null);
        }
        catch (Exception e)
        {
            outcome = (default!, e);
        }
#pragma warning restore CA1031

        foreach (var latency in faults.Deliveries())
        {
            scheduler.After(latency, () =>
            {
                if (!faults.IsCut(instanceId, silo.Name))
                {
                    _ = outcome.Thrown is { } thrown ? answer.TrySetException(new NodeApiException($"{silo.Name}: {thrown.Message}", thrown)) : answer.TrySetResult(outcome.Reply);
                }
            });
        }
    }

    /// <summary>One open stream; two hints that nobody has read yet say no more than one.</summary>
    private sealed class HintStream(Scheduler scheduler, Swarm faults, SiloNode silo, string key, string instanceId) : INodeHints
    {
        private readonly Life _life = silo.Life;
        private TaskCompletionSource? _waiting;
        private bool _hasHint;
        private bool _isEnded;

        public string Key => key;

        public SiloNode Silo => silo;

        public INodeHints Reference { get; } = Factory.HintsTo(key);

        public bool IsOpen => !_isEnded && !_life.IsOver;

        public Task SyncNowAsync()
        {
            foreach (var latency in faults.Deliveries())
            {
                scheduler.After(latency, () =>
                {
                    if (!faults.IsCut(instanceId, silo.Name))
                    {
                        _hasHint = true;
                        _waiting?.TrySetResult();
                    }
                });
            }

            return Task.CompletedTask;
        }

        public void End()
        {
            _isEnded = true;
            _waiting?.TrySetResult();
        }

        /// <returns>False when the stream has ended.</returns>
        public async Task<bool> NextAsync()
        {
            while (IsOpen && !_hasHint)
            {
                _waiting = new TaskCompletionSource();
                Watch(_waiting);
                await _waiting.Task;
            }

            (var had, _hasHint) = (_hasHint, false);
            return had && IsOpen;
        }

        /// <summary>A dead silo's connection is reset, or found dead by its pings.</summary>
        private void Watch(TaskCompletionSource waiting) => scheduler.After(TimeSpan.FromSeconds(5), () =>
        {
            if (!IsOpen)
            {
                waiting.TrySetResult();
            }
            else if (!waiting.Task.IsCompleted)
            {
                Watch(waiting);
            }
        });
    }
}
