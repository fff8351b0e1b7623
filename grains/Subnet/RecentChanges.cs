using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Grains.Subnet;

/// <summary>A ledger's changes that a sweep may not have seen yet, or that a late message of before could undo: the last of each address.</summary>
/// <remarks>Bounded: DynamoDB takes 400 KB in an item, and each KB of a write is a write unit.</remarks>
/// <param name="All">In the order in which they came.</param>
/// <param name="Dropped">Up to this change some may be missing: there were too many. A sweep that began before it is not to be believed.</param>
public sealed record RecentChanges(ImmutableArray<LedgerChange> All, long Dropped)
{
    /// <summary>In the document, at most: some 1,300 changes of a block each. A sweep takes seconds.</summary>
    public const int MostBytes = 160 * 1024;

    private static readonly TimeSpan MessagesTake = TimeSpan.FromMinutes(2); // At most: an answer is waited for 30 s, and what was sent twice comes a moment later.

    /// <summary>As they are stored, also by a silo of before, which wrote one record for each address (ADR 0022).</summary>
    public static RecentChanges Of(SubnetDocument doc)
    {
        var known = new RecentChanges(doc.Changes, doc.DroppedChange);
        var before = doc.Recent.GroupBy(one => (one.Change, one.Used, one.NodeId, one.NodeChange, one.At), one => one.Address)
            .Select(one => new LedgerChange(one.Key.Change, !one.Key.Used, one.Key.NodeId, one.Key.NodeChange, one.Key.At.ToUnixTimeMilliseconds(), LedgerChange.Joined(one)));
        return doc.Recent.IsEmpty ? known : doc.Changes.Concat(before).OrderBy(one => one.Change).Aggregate(known with { All = [] }, (all, one) => all.With(one));
    }

    /// <summary>With one more, of a change number beyond all others; the last of its addresses.</summary>
    /// <param name="most">Bytes that all may have in the document.</param>
    public RecentChanges With(LedgerChange change, int most = MostBytes)
    {
        if (change.Blocks.IsEmpty)
        {
            return this;
        }

        ImmutableArray<LedgerChange> all = [.. Without(change.Blocks.SelectMany(block => block.Addresses).ToHashSet(), _ => true), change];
        var (drop, bytes) = (0, all.Sum(one => one.Bytes));
        for (; bytes > most; drop++)
        {
            bytes -= all[drop].Bytes;
        }

        return new RecentChanges(all[drop..], drop == 0 ? Dropped : Math.Max(Dropped, all[drop - 1].Change));
    }

    /// <summary>Without what this node has said of these addresses.</summary>
    public RecentChanges Without(string nodeId, IEnumerable<Ip> addresses) => this with { All = [.. Without(addresses.ToHashSet(), one => one.NodeId == nodeId)] };

    /// <summary>Those that a look need not show that began at this change.</summary>
    public ImmutableArray<LedgerChange> Since(long startedChange) => [.. All.Where(one => one.Change > startedChange)];

    /// <summary>Without those that such a look has shown, and that no message can undo any more.</summary>
    public RecentChanges Seen(long startedChange, DateTimeOffset now) =>
        this with { All = [.. All.Where(one => one.Change > startedChange || (now - DateTimeOffset.FromUnixTimeMilliseconds(one.At)).Duration() < MessagesTake)] };

    /// <summary>Without those of which something later was heard: a message that came late, or twice, must not bring back what
    /// was returned since, nor take away what another node has drawn since.</summary>
    public ImmutableArray<Ip> NotLate(IEnumerable<Ip> addresses, string nodeId, long nodeChange)
    {
        // Once through what is recent, and not once for each address: after many joins it is thousands, and a node tells its share with each change.
        var news = addresses.ToHashSet();
        foreach (var late in All.Where(one => one.NodeId == nodeId ? nodeChange <= one.NodeChange : !one.IsReturn).SelectMany(one => one.Blocks).SelectMany(block => block.Addresses))
        {
            news.Remove(late);
        }

        return [.. addresses.Where(news.Contains)];
    }

    private IEnumerable<LedgerChange> Without(IReadOnlySet<Ip> addresses, Func<LedgerChange, bool> from) =>
        All.Select(one => from(one) ? one.Without(addresses) : one).OfType<LedgerChange>();
}
