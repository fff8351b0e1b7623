using System.Collections.Immutable;

namespace AwsVpcCni.Core.Ec2Quota;

/// <summary>Who waits for permits of one action: first come, first served within each need. Immutable; time comes in.</summary>
/// <remarks>Without it whoever happens to ask when a permit has come back gets it, and nobody knows how long his turn is away. An asker has one place,
/// and keeps it as long as it comes back when it was told to; so one that has gone holds up the others for seconds only. No question walks through
/// all places: of ten thousand that wait, each asks every few seconds.</remarks>
public sealed class CallQueue
{
    /// <summary>Places at most. Who comes beyond has none, and waits behind all of them.</summary>
    public const int Most = 10_000;

    /// <summary>Nobody waits.</summary>
    public static readonly CallQueue Empty = new(ImmutableDictionary.Create<string, Place>(StringComparer.Ordinal), [], [.. Enum.GetValues<CallPriority>().Select(_ => ImmutableSortedSet<long>.Empty)], 0);

    private static readonly TimeSpan LongestAway = TimeSpan.FromSeconds(10); // Meanwhile the queue may have become shorter than was thought.
    private static readonly TimeSpan ComesBack = TimeSpan.FromSeconds(5); // After the wait that it was told, at the latest.
    private static readonly TimeSpan LongestKept = TimeSpan.FromMinutes(15); // What is further ahead, a clock that went back has left.

    private readonly ImmutableDictionary<string, Place> _places;
    private readonly ImmutableSortedSet<(DateTimeOffset Until, long Number, string Asker)> _ends; // Of all places.
    private readonly ImmutableArray<ImmutableSortedSet<long>> _numbers; // By CallPriority.
    private readonly long _next;

    private CallQueue(
        ImmutableDictionary<string, Place> places, ImmutableSortedSet<(DateTimeOffset Until, long Number, string Asker)> ends, ImmutableArray<ImmutableSortedSet<long>> numbers, long next) =>
        (_places, _ends, _numbers, _next) = (places, ends, numbers, next);

    /// <summary>When to ask again, of one whose turn is this far away.</summary>
    public static TimeSpan AskAgain(TimeSpan wait) => wait < LongestAway ? wait : LongestAway;

    /// <summary>Others of the same need whose turn comes before the asker's.</summary>
    /// <param name="asker">Empty: one that takes no place, and comes after all.</param>
    public int Ahead(string asker, CallPriority need, DateTimeOffset now)
    {
        var standing = Standing(now);
        var numbers = standing._numbers[(int)need];
        if (!standing._places.TryGetValue(asker, out var own))
        {
            return numbers.Count;
        }

        var index = numbers.IndexOf(own.Number);
        return index < 0 ? ~index : index; // Negative: its place is of another need.
    }

    /// <summary>For how long the asker has had its place; zero when it has none.</summary>
    public TimeSpan WaitedBy(string asker, DateTimeOffset now) => _places.TryGetValue(asker, out var place) && now > place.Since ? now - place.Since : TimeSpan.Zero;

    /// <summary>All places are others'.</summary>
    public bool IsFullFor(string asker) => asker.Length > 0 && _places.Count >= Most && !_places.ContainsKey(asker);

    /// <summary>Without those that have not come back in time.</summary>
    public CallQueue Standing(DateTimeOffset now)
    {
        var queue = this;
        while (queue._ends is [var first, ..] && first.Until < now)
        {
            queue = queue.Without(first.Asker);
        }

        while (queue._ends is [.., var last] && last.Until - now >= LongestKept)
        {
            queue = queue.Without(last.Asker);
        }

        return queue;
    }

    /// <summary>The asker has to wait: it keeps its place, or gets the last one.</summary>
    /// <param name="wait">Until its turn, or until it asks at all.</param>
    public CallQueue With(string asker, CallPriority need, TimeSpan wait, DateTimeOffset now)
    {
        var standing = Standing(now);
        if (asker.Length == 0 || standing.IsFullFor(asker))
        {
            return standing;
        }

        var (number, since) = standing._places.TryGetValue(asker, out var before) ? (before.Number, before.Since) : (standing._next, now);
        var place = new Place(need, number, since, now + wait + ComesBack);
        var others = standing.Without(asker);
        return new CallQueue(
            others._places.Add(asker, place), others._ends.Add((place.Until, place.Number, asker)),
            others._numbers.SetItem((int)need, others._numbers[(int)need].Add(place.Number)), Math.Max(_next, place.Number + 1));
    }

    /// <summary>The asker has had its turn.</summary>
    public CallQueue Without(string asker) => _places.TryGetValue(asker, out var place)
        ? new CallQueue(
            _places.Remove(asker), _ends.Remove((place.Until, place.Number, asker)),
            _numbers.SetItem((int)place.Need, _numbers[(int)place.Need].Remove(place.Number)), _next)
        : this;

    private readonly record struct Place(CallPriority Need, long Number, DateTimeOffset Since, DateTimeOffset Until);
}
