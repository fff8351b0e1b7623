using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>Lets one request at a time work on a sandbox's links; the others in the order in which they came.</summary>
internal sealed class SandboxGate(TimeProvider time)
{
    private readonly Dictionary<SandboxKey, Door> doors = []; // As many as requests are being served.

    /// <returns>Dispose it to let the next one in. Null when those before did not end in time.</returns>
    internal async Task<IDisposable?> EnterAsync(SandboxKey sandbox, TimeSpan most, CancellationToken cancellation)
    {
        Door? door;
        // One source for turn, time and cancellation, awaited as it is: a semaphore's wait with a token goes by way of the thread pool.
        var turn = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (doors)
        {
            if (!doors.TryGetValue(sandbox, out door))
            {
                return doors[sandbox] = new Door(this, sandbox);
            }

            door.Waiting.Enqueue(turn);
        }

        using var timer = time.CreateTimer(static turn => ((TaskCompletionSource<bool>)turn!).TrySetResult(false), turn, most, Timeout.InfiniteTimeSpan);
        using var registration = cancellation.UnsafeRegister(static (turn, cancelled) => ((TaskCompletionSource<bool>)turn!).TrySetCanceled(cancelled), turn);
        return await turn.Task ? door : null;
    }

    /// <returns>Dispose it to let the next one in. Null when somebody is inside.</returns>
    internal IDisposable? TryEnter(SandboxKey sandbox)
    {
        lock (doors)
        {
            var door = new Door(this, sandbox);
            return doors.TryAdd(sandbox, door) ? door : null;
        }
    }

    private sealed class Door(SandboxGate gate, SandboxKey sandbox) : IDisposable
    {
        internal readonly Queue<TaskCompletionSource<bool>> Waiting = []; // Those that have given up too, until their turn.

        public void Dispose()
        {
            lock (gate.doors)
            {
                while (Waiting.TryDequeue(out var next))
                {
                    if (next.TrySetResult(true))
                    {
                        return; // It has the door now.
                    }
                }

                gate.doors.Remove(sandbox);
            }
        }
    }
}
