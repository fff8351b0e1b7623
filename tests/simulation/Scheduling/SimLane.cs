namespace AwsVpcCni.Tests.Simulation.Scheduling;

/// <summary>Something that can be killed at any await: an activation, a silo, an executor, a machine. What it began to await never goes on.</summary>
internal sealed class Life(string name, Life? parent = null)
{
    private bool _isOver;

    public string Name => name;

    public bool IsOver => _isOver || parent?.IsOver == true;

    /// <summary>As kill -9: not even <c>finally</c> runs.</summary>
    public void End() => _isOver = true;
}

/// <summary>Tasks of one owner, one at a time, in order. What awaits on it comes back to it.</summary>
internal sealed class SimLane(Scheduler scheduler, Life life, string name) : TaskScheduler
{
    private readonly Queue<Task> _queue = [];
    private readonly List<Task> _awaited = [];
    private bool _isReady;

    public int Number { get; } = scheduler.NextLane();

    public Life Life => life;

    public string Name => name;

    /// <summary>What it belongs to: whose code runs here.</summary>
    public object? Owner { get; init; }

    public bool HasWork => _queue.Count > 0;

    public bool IsStalled { get; private set; }

    /// <summary>What its code waits for out in the world, and what of it is about to go on: where to look for the awaits that it is at.</summary>
    public IEnumerable<object?> Waiting => [.. _awaited.Where(task => !task.IsCompleted), .. _queue.Select(task => task.AsyncState)];

    /// <summary>Its code waits for this from now on.</summary>
    public void Awaits(Task task)
    {
        if (_awaited.Count >= 64)
        {
            _awaited.RemoveAll(one => one.IsCompleted);
        }

        _awaited.Add(task);
    }

    /// <summary>Starts it. What it throws, and nobody can await, is a failure of the seed.</summary>
    public void Start(string what, Func<Task> work) => Task.Factory.StartNew(() => GuardAsync(what, work), CancellationToken.None, TaskCreationOptions.DenyChildAttach, this);

    /// <summary>Gets no turn for a while: the zombie that wakes up with a write in its hand.</summary>
    public void Stall(TimeSpan time)
    {
        IsStalled = true;
        scheduler.After(time, () =>
        {
            IsStalled = false;
            Ready();
        });
    }

    public void Drop() => _queue.Clear();

    public void NotReady() => _isReady = false;

    public void RunOne() => TryExecuteTask(_queue.Dequeue());

    protected override void QueueTask(Task task)
    {
        // The dead may be woken by the finalizer thread: nothing of them runs.
        if (!life.IsOver && scheduler.RequireThread($"a task of {name}"))
        {
            _queue.Enqueue(task);
            Ready();
        }
    }

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) =>
        !taskWasPreviouslyQueued && Current == this && !life.IsOver && scheduler.RequireThread($"a task of {name}") && TryExecuteTask(task);

    protected override IEnumerable<Task> GetScheduledTasks() => _queue;

    private void Ready()
    {
        if (!_isReady && !IsStalled && HasWork)
        {
            _isReady = true;
            scheduler.MakeReady(this);
        }
    }

    private async Task GuardAsync(string what, Func<Task> work)
    {
#pragma warning disable CA1031 // Whatever it is, it is this seed's failure.
        try
        {
            await work();
        }
        catch (Exception e)
        {
            scheduler.Fail($"{name}: {what} ended with {e}");
        }
#pragma warning restore CA1031
    }
}
