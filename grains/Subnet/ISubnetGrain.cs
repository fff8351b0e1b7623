using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using Orleans.Concurrency;

namespace AwsVpcCni.Grains.Subnet;

/// <summary>One subnet. Key: the subnet id. Knows every used address and names free ones, so that EC2 is asked for just those.</summary>
public interface ISubnetGrain : IGrainWithStringKey
{
    /// <summary>Names free addresses for an intent and sets them aside until it settles or lapses. The same intent gets the same names. With a count of
    /// 0 it only says what there is.</summary>
    Task<Reservation> ReserveAsync(ReserveRequest request);

    /// <summary>Ends the intent's reservation: some names are drawn now, some turned out to be held by others.</summary>
    /// <remarks>Any suspect makes the ledger ask for a fresh read of the subnet, for all nodes.</remarks>
    /// <param name="change">The number of the node document's last write: what a node says of an address is passed over when it arrives
    /// after something later about that address.</param>
    Task SettleAsync(string intentId, string nodeId, long change, ImmutableArray<Block> drawn, ImmutableArray<Block> suspect);

    /// <summary>Which of these nodes of ours hold by the ledger, whatever EC2 shows: nobody else may use them. It waits for no write of the ledger: what one brings has happened already.</summary>
    [AlwaysInterleave]
    Task<ImmutableArray<Block>> HeldByOursAsync(ImmutableArray<Block> blocks);

    /// <summary>A node takes over what EC2 shows on its interfaces and no draw of its own has brought: from then on it is the node's by the ledger, before a pod can have it.</summary>
    /// <param name="change">As in <see cref="SettleAsync"/>.</param>
    /// <returns>What other nodes of ours hold: the node may not use it, and nothing of it is noted.</returns>
    Task<ImmutableArray<Block>> TakeOverAsync(string nodeId, long change, ImmutableArray<Block> blocks);

    /// <summary>The instances that may hold it: nodes of ours that say so (more than one when hands have moved it), and those that EC2 shows in the subnet and that have not told lately
    /// what they hold, others' instances among them. Null when no node says so, and EC2 has not been read yet.</summary>
    Task<ImmutableArray<string>?> HoldersOfAsync(Ip address);

    /// <summary>EC2 has no room, though the ledger shows some: for a sweep's time nobody is named any.</summary>
    /// <param name="onlyPrefixes">It has no whole /28; addresses it may have.</param>
    Task NoRoomAsync(string nodeId, bool onlyPrefixes);

    /// <summary>These are not the node's any more. What another node's share lists stays out of naming: a pod may still have what that one has lost.</summary>
    /// <param name="change">As in <see cref="SettleAsync"/>.</param>
    /// <param name="isFree">EC2 has freed them just now, at our word. Else nobody knows since when they are gone, nor who has drawn them since:
    /// they count as used until a look, which is asked for, shows that they are not.</param>
    Task ReturnedAsync(string nodeId, long change, ImmutableArray<Block> blocks, bool isFree);

    /// <summary>The node's share in this subnet and every address it holds, so that a restart of the ledger is not blind. Counted, never added up.</summary>
    /// <param name="change">As in <see cref="SettleAsync"/>.</param>
    /// <param name="open">The node's intents that stand: names that it had set aside for others are free again, when no settlement has come.</param>
    [OneWay]
    Task ShareAsync(string nodeId, long change, SubnetShare share, ImmutableArray<Ip> held, ImmutableArray<string> open);

    /// <summary>The node's instance is gone, and it holds nothing here any more. What it held counts as used until a look, which is asked for, shows
    /// that it is free. Repeatable.</summary>
    /// <param name="change">As in <see cref="SettleAsync"/>.</param>
    /// <param name="blocks">What its document listed here.</param>
    Task RetiredAsync(string nodeId, long change, ImmutableArray<Block> blocks);

    /// <summary>What could be named now.</summary>
    Task<SubnetFree> FreeAsync();

    /// <summary>The number of the ledger's last change; asked for before a sweep's first page.</summary>
    Task<long> ChangeNumberAsync();

    /// <summary>What a sweep showed of the whole subnet: every used address. As <see cref="LookedAsync"/>; called by silos of a build that told all of it each time.</summary>
    Task SweptAsync(SubnetSweep sweep);

