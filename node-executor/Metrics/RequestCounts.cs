using System.Collections.Immutable;
using AwsVpcCni.CniProtocol;

namespace AwsVpcCni.NodeExecutor.Metrics;

/// <summary>How many requests of plugins have ended, how, and how long they took. From any thread.</summary>
internal sealed class RequestCounts
{
    /// <summary>Upper ends of the durations that are counted together, in seconds: from a wired pod of a warm node to an ADD's deadline.</summary>
    internal static readonly ImmutableArray<double> Bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240];

    private readonly Lock gate = new();
    private readonly SortedDictionary<(string Command, int Code), long> ended = [];
    private readonly SortedDictionary<string, Durations> durations = new(StringComparer.Ordinal);

    /// <summary>ADD and DEL are there from the start, at 0.</summary>
    internal RequestCounts()
    {
        foreach (var command in (CniCommand[])[CniCommand.Add, CniCommand.Del])
        {
            ended[(NameOf(command), 0)] = 0;
            durations[NameOf(command)] = Durations.None;
        }
    }

    /// <summary>One has ended.</summary>
    /// <param name="command">Null: it could not be read.</param>
    /// <param name="code">Of a <see cref="CniErrorCode"/>; 0 for success.</param>
    internal void Ended(CniCommand? command, int code, TimeSpan took)
    {
        var name = NameOf(command);
        lock (gate)
        {
            ended[(name, code)] = ended.GetValueOrDefault((name, code)) + 1;
            durations[name] = durations.GetValueOrDefault(name, Durations.None).With(took.TotalSeconds);
        }
    }

    internal (ImmutableArray<(string Command, int Code, long Count)> Ended, ImmutableArray<(string Command, Durations Durations)> Took) Snapshot()
    {
        lock (gate)
        {
            return ([.. ended.Select(one => (one.Key.Command, one.Key.Code, one.Value))], [.. durations.Select(one => (one.Key, one.Value))]);
        }
    }

    private static string NameOf(CniCommand? command) => command?.ToString().ToUpperInvariant() ?? "unknown";

    /// <summary>Durations of one command.</summary>
    /// <param name="Counts">One more than <see cref="Bounds"/>: those above all of them.</param>
    /// <param name="Seconds">The sum.</param>
    internal sealed record Durations(ImmutableArray<long> Counts, double Seconds)
    {
        internal static readonly Durations None = new([.. new long[Bounds.Length + 1]], 0);

        internal Durations With(double seconds)
        {
            var found = Bounds.BinarySearch(seconds);
            var index = found < 0 ? ~found : found;
            return new Durations(Counts.SetItem(index, Counts[index] + 1), Seconds + seconds);
        }
    }
}
