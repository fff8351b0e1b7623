using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.VpcEmulator;

/// <summary>The model under a real clock and many callers: one at a time, transitions when they are due, and each event carried out
/// on the fabric, in order.</summary>
public sealed class LiveVpc : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly Vpc _vpc;
    private readonly ITimer _timer;
    private Func<VpcEvent, Task>? _carryOut;
    private Task _carriedOut = Task.CompletedTask;
    private bool _disposed;

    public LiveVpc(Vpc vpc, TimeProvider time)
    {
        _time = time;
        _vpc = vpc;
        _vpc.Happened += Enqueue;
        _timer = time.CreateTimer(_ => Do(_ => true), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Ends, with the reason, when an event could not be carried out: the fabric is not what the model says any more.</summary>
    public TaskCompletionSource Broken { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Everything that has happened so far is in force. An answer waits for it, so that who acts on the answer finds it so.</summary>
    public Task CarriedOut
    {
        get
        {
            lock (_lock)
            {
                return _carriedOut;
            }
        }
    }

    /// <summary>Whoever makes events real. Before the first event.</summary>
    public void CarryOutBy(Func<VpcEvent, Task> carryOut) => _carryOut = carryOut;

    /// <summary>Runs <paramref name="work"/> alone. What it returns must not read the model later.</summary>
    public T Do<T>(Func<Vpc, T> work)
    {
        lock (_lock)
        {
            try
            {
                _vpc.Advance();
                return work(_vpc);
            }
            finally
            {
                Arm();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _disposed = true;
        }

        await _timer.DisposeAsync();
        await CarriedOut.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // Broken has told.
    }

    private void Arm()
    {
        if (_vpc.NextDue is { } due && !_disposed)
        {
            var wait = due - _time.GetUtcNow();

            // A timer may fire a little early, so a millisecond more; and it takes no longer wait than about 49 days.
            _timer.Change(TimeSpan.FromMilliseconds(Math.Clamp(wait.TotalMilliseconds + 1, 1, 86_400_000)), Timeout.InfiniteTimeSpan);
        }
    }

    private void Enqueue(VpcEvent happened)
    {
        if (_carryOut is { } carryOut)
        {
            _carriedOut = NextAsync(_carriedOut, happened, carryOut);
        }
    }

    private async Task NextAsync(Task before, VpcEvent happened, Func<VpcEvent, Task> carryOut)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding); // The lock is held here: not on this thread.
        try
        {
            await carryOut(happened);
        }
        catch (Exception e)
        {
            Broken.TrySetException(e);
            throw;
        }
    }
}
