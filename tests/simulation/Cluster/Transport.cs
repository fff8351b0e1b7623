using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Scheduling;
using Orleans.CodeGeneration;
using Orleans.Serialization.Invocation;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>One delivery of a message.</summary>
/// <param name="Interleaves">It does not wait for the request that runs.</param>
internal sealed record Request(GrainId Target, string Name, byte[] Body, string From, bool Interleaves, Action<Response> Answer);

/// <summary>Carries grain calls as bytes, loses, delays, doubles and reorders them, and keeps at most two activations of a grain.</summary>
internal sealed class Transport
{
    private static readonly TimeSpan ResponseTimeout = TimeSpan.FromSeconds(30); // Orleans' default.

    private readonly Dictionary<GrainId, List<Activation>> _activations = [];
    private readonly Dictionary<string, (SiloNode Silo, INodeHints Target)> _observers = [];
    private readonly Dictionary<GrainId, Request> _reports = []; // The last of each node.
    private readonly Func<Activation, IGrainBase> _create;
    private readonly Swarm _faults;
    private readonly List<SiloNode> _silos;

    public Transport(Scheduler scheduler, Swarm faults, List<SiloNode> silos, Func<Activation, IGrainBase> create) =>
        (Scheduler, _faults, _silos, _create) = (scheduler, faults, silos, create);

    public Scheduler Scheduler { get; }

    public IEnumerable<Activation> Live => _activations.Values.SelectMany(list => list).Where(one => one.IsLive);

    /// <summary>Sends from whatever lane is running.</summary>
    public Task<T?> CallAsync<T>(GrainId target, IInvokable request, InvokeMethodOptions options)
    {
        var lane = Scheduler.RequireLane($"a send to {target}");
        var isOneWay = (options & InvokeMethodOptions.OneWay) != 0;
        var answer = new TaskCompletionSource<T?>(); // Plain: completed from the event loop, where no lane is current.
        var from = lane.Owner switch { Activation activation => activation.Silo.Name, SiloNode silo => silo.Name, _ => lane.Name };
        var name = $"{target.Key}.{request.GetMethodName()}";
        var body = Codecs.Write(request);
        Scheduler.Trace?.Invoke($"{lane.Name} sends {name}");
        var sent = new Request(target, name, body, from, (options & InvokeMethodOptions.AlwaysInterleave) != 0, response =>
        {
            if (!isOneWay)
            {
                Reply(Codecs.Write(response), target, from, answer);
            }
        });
        foreach (var latency in _faults.Deliveries())
        {
            Scheduler.After(latency, () => Deliver(sent));
        }

        if (request.GetMethodName() == nameof(INodeGrain.SyncAsync))
        {
            _reports[target] = sent;
        }

        if (isOneWay)
        {
            return Task.FromResult<T?>(default);
        }

        lane.Awaits(answer.Task);
        Scheduler.After(ResponseTimeout, () => answer.TrySetException(new TimeoutException($"no answer to {name} within {ResponseTimeout.TotalSeconds} s")));
        return answer.Task;
    }

    public void Observe(string key, SiloNode silo, INodeHints target) => _observers[key] = (silo, target);

    public void Deliver(Request request)
    {
        if (request.Target.Type.ToString() == Factory.Hints)
        {
            if (_observers.TryGetValue(request.Target.Key.ToString()!, out var observer) && observer.Silo.IsUp && !_faults.IsCut(request.From, observer.Silo.Name))
            {
                observer.Silo.Door.Start(request.Name, observer.Target.SyncNowAsync);
            }

            return;
        }

        if (Choose(request) is { } activation)
        {
            activation.Take(request);
        }
    }

    /// <summary>The node's last report comes again, and again: from a silo that has stood still with it, say.</summary>
    public void RepeatReport(string instanceId, IEnumerable<TimeSpan> times)
    {
        if (_reports.TryGetValue(GrainId.Create("node", instanceId), out var report))
        {
            foreach (var time in times)
            {
                Scheduler.After(time, () => Deliver(report));
            }
        }
    }

    public void Left(Activation activation) => _activations[activation.GrainId].Remove(activation);

    /// <summary>What product code may throw at a caller or a timer; anything else is a defect.</summary>
    public void Surprise(Activation activation, string during, Exception thrown)
    {
        Scheduler.Trace?.Invoke($"{activation.Lane.Name}: {during} threw {thrown.GetType().Name}: {thrown.Message}");
        if (thrown is not (TimeoutException or OrleansException or OperationCanceledException or Ec2Exception or StoreException or TypeLoadException)) // The last: an older build's silo knows no such method.
        {
            Scheduler.Fail($"{activation.Lane.Name}: {during} threw {thrown}");
        }
    }

    /// <summary>The directory is whole again: one of the two has to go.</summary>
    private void Merge(Activation older, Activation newer)
    {
        if (older.IsLive && newer.IsLive)
        {
            (Scheduler.Random.Next(2) == 0 ? older : newer).Deactivate(default);
        }
    }

    private void Reply<T>(byte[] response, GrainId target, string to, TaskCompletionSource<T?> answer)
    {
        var from = (TaskScheduler.Current as SimLane)?.Owner is Activation activation ? activation.Silo.Name : target.ToString();
        foreach (var latency in _faults.Deliveries())
        {
            Scheduler.After(latency, () =>
            {
                if (_faults.IsCut(from, to))
                {
                    return;
                }

                var read = Codecs.Read<Response>(response);
                _ = read.Exception is { } thrown ? answer.TrySetException(thrown) : answer.TrySetResult(typeof(T) == typeof(object) ? default : read.GetResult<T>());
            });
        }
    }

    /// <summary>The grain's activation; a second one beside it when Orleans' directory is split.</summary>
    private Activation? Choose(Request request)
    {
        if (!_activations.TryGetValue(request.Target, out var list))
        {
            _activations[request.Target] = list = [];
        }

        list.RemoveAll(one => !one.IsLive);
        if (list.Count == 0 || (list.Count == 1 && _faults.Strikes(FaultKind.Split)))
        {
            var up = _silos.Where(silo => silo.IsUp && !_faults.IsCut(request.From, silo.Name)).ToList();
            if (up.Count == 0)
            {
                return null;
            }

            var made = new Activation(this, request.Target, up[Scheduler.Random.Next(up.Count)])
            {
                IsOlder = request.Target.Type.ToString() is "quota" or "subnet" or "vpc" && _faults.Strikes(FaultKind.OlderBuild),
            };
            Scheduler.Trace?.Invoke($"{made.Lane.Name} begins{(list.Count > 0 ? ", beside another" : "")}");
            if (list.Count > 0)
            {
                var older = list[0];
                Scheduler.After(Scheduler.Between(TimeSpan.FromSeconds(0.01), TimeSpan.FromSeconds(40)), () => Merge(older, made));
            }

            list.Add(made);
            made.Begin(_create);
            return made;
        }

        var chosen = list[Scheduler.Random.Next(list.Count)];
        return _faults.IsCut(request.From, chosen.Silo.Name) ? null : chosen;
    }
}
