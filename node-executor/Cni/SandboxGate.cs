using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>Lets one request at a time work on a sandbox's links.</summary>
internal sealed class SandboxGate
{
    private readonly Dictionary<SandboxKey, Door> doors = []; // As many as requests are being served.

    /// <returns>Dispose it to let the next one in. Null when those before did not end in time.</returns>
    internal async Task<IDisposable?> EnterAsync(SandboxKey sandbox, TimeSpan most, CancellationToken cancellation)
    {
        Door? door;
        lock (doors)
        {
            if (!doors.TryGetValue(sandbox, out door))
            {
                doors[sandbox] = door = new Door(this, sandbox);
            }

            door.Users++;
        }

        var isIn = false;
        try
        {
            isIn = await door.Free.WaitAsync(most, cancellation);
            return isIn ? door : null;
        }
        finally
        {
            if (!isIn)
            {
                door.Leave();
            }
        }
    }

    private sealed class Door(SandboxGate gate, SandboxKey sandbox) : IDisposable
    {
        internal readonly SemaphoreSlim Free = new(1, 1);

        internal int Users { get; set; }

        internal void Leave()
        {
            lock (gate.doors)
            {
                if (--Users == 0)
                {
                    gate.doors.Remove(sandbox);
                }
            }
        }

        public void Dispose()
        {
            Free.Release();
            Leave();
        }
    }
}
