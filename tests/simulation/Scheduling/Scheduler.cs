using System.Diagnostics;

namespace AwsVpcCni.Tests.Simulation.Scheduling;

/// <summary>One thread, one seeded Random, virtual time: runs a task of some lane that has one, else lets the next event happen.</summary>
/// <remarks>Time moves only when no lane has work. The first thing that is wrong ends the seed; it is kept here, since whoever threw
/// it may be a pool thread, or a retry that swallows it.</remarks>
internal sealed class Scheduler(int seed)
{
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly List<SimLane> _ready = [];
    private readonly PriorityQueue<Action, (long Due, int Tie, long Sequence)> _events = new();
    private readonly Lock _failureLock = new();
    private long _sequence;
    private int _lanes;
    private ulong _hash = 14695981039346656037; // FNV-1a.
    private volatile string? _failure;

    public Random Random { get; } = new(seed);

    /// <summary>Since the world's beginning.</summary>
    public TimeSpan Now { get; private set; }

    /// <summary>Turns and events so far.</summary>
    public long Steps { get; private set; }

    /// <summary>Of everything that happened, in order: equal for equal seeds, in every process.</summary>
    public ulong Hash => _hash;

    /// <summary>What went wrong first; null while all is well.</summary>
    public string? Failure => _failure;

    /// <summary>Called before each turn of a lane: here faults strike.</summary>
    public Action<SimLane>? BeforeTurn { get; set; }

    /// <summary>Called after each step.</summary>
    public Action? AfterStep { get; set; }

    /// <summary>Null: nobody reads it, and it costs nothing.</summary>
    public Action<string>? Trace { get; set; }

    public int NextLane() => ++_lanes;

    /// <summary>Runs until the condition holds (looked at after each step), something is wrong, or nothing is left to happen.</summary>
    public void RunUntil(TimeSpan end, long mostSteps, Func<bool>? condition = null)
    {
        while (_failure is null && condition?.Invoke() != true)
        {
            if (Steps >= mostSteps)
            {
                Fail($"the seed has taken {mostSteps} steps without coming to an end: something runs in circles");
            }
            else if (_ready.Count > 0)
            {
                RunOne();
            }
            else if (_events.TryPeek(out _, out var key) && key.Due <= end.Ticks)
            {
                var act = _events.Dequeue();
                (Now, Steps) = (TimeSpan.FromTicks(key.Due), Steps + 1);
                Note(key.Due);
                Guarded(act);
            }
            else
            {
                Now = end > Now ? end : Now;
                return;
            }

            AfterStep?.Invoke();
        }
    }

    /// <summary>Happens later, on no lane.</summary>
    public void After(TimeSpan wait, Action act)
    {
        RequireThread("an event");
        _events.Enqueue(act, (Math.Max(0, wait.Ticks) + Now.Ticks, Random.Next(), ++_sequence));
    }

    /// <summary>Between the two, any of them as likely.</summary>
    public TimeSpan Between(TimeSpan least, TimeSpan most) => least + ((most - least) * Random.NextDouble());

    public bool Chance(double rate) => rate > 0 && Random.NextDouble() < rate;

    /// <summary>Something is wrong. The first one counts.</summary>
    public void Fail(string what)
    {
        lock (_failureLock)
        {
            _failure ??= $"at {Now}: {what}";
        }
    }

    /// <summary>Goes into the hash: never an id that the runtime hands out.</summary>
    public void Note(long value) => _hash = (_hash ^ (ulong)value) * 1099511628211;

    /// <summary>The first net: whoever comes in on another thread has left the simulation.</summary>
    public bool RequireThread(string what)
    {
        if (Environment.CurrentManagedThreadId == _thread)
        {
            return true;
        }

        Fail($"{what} came from another thread: something has left the scheduler.\n{new StackTrace(1, fNeedFileInfo: true)}");
        return false;
    }

    /// <summary>The second net: what product code calls must come from a lane, else an await has lost it (ConfigureAwait(false)).</summary>
    public SimLane RequireLane(string what)
    {
        if (RequireThread(what) && TaskScheduler.Current is SimLane lane)
        {
            return lane;
        }

        Fail($"{what} was called on no lane: an await has lost its scheduler.\n{new StackTrace(1, fNeedFileInfo: true)}");
        throw new InvalidOperationException($"{what} was called on no lane");
    }

    internal void MakeReady(SimLane lane) => _ready.Add(lane);

    private void RunOne()
    {
        var index = Random.Next(_ready.Count);
        var lane = _ready[index];
        if (lane.Life.IsOver)
        {
            lane.Drop();
            RemoveReady(index);
            return;
        }

        Steps++;
        Note(lane.Number);
        BeforeTurn?.Invoke(lane);
        if (!lane.Life.IsOver && !lane.IsStalled)
        {
            lane.RunOne();
        }

        if (!lane.HasWork || lane.IsStalled || lane.Life.IsOver)
        {
            RemoveReady(index); // Others have at most come after it.
            lane.NotReady();
        }
    }

    private void RemoveReady(int index)
    {
        _ready[index] = _ready[^1];
        _ready.RemoveAt(_ready.Count - 1);
    }

    private void Guarded(Action act)
    {
#pragma warning disable CA1031 // Whatever it is, it is this seed's failure.
        try
        {
            act();
        }
        catch (Exception e)
        {
            Fail($"an event threw: {e}");
        }
#pragma warning restore CA1031
    }
}
