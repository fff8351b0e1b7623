namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>What every interface looked like in the last while, for readers that lag behind.</summary>
internal sealed class InterfaceHistory
{
    private readonly SortedDictionary<long, List<Version>> _versions = [];
    private readonly Dictionary<(string Reader, long Eni), DateTimeOffset> _shown = [];

    /// <summary>Notes what an interface looks like from a moment on.</summary>
    /// <param name="view">Null: it is gone.</param>
    /// <param name="forget">Nobody will ask for a moment before this.</param>
    public void Record(long sequence, Eni? view, DateTimeOffset at, DateTimeOffset forget)
    {
        if (!_versions.TryGetValue(sequence, out var versions))
        {
            _versions[sequence] = versions = [];
        }

        versions.Add(new Version(at, view));
        versions.RemoveRange(0, Math.Max(0, versions.FindLastIndex(version => version.At <= forget)));
    }

    /// <summary>One reader's look at everything. It may be late by up to <paramref name="lag"/>, for each interface another time.</summary>
    public List<Eni> Read(string reader, TimeSpan lag, DateTimeOffset now, Random random)
    {
        var seen = new List<Eni>();
        foreach (var (sequence, versions) in _versions)
        {
            var at = now - (lag * random.NextDouble());
            if (_shown.TryGetValue((reader, sequence), out var shown) && shown > at)
            {
                at = shown;
            }

            _shown[(reader, sequence)] = at;
            if (At(versions, at) is { } view)
            {
                seen.Add(view);
            }
        }

        return seen;
    }

    /// <summary>What this reader has been shown of one interface, had it read some time later.</summary>
    public Eni? Later(string reader, long sequence, TimeSpan by) => At(_versions[sequence], _shown[(reader, sequence)] + by);

    /// <summary>Drops interfaces that are gone for everybody.</summary>
    public void DropGone(DateTimeOffset forget)
    {
        foreach (var sequence in _versions.Where(entry => entry.Value[^1] is { View: null } gone && gone.At <= forget).Select(entry => entry.Key).ToList())
        {
            _versions.Remove(sequence);
            foreach (var key in _shown.Keys.Where(key => key.Eni == sequence).ToList())
            {
                _shown.Remove(key);
            }
        }
    }

    private static Eni? At(List<Version> versions, DateTimeOffset at) => versions.FindLast(version => version.At <= at)?.View;

    private sealed record Version(DateTimeOffset At, Eni? View);
}
