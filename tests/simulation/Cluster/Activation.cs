using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.Tests.Simulation.Scheduling;
using Orleans.Concurrency;
using Orleans.Serialization.Invocation;
using Orleans.Storage;
using Orleans.Timers;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>One activation of a grain, and what Orleans does around it: state first, then OnActivateAsync, then requests, one at a time unless reentrant.</summary>
internal sealed class Activation : IGrainContext, IServiceProvider
{
    private readonly Transport _transport;
    private readonly Queue<Request> _waiting = [];
    private readonly List<GrainTimer> _timers = [];
    private IGrainBase? _grain;
    private bool _isReentrant;
    private bool _isActive;
    private int _running;

    public Activation(Transport transport, GrainId id, SiloNode silo)
    {
        (_transport, GrainId, Silo) = (transport, id, silo);
        Life = new Life($"{id} on {silo.Name}", silo.Life);
        Lane = new SimLane(transport.Scheduler, Life, Life.Name) { Owner = this };
        Clock = new Clock(transport.Scheduler, Life, silo.Wall);
    }

    public SiloNode Silo { get; }

    public Life Life { get; }

    public SimLane Lane { get; }

    public Clock Clock { get; }

    public GrainId GrainId { get; }

    /// <summary>It takes no new request; those that run end.</summary>
    public bool IsLeaving { get; private set; }

    public bool IsLive => !IsLeaving && !Life.IsOver;

    /// <summary>On a silo of an older build, which has not all of the grain's methods (ADR 0011).</summary>
    public bool IsOlder { get; init; }

    /// <summary>The request that runs now; null: none, or the grain is reentrant and several may.</summary>
    public IInvokable? Serves { get; private set; }

    /// <summary>A node's: an executor's report has reached it.</summary>
    public bool HasReport { get; private set; }

    /// <summary>What a persistent state read has to do before OnActivateAsync.</summary>
    public List<Func<Task>> Reads { get; } = [];

    public object? GrainInstance => _grain;

    public IServiceProvider ActivationServices => this;

    public void Begin(Func<Activation, IGrainBase> create)
    {
        Lane.Start("the activation", async () =>
        {
            _grain = create(this);
            _isReentrant = Attribute.IsDefined(_grain.GetType(), typeof(ReentrantAttribute));
#pragma warning disable CA1031 // As Orleans does: whatever the activation throws, its callers get it, and the next request makes another.
            try
            {
                foreach (var read in Reads)
                {
                    await read();
                }

                await _grain.OnActivateAsync(CancellationToken.None);
            }
            catch (Exception e)
            {
                _transport.Surprise(this, "its activation", e);
                Leave();
                while (_waiting.TryDequeue(out var refused))
                {
                    refused.Answer(Response.FromException(e));
                }

                return;
            }
#pragma warning restore CA1031

            _isActive = true;
            Next();
        });
    }

    public void Take(Request request)
    {
        if (request.Interleaves && _isActive && IsLive)
        {
            Lane.Start(request.Name, () => RunAsync(request));
            return;
        }

        _waiting.Enqueue(request);
        if (_isActive)
        {
            Next();
        }
    }

    public void Deactivate(DeactivationReason deactivationReason, CancellationToken cancellationToken = default) => Leave();

    public object? GetTarget() => _grain;

    public object? GetComponent(Type componentType) => null;

    public object? GetService(Type serviceType) => serviceType == typeof(ITimerRegistry) ? new Timers(this) : null;

    public bool Equals(IGrainContext? other) => ReferenceEquals(this, other);

    /// <summary>Ends timers, and hands what waits to another activation, as Orleans does.</summary>
    private void Leave()
    {
        if (!IsLive)
        {
            return;
        }

        IsLeaving = true;
        _transport.Left(this);
        _timers.ForEach(timer => timer.Dispose());
        while (_isActive && _waiting.TryDequeue(out var request))
        {
            _transport.Deliver(request);
        }
    }

    private void Next()
    {
        while (IsLive && _waiting.Count > 0 && (_isReentrant || _running == 0))
        {
            var request = _waiting.Dequeue();
            _running++;
            Lane.Start(request.Name, async () =>
            {
                await RunAsync(request);
                _running--;
                Next();
            });
        }
    }

