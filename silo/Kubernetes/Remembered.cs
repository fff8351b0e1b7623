using System.Diagnostics.CodeAnalysis;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Answers that hold for a time, each for as long, and so many at most: the oldest goes first.</summary>
/// <param name="most">Kept at once.</param>
/// <param name="time">Its timestamps: a clock that is set back lengthens nothing.</param>
internal sealed class Remembered<T>(int most, TimeSpan age, TimeProvider time)
    where T : class
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, (T Value, long Since)> _values = new(StringComparer.Ordinal);
    private readonly Queue<(string Key, long Since)> _oldest = new(); // A key that was kept again is in it twice.

    /// <summary>What still holds.</summary>
    public bool TryFind(string key, [NotNullWhen(true)] out T? value)
    {
        lock (_lock)
        {
            value = _values.TryGetValue(key, out var kept) && time.GetElapsedTime(kept.Since) < age ? kept.Value : null;
            return value is not null;
        }
    }

    /// <summary>Keeps it from now on, in place of what there was.</summary>
    public void Keep(string key, T value)
    {
        lock (_lock)
        {
            while (_oldest.TryPeek(out var oldest) && (_oldest.Count >= most || time.GetElapsedTime(oldest.Since) >= age))
            {
                _oldest.Dequeue();
                if (_values.TryGetValue(oldest.Key, out var kept) && kept.Since == oldest.Since)
                {
                    _values.Remove(oldest.Key);
                }
            }

            var now = time.GetTimestamp();
            _values[key] = (value, now);
            _oldest.Enqueue((key, now));
        }
    }
}