    /// <summary>What a look showed of the whole subnet, or what is not as the last one showed it.</summary>
    Task<LookEffect> LookedAsync(SubnetSweep look);

    /// <summary>What an operator sees of the subnet.</summary>
    Task<SubnetSummary> SummarizeAsync();
}

/// <summary>Names wanted.</summary>
/// <param name="Count">How many addresses or prefixes; 0 only asks what is free.</param>
/// <param name="NotThese">Names that must not be chosen for this interface again yet.</param>
/// <param name="Prefixes">Whether prefixes are wanted.</param>
/// <param name="WithPrimary">Whether one address more is wanted, for the interface itself; it comes first.</param>
/// <param name="Change">The number of the node document's last write, in which the intent stands.</param>
/// <param name="Waiting">Of the count, for pods that wait: on a dry subnet others are asked for these.</param>
[GenerateSerializer, Immutable]
public sealed record ReserveRequest(
    [property: Id(0)] string IntentId, [property: Id(1)] string NodeId, [property: Id(2)] string EniId, [property: Id(3)] int Count,
    [property: Id(4)] ImmutableArray<Block> NotThese, [property: Id(5)] bool Prefixes, [property: Id(6)] bool WithPrimary,
    [property: Id(7)] long Change = 0, [property: Id(8)] int Waiting = 0);

/// <summary>Names set aside; fewer than asked when the subnet has no more.</summary>
/// <param name="Known">False while the ledger has not been read from EC2 yet: ask again.</param>
/// <param name="Free">Addresses that nobody holds.</param>
/// <param name="FreePrefixes">Whole /28s among them.</param>
/// <param name="Holders">Who holds most, when there are fewer names than asked.</param>
/// <param name="IsRefused">EC2 has refused lately what the ledger shows free: nothing is named.</param>
/// <param name="IsCrowded">So many draws are under way that the ledger sets no more aside: ask again later.</param>
[GenerateSerializer, Immutable]
public sealed record Reservation(
    [property: Id(0)] bool Known, [property: Id(1)] ImmutableArray<Block> Names, [property: Id(2)] int Free, [property: Id(3)] int FreePrefixes,
    [property: Id(4)] ImmutableArray<SubnetHolder> Holders, [property: Id(5)] bool IsRefused = false, [property: Id(6)] bool IsCrowded = false);

/// <summary>What could be named of a subnet: nobody holds it, nor has set it aside. Nothing while EC2 has not been read, or has refused what looks free.</summary>
/// <param name="Level">How much is left; a node that has nothing there hears it from nobody else. Null from a silo of before it was told.</param>
/// <param name="IsUnread">EC2 has not been read yet, which is asked for: there may be any number.</param>
[GenerateSerializer, Immutable]
public sealed record SubnetFree([property: Id(0)] int Addresses, [property: Id(1)] int Prefixes, [property: Id(2)] SubnetLevel? Level = null, [property: Id(3)] bool IsUnread = false);

/// <summary>Who holds addresses of a subnet.</summary>
/// <param name="Id">A node's instance id; of others the interface, when it is on no instance.</param>
[GenerateSerializer, Immutable]
public readonly record struct SubnetHolder([property: Id(0)] string Id, [property: Id(1)] int Addresses);

/// <summary>A subnet as one sweep showed it.</summary>
/// <param name="StartedChange">The ledger's change number before the sweep's first page: what changed later, the sweep cannot know.</param>
/// <param name="Ranges">The subnet's CIDR reservations; null: they were not read, and are as they were.</param>
/// <param name="AreRangesAsked">EC2 has been asked for them, if only once: when they are not known then, they will not be soon.</param>
/// <param name="Digest">Of all that is used; null: not known.</param>
/// <param name="Since">The look that this one is told against; null: <paramref name="Used"/> is all of it.</param>
[GenerateSerializer, Immutable]
public sealed record SubnetSweep(
    [property: Id(0)] Ec2Subnet Subnet, [property: Id(1)] ImmutableArray<UsedAddress> Used, [property: Id(2)] long StartedChange,
    [property: Id(3)] ImmutableArray<ReservedRange>? Ranges = null, [property: Id(4)] bool AreRangesAsked = false,
    [property: Id(5)] string? Digest = null, [property: Id(6)] EarlierLook? Since = null);

