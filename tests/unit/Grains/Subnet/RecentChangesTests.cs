using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Grains.Subnet;

/// <summary>A ledger's changes in short say what a record for each address said, which is how they were kept before and how a silo of before keeps them.</summary>
public sealed class RecentChangesTests
{
    private const int Addresses = 64; // Four /28s.

    private static readonly Ip First = Ip.Parse("10.0.0.0");
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch.AddYears(56);
    private static readonly string[] Nodes = ["i-1", "i-2", "i-3"];

    private enum Kind
    {
        Drawn,
        Returned,
        Gone,
        Swept,
    }

    private sealed record Step(Kind Kind, string Node, long NodeChange, ImmutableArray<Ip> Addresses, int Passed, int Age, bool ByBefore);

    private static readonly Gen<ImmutableArray<Ip>> Some = Gen.Select(Gen.Int[0, Addresses - 1], Gen.Int[1, 40]).Select(ImmutableArray<Ip> (from, count) =>
        [.. Enumerable.Range(from, Math.Min(count, Addresses - from)).Select(offset => First + offset)]);

    private static readonly Gen<Step> Steps = Gen.Select(Gen.Enum<Kind>(), Gen.Int[0, 2].Select(node => Nodes[node]), Gen.Int[0, 9], Some, Gen.Int[0, 90_000], Gen.Int[0, 6], Gen.Bool)
        .Select((kind, node, change, addresses, passed, age, byBefore) => new Step(kind, node, change, addresses, passed, age, byBefore));

    [Fact]
    public void They_say_the_same_as_a_record_for_each_address_after_any_changes_and_sweeps() => Steps.Array[1, 30].Sample(steps =>
    {
        var (records, doc, change, now) = (ImmutableArray<RecentChange>.Empty, new SubnetDocument(), 0L, Start);
        foreach (var step in steps)
        {
            now += TimeSpan.FromMilliseconds(step.Passed);
            change += step.Kind == Kind.Swept ? 0 : 1;
            records = Long(records, step, change, now);
            doc = Stored(doc.With(Short(RecentChanges.Of(doc), step, change, now)));
            AssertSame(records, RecentChanges.Of(doc), change);
        }
    });

    /// <summary>Which writes its own beside ours, and leaves ours as they are.</summary>
    [Fact]
    public void What_a_silo_of_before_draws_and_returns_in_between_counts_as_ours_does() => Steps.Where(step => step.Kind < Kind.Gone).Array[1, 30].Sample(steps =>
    {
        var (records, doc, change, now) = (ImmutableArray<RecentChange>.Empty, new SubnetDocument(), 0L, Start);
        foreach (var step in steps)
        {
            now += TimeSpan.FromMilliseconds(step.Passed);
            change++;
            records = Long(records, step, change, now);
            doc = step.ByBefore ? Before(doc, recent => Long(recent, step, change, now)) : Stored(doc.With(Short(RecentChanges.Of(doc), step, change, now)));
            AssertSame(records, RecentChanges.Of(doc), change);
        }
    });

    [Fact]
    public void However_many_there_are_they_stay_within_their_bytes_and_no_look_that_is_believed_has_missed_one() =>
        Gen.Select(Gen.Int[1000, 2500], Gen.Int[1, 32], Gen.Long[1, long.MaxValue / 2]).Sample((count, each, first) =>
        {
            var all = new RecentChanges([], 0);
            foreach (var number in Enumerable.Range(0, count))
            {
                var addresses = Enumerable.Range(0, each).Select(offset => First + ((number * each) + offset));
                all = all.With(new LedgerChange(first + number, number % 2 == 0, $"i-{number:x17}", number, Start.ToUnixTimeMilliseconds(), LedgerChange.Joined(addresses)));
            }

            Assert.InRange(Stored(new SubnetDocument().With(all), out var bytes).Changes.Length, 1, count);
            Assert.InRange(bytes, 1, RecentChanges.MostBytes + (all.All.Length * 32) + 1024); // Numbers of 19 digits, which no ledger has.
            Assert.Equal(Enumerable.Range(0, count).Select(number => first + number).Where(change => change > all.Dropped), all.All.Select(one => one.Change));
        }, iter: 8);

