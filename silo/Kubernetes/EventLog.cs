using System.Security.Cryptography;
using System.Text;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>Which news are to be told when. Pure but for its memory: what goes on is one event whose count goes up, ever more seldom; what passes at once is none.</summary>
/// <param name="seed">Of this process: two silos never count up one another's event.</param>
internal sealed class EventLog(string seed)
{
    /// <summary>What goes on so long is worth an event.</summary>
    public static readonly TimeSpan Settles = TimeSpan.FromSeconds(10);

    /// <summary>Between its first and its second telling; then twice as long each time, up to <see cref="LongestPause"/>.</summary>
    public static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(30);

    /// <summary>An API server keeps an event for an hour after its last telling (<c>--event-ttl</c>).</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(16);

    private const int MostKept = 5_000;
    private const int LongestName = 200; // With the rest it is below 253 characters, a name's limit.

    private readonly Dictionary<string, Told> _told = new(StringComparer.Ordinal);

    /// <summary>How many things it remembers.</summary>
    public int Count => _told.Count;

    /// <summary>What is to be told now, what is new first.</summary>
    public IReadOnlyList<Told> Due(IEnumerable<News> all, DateTimeOffset now, int most)
    {
        var due = new List<Told>();
        foreach (var news in all.DistinctBy(one => one.Key)) // Two sandboxes of one pod may wait.
        {
            if (!_told.TryGetValue(news.Key, out var told))
            {
                if (_told.Count >= MostKept)
                {
                    continue; // What has gone makes room.
                }

                _told[news.Key] = told = new Told(Name(news), now);
            }

            if (told.IsDue(news, now))
            {
                due.Add(told);
            }
        }

        foreach (var (key, _) in _told.Where(entry => now - entry.Value.SeenAt > (entry.Value.IsTold ? 2 * LongestPause : Settles)).ToArray())
        {
            _told.Remove(key);
        }

        return [.. due.OrderBy(told => told.IsTold).Take(most)];
    }

    private string Name(News news) =>
        $"{(news.About.Name.Length > LongestName ? news.About.Name[..LongestName].TrimEnd('.', '-') : news.About.Name)}.{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}/{news.Key}")).AsSpan(0, 8))}";
}

/// <summary>One thing, and how often it has been told.</summary>
/// <param name="name">Of its event.</param>
/// <param name="first">When it was seen first, in UTC.</param>
internal sealed class Told(string name, DateTimeOffset first)
{
    private DateTimeOffset _next = DateTimeOffset.MinValue;
    private DateTimeOffset? _toldOf; // Which of those that happen at a moment.
    private int _tellings;

    /// <summary>Of its event.</summary>
    public string Name => name;

    /// <summary>As it was last.</summary>
    public News News { get; private set; } = null!;

    /// <summary>When it was seen last, in UTC.</summary>
    public DateTimeOffset SeenAt { get; private set; }

    /// <summary>When its event began, in UTC.</summary>
    public DateTimeOffset First { get; private set; } = first;

    /// <summary>So often it has been told; 0: there is no event.</summary>
    public int Count { get; private set; }

    /// <summary>Whether it has been told, or tried, at all.</summary>
    public bool IsTold => _tellings > 0;

    /// <summary>Takes it in as it is now.</summary>
    public bool IsDue(News news, DateTimeOffset now)
    {
        (News, SeenAt) = (news, now);
        return now >= _next && (news.At is { } at ? _toldOf != at : IsTold || now - First >= EventLog.Settles);
    }

    /// <summary>The API server has it.</summary>
    public void Tell(DateTimeOffset now)
    {
        Leave(now);
        Count++;
    }

    /// <summary>It was told, or cannot be: not again soon.</summary>
    public void Leave(DateTimeOffset now)
    {
        _next = now + TimeSpan.FromTicks(Math.Min(EventLog.LongestPause.Ticks, EventLog.ShortestPause.Ticks << Math.Min(_tellings, 10)));
        (_toldOf, _tellings) = (News.At, _tellings + 1);
    }

    /// <summary>The API server no longer has it: its event begins anew, and is told no more often than before.</summary>
    public void Forget(DateTimeOffset now) => (First, Count) = (now, 0);
}
