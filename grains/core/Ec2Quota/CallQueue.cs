using System.Collections.Immutable;

namespace AwsVpcCni.Core.Ec2Quota;

/// <summary>Who waits for permits of one action: first come, first served within each need. Immutable; time comes in.</summary>
/// <remarks>Without it whoever happens to ask when a permit has come back gets it, and nobody knows how long his turn is away. An asker has one place,
/// and keeps it as long as it comes back when it was told to; so one that has gone holds up the others for seconds only.</remarks>
public sealed class CallQueue
{
    /// <summary>Places at most. Who comes beyond has none, and waits behind all of them.</summary>
    public const int Most = 10_000;

    /// <summary>Nobody waits.</summary>
    public static readonly CallQueue Empty = new(ImmutableSortedDictionary.Create<string, Place>(StringComparer.Ordinal), 0);

    private static readonly TimeSpan LongestAway = TimeSpan.FromSeconds(10); // Meanwhile the queue may have become shorter than was thought.
    private static readonly TimeSpan ComesBack = TimeSpan.FromSeconds(5); // After the wait that it was told, at the latest.
    private static readonly TimeSpan LongestKept = TimeSpan.FromMinutes(15); // What is further ahead, a clock that went back has left.

    private readonly ImmutableSortedDictionary<string, Place> _places;
    private readonly long _next;

    private CallQueue(ImmutableSortedDictionary<string, Place> places, long next) => (_places, _next) = (places, next);

    /// <summary>When to ask again, of one whose turn is this far away.</summary>
    public static TimeSpan AskAgain(TimeSpan wait) => wait < LongestAway ? wait : LongestAway;

    /// <summary>Others of the same need whose turn comes before the asker's.</summary>
    /// <param name="asker">Empty: one that takes no place, and comes after all.</param>
    public int Ahead(string asker, CallPriority need, DateTimeOffset now)
    {
        var own = _places.TryGetValue(asker, out var place) && place.Stands(now) ? place.Number : long.MaxValue;
        return _places.Count(other => other.Value.Need == need && other.Value.Number < own && other.Value.Stands(now));
    }

    /// <summary>The asker has to wait: it keeps its place, or gets the last one.</summary>
    /// <param name="wait">Until its turn, or until it asks at all.</param>
    public CallQueue With(string asker, CallPriority need, TimeSpan wait, DateTimeOffset now)
    {
        var places = _places.Values.All(place => place.Stands(now)) ? _places : _places.RemoveRange(_places.Where(one => !one.Value.Stands(now)).Select(one => one.Key));
        if (asker.Length == 0 || (places.Count >= Most && !places.ContainsKey(asker)))
        {
            return new CallQueue(places, _next);
        }

        var number = places.TryGetValue(asker, out var before) ? before.Number : _next;
        return new CallQueue(places.SetItem(asker, new Place(need, number, now + wait + ComesBack)), Math.Max(_next, number + 1));
    }

    /// <summary>The asker has had its turn.</summary>
    public CallQueue Without(string asker) => new(_places.Remove(asker), _next);

    private readonly record struct Place(CallPriority Need, long Number, DateTimeOffset Until)
    {
        public bool Stands(DateTimeOffset now) => Until >= now && Until - now < LongestKept;
    }
}