/// <summary>A look that the ledger has been told of.</summary>
/// <param name="Digest">Of all that it showed used.</param>
/// <param name="Gone">What of that is not so any more.</param>
[GenerateSerializer, Immutable]
public sealed record EarlierLook([property: Id(0)] string Digest, [property: Id(1)] ImmutableArray<UsedAddress> Gone);

/// <summary>What a look has told a ledger.</summary>
[GenerateSerializer]
public enum LookEffect
{
    /// <summary>Nothing was taken in: the ledger does not have the look that it was told against, and wants all.</summary>
    TellAll,

    /// <summary>EC2 shows what the ledger has.</summary>
    AsKnown,

    /// <summary>Somebody else has drawn or returned.</summary>
    News,
}

/// <summary>An address that EC2 shows on an interface.</summary>
/// <param name="InstanceId">Null when the interface is not attached.</param>
[GenerateSerializer, Immutable]
public readonly record struct UsedAddress([property: Id(0)] Ip Address, [property: Id(1)] string EniId, [property: Id(2)] string? InstanceId);

/// <summary>What an operator sees of a subnet. All counts are addresses.</summary>
/// <param name="Size">Of the CIDR, the five that AWS keeps included.</param>
/// <param name="Used">EC2 shows them on some interface, or a node of ours holds them.</param>
/// <param name="Others">Used, and not by a node of ours.</param>
/// <param name="Free">Neither used, nor kept by AWS or a reservation: what a single address could be.</param>
/// <param name="ReadAt">When EC2 was last read; null for never. UTC.</param>
/// <param name="FreePrefixes">Whole /28s: among the free ones, and in reservations for prefixes.</param>
/// <param name="Dry">When nothing will be free; null while there is too little of a past to tell.</param>
/// <param name="Level">Whether nodes are kept from drawing, or asked back what they keep ready.</param>
/// <param name="Withheld">What nodes would draw besides, were there plenty.</param>
/// <param name="InAnHour">So many more are used or set aside than an hour ago; null while there is no such past. By the most of each half hour.</param>
/// <param name="InADay">The same of a day.</param>
/// <param name="Role">What its tags say of pods.</param>
/// <param name="KeptForPrefixes">Not used, in CIDR reservations for prefixes.</param>
/// <param name="KeptByName">Not used, in CIDR reservations for addresses that somebody names: none of them is drawn.</param>
/// <param name="Switch">What operators have switched off here, or for all; null when nothing is.</param>
/// <param name="OldestToldAt">Of the figures of nodes in these the oldest: a node tells each half minute. Null when none has told. UTC.</param>
/// <param name="ToldAt">When each holder has told its figures. UTC.</param>
[GenerateSerializer, Immutable]
public sealed partial record SubnetSummary(
    [property: Id(0)] string SubnetId, [property: Id(1)] string? Zone, [property: Id(2)] Cidr? Cidr, [property: Id(3)] long Size,
    [property: Id(4)] int Used, [property: Id(5)] int Leased, [property: Id(6)] int OnPods, [property: Id(7)] int Warm,
    [property: Id(8)] int Cooling, [property: Id(9)] int Reserved, [property: Id(10)] int Others, [property: Id(11)] long Free,
    [property: Id(12)] ImmutableSortedDictionary<string, int> Holders, [property: Id(13)] DateTimeOffset? ReadAt, [property: Id(14)] int FreePrefixes,
    [property: Id(15)] DryTime? Dry = null, [property: Id(16)] SubnetLevel Level = SubnetLevel.Plenty, [property: Id(17)] int Withheld = 0, [property: Id(18)] int? InAnHour = null, [property: Id(19)] int? InADay = null,
    [property: Id(20)] SubnetRole Role = SubnetRole.Unmarked, [property: Id(21)] int KeptForPrefixes = 0, [property: Id(22)] int KeptByName = 0,
    [property: Id(23)] OperatorSwitch? Switch = null, [property: Id(24)] DateTimeOffset? OldestToldAt = null, [property: Id(25)] ImmutableSortedDictionary<string, DateTimeOffset>? ToldAt = null);
