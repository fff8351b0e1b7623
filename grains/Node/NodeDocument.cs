using System.Collections.Immutable;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Node;

/// <summary>What is stored of one node. Written by compare-and-swap only.</summary>
public sealed record NodeDocument : DocumentPart
{
    /// <summary>Of this layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>Goes up with each write: orders looks at EC2 against our own changes.</summary>
    public long Change { get; init; }

    /// <summary>Goes up whenever an address enters or leaves the lease, or is asked back.</summary>
    public long LeaseVersion { get; init; }

    /// <summary>Of the executor that may ask; stored before its first grant.</summary>
    public long Incarnation { get; init; }

    /// <summary>EC2's name of the type; null before the first look.</summary>
    public string? InstanceType { get; init; }

    /// <summary>The availability zone; null before the first look.</summary>
    public string? Zone { get; init; }

    /// <summary>IPv4 addresses that an interface holds at most, its primary one included. 0 before the first look.</summary>
    public int AddressesPerInterface { get; init; }

    /// <summary>Interfaces that the type has at most, on its default card. 0 before the first look.</summary>
    public int MaxInterfaces { get; init; }

    /// <summary>Why the limits are careful guesses; null when they are EC2's.</summary>
    public string? LimitsNote { get; init; }

    /// <summary>What EC2 has shown to be less than that.</summary>
    public ImmutableArray<LearnedLimit> Learned { get; init; } = [];

    /// <summary>Whether its type takes prefixes; null in a document of before they were drawn.</summary>
    public bool? TakesPrefixes { get; init; }

    /// <summary>What the tags of its own subnet say, in which its primary interface is.</summary>
    public SubnetRole HomeRole { get; init; }

    /// <summary>Other subnets of its zone: those whose tags say something, those that its policy has listed, and those of its interfaces, also of those on their
    /// way. Which of them new interfaces may be in, <see cref="SubnetChoice"/> says.</summary>
    public ImmutableArray<SiblingSubnet> Siblings { get; init; } = [];

    /// <summary>Device indexes of interfaces that are attached and not ours.</summary>
    public ImmutableArray<int> ForeignDevices { get; init; } = [];

    /// <summary>The interfaces that we manage.</summary>
    public ImmutableArray<EniDocument> Interfaces { get; init; } = [];

    /// <summary>EC2 changes that are begun and not settled.</summary>
    public ImmutableArray<Intent> Intents { get; init; } = [];

    /// <summary>Draws in a row whose names EC2 refused though the ledger showed them free: after a few, draws are by count. Stored, so that a node
    /// whose grain moves does not begin anew.</summary>
    public int NamesRefused { get; init; }

    /// <summary>Addresses that left an interface not long ago: a late duplicate of their return would hit them there.</summary>
    public ImmutableArray<DepartedBlock> Departed { get; init; } = [];

    /// <summary>Whether an intent is under way that this silo can carry out; one of a newer silo's lies there until a newer silo comes.</summary>
    [JsonIgnore]
    public bool IsBusy => Intents.Any(intent => intent.Kind != IntentKind.Unknown);

    /// <summary>The interface with this id; null when we manage none such.</summary>
    public EniDocument? Eni(string eniId) => Interfaces.FirstOrDefault(eni => eni.EniId == eniId);

    /// <summary>Whether an interface of ours has the block, a part of it, or one that it is a part of.</summary>
    public bool Holds(Block block) => Interfaces.Any(eni => eni.Blocks.Any(held => held.Block.Overlaps(block)));

    /// <summary>The same of what nobody has taken: a lost interface keeps its place here until its last pod has ended.</summary>
    public bool HoldsUnlost(Block block) => Interfaces.Any(eni => !eni.IsLost && eni.Blocks.Any(held => !held.IsLost && held.Block.Overlaps(block)));

    /// <summary>The subnet of the primary interface; null before the first look.</summary>
    [JsonIgnore]
    public string? Home => Interfaces.FirstOrDefault(eni => eni.DeviceIndex == 0)?.SubnetId;

    /// <summary>What the subnet's tags say, as far as this node knows.</summary>
    public SubnetRole RoleOf(string subnetId) => subnetId == Home ? HomeRole : Siblings.FirstOrDefault(one => one.SubnetId == subnetId)?.Role ?? SubnetRole.Unmarked;

    /// <summary>What an interface can hold besides its own address: addresses and prefixes alike.</summary>
    [JsonIgnore]
    public int Slots => Math.Max(0, AddressesPerInterface - 1);

    /// <summary>What EC2 has refused of one interface; of their number for the empty id. Null for nothing.</summary>
    public LearnedLimit? LimitOf(string eniId) => Learned.FirstOrDefault(limit => limit.EniId == eniId);

    /// <summary>How many interfaces it may have now.</summary>
    public int InterfacesAllowed(DateTimeOffset now) => Math.Min(MaxInterfaces, LimitOf("")?.MostAt(now) ?? MaxInterfaces);

