using System.Runtime.ExceptionServices;

namespace AwsVpcCni.Tests.Fleet.PerNode;

/// <summary>A clock that stands still until nothing is left to do at its time. All that waits for it runs on the thread that runs it, in one order.</summary>
internal sealed class VirtualTime : TimeProvider
{
    private static readonly DateTimeOffset Begin = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly PriorityQueue<TaskCompletionSource, (TimeSpan Due, long Sequence)> _due = new();
    private long _sequence;
    private ExceptionDispatchInfo? _broken;

    /// <summary>Since the beginning.</summary>
    public TimeSpan Now { get; private set; }

    public override DateTimeOffset GetUtcNow() => Begin + Now;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Now.Ticks;

    /// <summary>Something that goes on until it ends, or the run does.</summary>
    public async void Start(Func<Task> life)
    {
        try
        {
            await life();
        }
        catch (Exception e)
        {
            _broken ??= ExceptionDispatchInfo.Capture(e); // Thrown by the run: nobody awaits a life.
        }
    }

    /// <summary>Ends so much later.</summary>
    public Task After(TimeSpan wait)
    {
        var done = new TaskCompletionSource(); // What awaits it runs inside SetResult: no other thread comes into it.
        _due.Enqueue(done, (Now + wait, ++_sequence));
        return done.Task;
    }

    /// <summary>Until <paramref name="isDone"/> says so, which is asked after each step, or until <paramref name="end"/>.</summary>
    public void Run(TimeSpan end, Func<bool> isDone)
    {
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null); // A test's would take the continuations to itself.
        try
        {
            while (!isDone() && _due.TryPeek(out var next, out var key) && key.Due <= end)
            {
                _due.Dequeue();
                Now = key.Due;
                next.SetResult();
                _broken?.Throw();
            }

            Now = isDone() ? Now : end;
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }
}
