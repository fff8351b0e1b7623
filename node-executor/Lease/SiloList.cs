namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Which silo is asked next: the one that answered last, then the others; silent ones not for a while. There is nobody else to ask when a list has one only:
/// after pauses that grow it is asked again, since a busy silo is silent now and then.</summary>
internal sealed class SiloList(IReadOnlyList<Uri> silos, TimeProvider time)
{
    private static readonly TimeSpan LeftOutFor = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);

    private readonly TimeSpan[] leftOutUntil = new TimeSpan[silos.Count];
    private int first;
    private int silences; // Of an only silo, since it answered last.

    internal IEnumerable<Uri> InOrder()
    {
        var now = BootClock.Now(time);
        var start = first;
        for (var n = 0; n < silos.Count; n++)
        {
            var index = (start + n) % silos.Count;
            if (leftOutUntil[index] <= now)
            {
                yield return silos[index];
            }
        }
    }

    /// <summary>The one that answered last; null for none yet.</summary>
    internal Uri? Last { get; private set; }

    internal void Answered(Uri silo)
    {
        (first, Last, silences) = (IndexOf(silo), silo, 0);
        leftOutUntil[first] = TimeSpan.Zero; // Another call may have waited in vain meanwhile.
    }

    /// <summary>It took the request and said nothing: each further try would cost a whole deadline.</summary>
    internal void Silent(Uri silo)
    {
        var (index, now) = (IndexOf(silo), BootClock.Now(time));
        if (silos.Count > 1)
        {
            (leftOutUntil[index], first) = (now + LeftOutFor, (index + 1) % silos.Count);
        }
        else if (leftOutUntil[index] <= now) // Calls that were under way together are one silence.
        {
            var pause = FirstPause * Math.Pow(2, Math.Min(silences++, 8));
            leftOutUntil[index] = now + (pause < LeftOutFor ? pause : LeftOutFor);
        }
    }

    private int IndexOf(Uri silo)
    {
        var index = 0;
        while (silos[index] != silo)
        {
            index++;
        }

        return index;
    }
}