    /// <summary>What the interface may hold now besides its own address.</summary>
    public int SlotsOf(string eniId, DateTimeOffset now) => Math.Min(Slots, LimitOf(eniId)?.MostAt(now) ?? Slots);

    /// <summary>This document with a limit learned, or disproved. Those of interfaces that are gone go.</summary>
    public NodeDocument WithLearned(string eniId, LearnedLimit? limit) => this with
    {
        Learned = [.. Learned.Where(one => one.EniId != eniId && (one.EniId.Length == 0 || Eni(one.EniId) is not null)), .. limit is null ? (LearnedLimit[])[] : [limit]],
    };

    /// <summary>This document with one interface changed.</summary>
    public NodeDocument WithEni(EniDocument changed) =>
        this with { Interfaces = [.. Interfaces.Select(eni => eni.EniId == changed.EniId ? changed : eni)] };

    /// <summary>This document with one intent put in, changed (same id), or taken away.</summary>
    public NodeDocument WithIntent(string id, Intent? intent) =>
        this with { Intents = [.. Intents.Where(one => one.Id != id), .. intent is null ? (Intent[])[] : [intent]] };
}

/// <summary>An interface that we manage.</summary>
public sealed record EniDocument : DocumentPart
{
    /// <summary>EC2's id.</summary>
    public required string EniId { get; init; }

    /// <summary>Lower case, colons.</summary>
    public required string Mac { get; init; }

    /// <summary>0 is the primary interface.</summary>
    public required int DeviceIndex { get; init; }

    /// <summary>0 on most types.</summary>
    public required int NetworkCard { get; init; }

    /// <summary>Its subnet.</summary>
    public required string SubnetId { get; init; }

    /// <summary>Of its subnet.</summary>
    public required Cidr SubnetCidr { get; init; }

    /// <summary>Its own address; never on a pod.</summary>
    public required Ip PrimaryAddress { get; init; }

    /// <summary>How it hangs on the instance.</summary>
    public string AttachmentId { get; init; } = "";

    /// <summary>It is never detached: an EFA interface.</summary>
    public bool IsPinned { get; init; }

    /// <summary>Our CreateNetworkInterface has made it, and nobody has told us since that it is theirs: as its tags were when EC2 last showed it.</summary>
    public bool IsMade { get; init; }

    /// <summary>Someone else has detached it, or its tags or the policy say that it is no longer ours: nothing is drawn for it, and it leaves the node
    /// once no pod is on it. What we have made is then deleted, once the policy lets us provision; what someone else has made is theirs again, wherever
    /// it is.</summary>
    public bool IsLost { get; init; }

    /// <summary>Ids of its security groups; a new interface gets those of the primary one.</summary>
    public ImmutableArray<string> Groups { get; init; } = [];

    /// <summary>What it holds for pods, in order: addresses and prefixes.</summary>
    [JsonPropertyName("addresses")] // Of the time before prefixes; an address is written as it was then.
    public ImmutableArray<HeldBlock> Blocks
    {
        get;
        init => (field, _addresses) = (value, [.. from held in value from address in held.Block.Addresses select new HeldAddress(address, held.Block, held.AskedBackAt)]);
    } = [];

    /// <summary>Each address of its blocks, in order.</summary>
    [JsonIgnore]
    public ImmutableArray<HeldAddress> Addresses => _addresses;

    private readonly ImmutableArray<HeldAddress> _addresses = [];
}

/// <summary>EC2 has refused what the type's description allows.</summary>
/// <param name="EniId">The interface that it is about; empty: how many interfaces there may be.</param>
/// <param name="Most">Slots of the interface, or interfaces on the default card.</param>
/// <param name="At">UTC, the silo's clock.</param>
/// <param name="Again">How long it holds; then one more is tried, which shows whether it is still so.</param>
/// <param name="Why">EC2's words, for people.</param>
public sealed record LearnedLimit(string EniId, int Most, DateTimeOffset At, TimeSpan Again, string Why) : DocumentPart
{
    /// <summary>Whether it is not time yet to try again.</summary>
    public bool Holds(DateTimeOffset now) => (now - At).Duration() < Again;

    /// <summary>How many there may be now.</summary>
    public int MostAt(DateTimeOffset now) => Holds(now) ? Most : Most + 1;
}

/// <summary>A subnet beside the node's own.</summary>
/// <param name="Role">What its tags say.</param>
public sealed record SiblingSubnet(string SubnetId, Cidr Cidr, SubnetRole Role = SubnetRole.Unmarked) : DocumentPart;

/// <summary>What EC2 gave to an interface in one piece, and what is in the executor's lease.</summary>
/// <param name="Block">Which.</param>
/// <param name="AskedBackAt">The lease version that asked it back; null while it may be used.</param>
/// <param name="IsLost">Someone else has taken it from the interface: it is asked back, and pods that have it have no network.</param>
public sealed record HeldBlock([property: JsonPropertyName("address")] Block Block, long? AskedBackAt = null, bool IsLost = false) : DocumentPart;

