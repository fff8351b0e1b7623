namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Which silo is asked next: the one that answered last, then the others; silent ones not for a while.</summary>
internal sealed class SiloList(IReadOnlyList<Uri> silos, TimeProvider time)
{
    private static readonly TimeSpan LeftOutFor = TimeSpan.FromSeconds(5);

    private readonly TimeSpan[] leftOutUntil = new TimeSpan[silos.Count];
    private int first;

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

    internal void Answered(Uri silo) => (first, Last) = (IndexOf(silo), silo);

    /// <summary>It took the request and said nothing: each further try would cost a whole deadline.</summary>
    internal void Silent(Uri silo)
    {
        leftOutUntil[IndexOf(silo)] = BootClock.Now(time) + LeftOutFor;
        first = (IndexOf(silo) + 1) % silos.Count;
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