    private async Task RunAsync(Request request)
    {
        RequestContext.Clear();
        var body = Codecs.Read<IInvokable>(request.Body); // Each delivery its own copy.
        if (IsOlder && body.GetMethodName() is nameof(IEc2QuotaGrain.TakeForAsync) or nameof(IEc2QuotaGrain.TakeInTurnAsync) or nameof(IEc2QuotaGrain.ExpectAsync)
            or nameof(ISubnetGrain.LookedAsync) or nameof(IVpcGrain.LookAtMeAsync))
        {
            request.Answer(Response.FromException(new TypeLoadException($"{request.Name} is not known to this build.")));
            return;
        }

        HasReport |= body.GetMethodName() == nameof(INodeGrain.SyncAsync);
        body.SetTarget(this);
        var isAlone = !_isReentrant && !request.Interleaves;
        Serves = isAlone ? body : Serves;
        var response = await body.Invoke();
        Serves = isAlone ? null : Serves;
        if (response.Exception is { } thrown)
        {
            _transport.Surprise(this, request.Name, thrown);
            if (thrown is InconsistentStateException)
            {
                Leave();
            }
        }

        request.Answer(response);
    }

    // What grains of ours do not ask their context for.
    public GrainReference GrainReference => throw Unused();

    public ActivationId ActivationId => throw Unused();

    public GrainAddress Address => throw Unused();

    public IGrainLifecycle ObservableLifecycle => throw Unused();

    public IWorkItemScheduler Scheduler => throw Unused();

    public Task Deactivated => throw Unused();

    public void SetComponent<TComponent>(TComponent? value)
        where TComponent : class => throw Unused();

    public void ReceiveMessage(object message) => throw Unused();

    public void Activate(Dictionary<string, object>? requestContext, CancellationToken cancellationToken = default) => throw Unused();

    public void Rehydrate(IRehydrationContext context) => throw Unused();

    public void Migrate(Dictionary<string, object>? requestContext, CancellationToken cancellationToken = default) => throw Unused();

    private static NotSupportedException Unused() => new("no grain of ours asks its context for it");

    private sealed class Timers(Activation activation) : ITimerRegistry
    {
        public IGrainTimer RegisterGrainTimer<TState>(IGrainContext grainContext, Func<TState, CancellationToken, Task> callback, TState state, GrainTimerCreationOptions options)
        {
            var timer = new GrainTimer(activation, cancellation => callback(state, cancellation));
            activation._timers.Add(timer);
            timer.Change(options.DueTime, options.Period);
            return timer;
        }

        public IDisposable RegisterTimer(IGrainContext grainContext, Func<object?, Task> callback, object? state, TimeSpan dueTime, TimeSpan period) => throw Unused();
    }

    /// <summary>A tick interleaves with requests, not with another tick: a change during one takes effect when it has ended.</summary>
    private sealed class GrainTimer(Activation activation, Func<CancellationToken, Task> tick) : IGrainTimer
    {
        private readonly CancellationTokenSource _end = new();
        private TimeSpan _period;
        private TimeSpan? _changed;
        private bool _isFiring;
        private int _version;

        public void Change(TimeSpan dueTime, TimeSpan period)
        {
            _period = period;
            if (_isFiring)
            {
                _changed = dueTime;
            }
            else
            {
                Arm(dueTime);
            }
        }

        public void Dispose() => activation._transport.Scheduler.After(TimeSpan.Zero, _end.Cancel);

        private void Arm(TimeSpan wait)
        {
            var version = ++_version;
            activation._transport.Scheduler.After(wait, () =>
            {
                if (version == _version && activation.IsLive)
                {
                    _isFiring = true;
                    activation.Lane.Start("a tick", TickAsync);
                }
            });
        }

        private async Task TickAsync()
        {
            RequestContext.Clear();
#pragma warning disable CA1031 // As Orleans does: the tick's exception is logged, and the timer goes on.
            try
            {
                await tick(_end.Token);
            }
            catch (Exception e)
            {
                activation._transport.Surprise(activation, "a tick", e);
            }
#pragma warning restore CA1031

            _isFiring = false;
            if (activation.IsLive)
            {
                Arm(_changed ?? _period);
                _changed = null;
            }
        }
    }
}