/// <summary>One address of a block.</summary>
/// <param name="Address">Which.</param>
/// <param name="Block">EC2 takes it back as a whole.</param>
/// <param name="AskedBackAt">The lease version that asked it back; null while it may be used.</param>
public readonly record struct HeldAddress(Ip Address, Block Block, long? AskedBackAt);

/// <summary>An EC2 change, stored before it is tried.</summary>
public sealed record Intent : DocumentPart
{
    /// <summary>Unique for the node: names it in the subnet's ledger.</summary>
    public required string Id { get; init; }

    /// <summary>What is changed.</summary>
    [JsonIgnore]
    public IntentKind Kind
    {
        get => _kind;
        init => KindName = value.ToString();
    }

    /// <summary>Its kind as it is stored: the name of one that this silo does not know stays.</summary>
    [JsonPropertyName("kind")]
    public string KindName
    {
        get;
        init => (field, _kind) = (value, Enum.TryParse(value, out IntentKind kind) ? kind : IntentKind.Unknown);
    } = nameof(IntentKind.Unknown);

    /// <summary>The interface; empty for a new one until EC2 has made it.</summary>
    public required string EniId { get; init; }

    /// <summary>Its subnet, whose ledger knows the intent.</summary>
    public required string SubnetId { get; init; }

    /// <summary>How many addresses or prefixes; for a new interface those for pods.</summary>
    public required int Count { get; init; }

    /// <summary>Whether a draw or a new interface is to get prefixes.</summary>
    public bool OfPrefixes { get; init; }

    /// <summary>Which, a new interface's own address first; empty while the ledger has not named them, and for a counted draw until EC2 answers.</summary>
    public ImmutableArray<Block> Names { get; init; } = [];

    /// <summary>For a counted draw: what the interface held before, so that what it holds beyond is found after a lost answer.</summary>
    public ImmutableArray<Block> HeldBefore { get; init; } = [];

    /// <summary>For a new interface: the operators' tags. Kept, since a second call with the same token must not differ from the first.</summary>
    public ImmutableSortedDictionary<string, string> Tags { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>For a new interface: its security groups, kept as the tags are; empty in a document of before they were: those of the primary interface.</summary>
    public ImmutableArray<string> Groups { get; init; } = [];

    /// <summary>For a new interface: where it is to be attached.</summary>
    public int DeviceIndex { get; init; }

    /// <summary>For a new interface: its link's address, once it is made.</summary>
    public string Mac { get; init; } = "";

    /// <summary>For a new interface: set once it is attached. For one that goes: empty once it is detached.</summary>
    public string AttachmentId { get; init; } = "";

    /// <summary>An answer was lost: look before trying again.</summary>
    public bool EffectUnknown { get; init; }

    /// <summary>An answer was lost at some time: names that EC2 says are taken may be taken by this very intent.</summary>
    public bool WasUnknown { get; init; }

    /// <summary>For an interface that goes: it was attached to nothing, and it goes only while that is so.</summary>
    public bool WasLoose { get; init; }

    private readonly IntentKind _kind;

    /// <summary>Whether a look is to show what became of it.</summary>
    [JsonIgnore]
    public bool WaitsForLook => EffectUnknown && Kind != IntentKind.Unknown;

    /// <summary>Addresses for pods that it brings.</summary>
    [JsonIgnore]
    public int Drawing => Kind is IntentKind.Draw or IntentKind.DrawCounted or IntentKind.AddInterface ? Count * (OfPrefixes ? Block.PrefixSize : 1) : 0;
}

/// <summary>What an intent changes.</summary>
public enum IntentKind
{
    /// <summary>A newer silo has begun it, and a newer one ends it: it is kept as it is (ADR 0011).</summary>
    Unknown,

    /// <summary>AssignPrivateIpAddresses with names.</summary>
    Draw,

    /// <summary>AssignPrivateIpAddresses by count: the fall-back where names are refused though the ledger shows them free.</summary>
    DrawCounted,

    /// <summary>UnassignPrivateIpAddresses. Takes away: never cancelled.</summary>
    Return,

    /// <summary>CreateNetworkInterface with its addresses, AttachNetworkInterface, ModifyNetworkInterfaceAttribute.</summary>
    AddInterface,

    /// <summary>DetachNetworkInterface, DeleteNetworkInterface. Takes away: never cancelled.</summary>
    RemoveInterface,
}

/// <summary>What left an interface.</summary>
/// <param name="At">UTC, the silo's clock.</param>
/// <param name="MayBeTakenAgain">Its return was sent more than once, or may have been, since a send was not answered, was refused, or an activation began: one of them may come to effect yet.</param>
public sealed record DepartedBlock([property: JsonPropertyName("address")] Block Block, string EniId, DateTimeOffset At, bool MayBeTakenAgain = false) : DocumentPart;
