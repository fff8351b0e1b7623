namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Which silo is asked next: the one that answered last, then the others; silent ones not for a while. There is nobody else to ask when a list has one only:
/// after pauses that grow it is asked again, since a busy silo is silent now and then.</summary>
internal sealed class SiloList(IReadOnlyList<Uri> silos, TimeProvider time)
{
    private static readonly TimeSpan LeftOutFor = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);

    private volatile State now = new([.. silos]);

    /// <summary>Whether none answered when all were last asked, or none is known.</summary>
    internal bool IsLost { get; private set; } = silos.Count == 0;

    internal bool IsEmpty => now.Silos.Length == 0;

    internal IEnumerable<Uri> InOrder()
    {
        var state = now;
        var (at, start) = (BootClock.Now(time), state.First);
        for (var n = 0; n < state.Silos.Length; n++)
        {
            var index = (start + n) % state.Silos.Length;
            if (state.LeftOutUntil[index] <= at)
            {
                yield return state.Silos[index];
            }
        }
    }

    /// <summary>The one that answered last; null for none yet.</summary>
    internal Uri? Last { get; private set; }

    internal void Answered(Uri silo)
    {
        (Last, IsLost) = (silo, false);
        var state = now;
        if (Array.IndexOf(state.Silos, silo) is >= 0 and var index)
        {
            (state.First, state.Silences) = (index, 0);
            state.LeftOutUntil[index] = TimeSpan.Zero; // Another call may have waited in vain meanwhile.
        }
    }

    /// <summary>It took the request and said nothing: each further try would cost a whole deadline.</summary>
    internal void Silent(Uri silo)
    {
        var (state, at) = (now, BootClock.Now(time));
        if (Array.IndexOf(state.Silos, silo) is not (>= 0 and var index))
        {
            return; // It is no longer one of them.
        }

        if (state.Silos.Length > 1)
        {
            (state.LeftOutUntil[index], state.First) = (at + LeftOutFor, (index + 1) % state.Silos.Length);
        }
        else if (state.LeftOutUntil[index] <= at) // Calls that were under way together are one silence.
        {
            var pause = FirstPause * Math.Pow(2, Math.Min(state.Silences++, 8));
            state.LeftOutUntil[index] = at + (pause < LeftOutFor ? pause : LeftOutFor);
        }
    }

    /// <summary>All were asked, and none has answered.</summary>
    internal void Lost() => IsLost = true;

    /// <summary>These are the silos from now on. The one that answered last stays the first, if it is among them.</summary>
    internal void Replace(IReadOnlyList<Uri> found) =>
        now = new State([.. found]) { First = Last is { } last ? Math.Max(0, found.Index().FirstOrDefault(silo => silo.Item == last).Index) : 0 };

    private sealed class State(Uri[] silos)
    {
        public Uri[] Silos { get; } = silos;

        public TimeSpan[] LeftOutUntil { get; } = new TimeSpan[silos.Length];

        public int First { get; set; }

        public int Silences { get; set; } // Of an only silo, since it answered last.
    }
}
