using System.Collections.Immutable;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Subnet;

/// <summary>What is stored of one subnet, so that a fresh activation is not blind.</summary>
public sealed record SubnetDocument : DocumentPart
{
    /// <summary>Of this layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>Goes up with each change of our own: orders sweeps against them.</summary>
    public long Change { get; init; }

    /// <summary>As EC2 showed it last; null before the first sweep.</summary>
    public Ec2Subnet? Subnet { get; init; }

    /// <summary>When EC2 was last read. UTC.</summary>
    public DateTimeOffset? ReadAt { get; init; }

    /// <summary>What EC2 shows on any interface; a bit an address, base 64.</summary>
    public byte[] Used { get; init; } = [];

    /// <summary>What nodes of ours hold, whatever EC2 shows.</summary>
    public byte[] Ours { get; init; } = [];

    /// <summary>The subnet's CIDR reservations, as read last; null: never.</summary>
    public ImmutableArray<ReservedRange>? Ranges { get; init; }

    /// <summary>Those that are known.</summary>
    [JsonIgnore]
    public ImmutableArray<ReservedRange> Reserved => Ranges ?? [];

    /// <summary>Names set aside.</summary>
    public ImmutableArray<ReservedNames> Reservations { get; init; } = [];

    /// <summary>How much is left; kept, since it ends later than it begins.</summary>
    public SubnetLevel Level { get; init; }

    /// <summary>As a silo of before wrote what now is in <see cref="Changes"/>: a record for each address.</summary>
    public ImmutableArray<RecentChange> Recent { get; init; } = [];

    /// <summary>See <see cref="RecentChanges"/>.</summary>
    public ImmutableArray<LedgerChange> Changes { get; init; } = [];

    /// <summary>See <see cref="RecentChanges.Dropped"/>.</summary>
    public long DroppedChange { get; init; }

    /// <summary>As a silo of before wrote what now is in <see cref="TakingOver"/>: a record for each address.</summary>
    public ImmutableArray<TakenOver> TakenOver { get; init; } = [];

    /// <summary>What nodes are about to take over, counted as ours: until a node says, after a later write, what it holds, nobody knows whether it could.</summary>
    public ImmutableArray<LedgerChange> TakingOver { get; init; } = [];

    /// <summary>With these.</summary>
    public SubnetDocument With(RecentChanges changes) => this with { Recent = [], Changes = changes.All, DroppedChange = changes.Dropped };

    /// <summary>With these in place of all that nodes were about to take over.</summary>
    public SubnetDocument WithTakingOver(IEnumerable<LedgerChange> all) => this with { TakenOver = [], TakingOver = [.. all] };

    /// <summary>What nodes are about to take over, by a silo of before, too.</summary>
    public ImmutableArray<LedgerChange> AllTakingOver() => TakenOver.IsEmpty ? TakingOver
        : [.. TakingOver, .. TakenOver.GroupBy(one => (one.NodeId, one.NodeChange), one => one.Address).Select(one => new LedgerChange(0, false, one.Key.NodeId, one.Key.NodeChange, 0, LedgerChange.Joined(one)))];
}

/// <summary>How much of a subnet was used until now, with what was set aside. A document of its own: it is written each half hour, and the ledger with each EC2 change.</summary>
public sealed record SubnetUsage : DocumentPart
{
    /// <summary>Of this layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>Two weeks of it.</summary>
    public UsageHistory Past { get; init; } = new();
}

/// <summary>Names set aside for one intent.</summary>
/// <param name="AskedAt">When the intent last asked. UTC.</param>
/// <param name="NodeChange">The number of the node document's last write when it asked.</param>
public sealed record ReservedNames(string IntentId, string NodeId, ImmutableArray<Block> Names, DateTimeOffset AskedAt, long NodeChange = long.MaxValue) : DocumentPart
{
    private const int OfTheRest = 120; // Names, punctuation, a time and a number.

    /// <summary>Bytes in a document, at most.</summary>
    [JsonIgnore]
    public int Bytes => OfTheRest + IntentId.Length + NodeId.Length + LedgerChange.BytesOf(Names);
}

/// <summary>An address that a node is about to take over, as a silo of before wrote it: read, and not written any more.</summary>
/// <param name="NodeChange">The number of its document's last write before.</param>
public sealed record TakenOver(Ip Address, string NodeId, long NodeChange) : DocumentPart;

/// <summary>An address that was drawn or returned by us, as a silo of before wrote it: read, and not written any more.</summary>
/// <param name="Change">The ledger's change number.</param>
/// <param name="Used">True when drawn.</param>
/// <param name="NodeId">Who has said so.</param>
/// <param name="NodeChange">The number of that node document's last write.</param>
/// <param name="At">UTC.</param>
public sealed record RecentChange(Ip Address, long Change, bool Used, string NodeId = "", long NodeChange = 0, DateTimeOffset At = default) : DocumentPart;