    [Fact]
    public void A_prefix_is_one_block_until_one_of_its_addresses_has_changed_again()
    {
        var all = new RecentChanges([], 0).With(Change(1, 0, 16)).With(Change(2, 16, 29));
        Assert.Equal(["10.0.0.0/28", "10.0.0.16/28"], all.All.Select(one => one.Blocks[0].ToString()));
        Assert.Equal(1 + 13, all.All[1].Blocks.Length);

        all = all.With(Change(3, 5, 1));

        Assert.Equal([15, 14, 1], all.All.Select(one => one.Blocks.Length));

        static LedgerChange Change(long change, int from, int count) =>
            new(change, false, "i-1", change, 0, LedgerChange.Joined(Enumerable.Range(from, count).Select(offset => First + offset)));
    }

    private static RecentChanges Short(RecentChanges all, Step step, long change, DateTimeOffset now) => step.Kind switch
    {
        Kind.Gone => all.Without(step.Node, step.Addresses),
        Kind.Swept => all.Seen(change - step.Age, now),
        var kind => all.With(new LedgerChange(change, kind == Kind.Returned, step.Node, step.NodeChange, now.ToUnixTimeMilliseconds(), LedgerChange.Joined(step.Addresses))),
    };

    /// <summary>As SubnetGrain did it before.</summary>
    private static ImmutableArray<RecentChange> Long(ImmutableArray<RecentChange> all, Step step, long change, DateTimeOffset now) => step.Kind switch
    {
        Kind.Gone => all.RemoveAll(one => one.NodeId == step.Node && step.Addresses.Contains(one.Address)),
        Kind.Swept => [.. all.Where(one => one.Change > change - step.Age || (now - one.At).Duration() < TimeSpan.FromMinutes(2))],
        var kind => [.. all.Where(one => !step.Addresses.Contains(one.Address)), .. step.Addresses.Select(address => new RecentChange(address, change, kind == Kind.Drawn, step.Node, step.NodeChange, now))],
    };

    private static void AssertSame(ImmutableArray<RecentChange> expected, RecentChanges all, long change)
    {
        for (var started = Math.Max(0, change - 8); started <= change; started++)
        {
            Assert.Equal(
                expected.Where(one => one.Change > started).Select(one => (one.Address, one.Used, one.NodeId, one.NodeChange)).Order(),
                all.Since(started).SelectMany(one => one.Blocks.SelectMany(block => block.Addresses), (one, address) => (address, !one.IsReturn, one.NodeId, one.NodeChange)).Order());
        }

        Ip[] each = [.. Enumerable.Range(0, Addresses).Select(offset => First + offset)];
        foreach (var node in Nodes)
        {
            for (var said = 0L; said < 10; said += 3)
            {
                var late = expected.Where(one => one.NodeId == node ? said <= one.NodeChange : one.Used).Select(one => one.Address).ToHashSet();
                Assert.Equal(each.Where(address => !late.Contains(address)), all.NotLate(each, node, said));
            }
        }
    }

    /// <summary>Read and written by a silo that does not know our form.</summary>
    private static SubnetDocument Before(SubnetDocument doc, Func<ImmutableArray<RecentChange>, ImmutableArray<RecentChange>> change)
    {
        var read = JsonSerializer.Deserialize<DocumentOfBefore>(JsonSerializer.Serialize(doc, DocumentJson.Options), DocumentJson.Options)!;
        return JsonSerializer.Deserialize<SubnetDocument>(JsonSerializer.Serialize(read with { Recent = change(read.Recent) }, DocumentJson.Options), DocumentJson.Options)!;
    }

    private sealed record DocumentOfBefore : DocumentPart
    {
        public ImmutableArray<RecentChange> Recent { get; init; } = [];
    }

    private static SubnetDocument Stored(SubnetDocument doc) => Stored(doc, out _);

    private static SubnetDocument Stored(SubnetDocument doc, out int bytes)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(doc, DocumentJson.Options);
        bytes = json.Length;
        return JsonSerializer.Deserialize<SubnetDocument>(json, DocumentJson.Options)!;
    }
}
