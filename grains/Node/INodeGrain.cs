using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Storage;
using Orleans.Concurrency;

namespace AwsVpcCni.Grains.Node;

/// <summary>One node. Key: the instance id. The only grain that decides about the node or changes its interfaces in EC2.</summary>
/// <remarks>The three calls of the node API await the store at most: never EC2, never another grain. They take no token: a write that
/// was given up half-way would leave memory and store apart, and the store has its own deadline.</remarks>
public interface INodeGrain : IGrainWithStringKey
{
    /// <summary>An ADD: offers an address whose row is durable, or says why not. Repeatable.</summary>
    Task<AssignReply> AssignAsync(AssignRequest request);

    /// <summary>A DEL, or an ADD that was undone. Repeatable.</summary>
    Task<ReleaseReply> ReleaseAsync(ReleaseRequest request);

    /// <summary>Takes the node's whole state, answers with the grain's whole wish. Repeatable.</summary>
    Task<NodeOrders> SyncAsync(NodeReport report);

    /// <summary>Registers who is told that a sync would bring news; again at each sync, since a registration lapses after a minute.</summary>
    Task SubscribeAsync(INodeHints hints);

    /// <summary>What EC2 shows of the node. A hint: nothing breaks when it is lost.</summary>
    [OneWay]
    Task DescribedAsync(InstanceView view);

    /// <summary>The tags of these subnets say something else than before; those of other zones are passed over. A hint: a look shows it too.</summary>
    [OneWay]
    Task RetaggedAsync(ImmutableArray<Ec2Subnet> subnets);

    /// <summary>EC2 could not be read, so no view will come for now. A hint, for people: a pod may wait for it.</summary>
    [OneWay]
    Task NotDescribedAsync(Reason why);

    /// <summary>An interface that the node has made has been attached to nothing for minutes: it is deleted, if nothing that is under way is about it. A hint.</summary>
    [OneWay]
    Task LeakedAsync(Ec2Interface eni);

    /// <summary>How much a subnet in which the node holds addresses has left: after each share while that is little, and when it changes.</summary>
    /// <param name="recalled">Free, rested addresses that others' waiting pods need; the node gives what it can spare.</param>
    [OneWay]
    Task LevelAsync(string subnetId, SubnetLevel level, int recalled);

    /// <summary>Pods that are bound to the node and that the API server shows without an address: all of them, each twenty seconds, and when they change. They are demand
    /// before their ADDs come. A hint: without it, the ADDs are.</summary>
    [OneWay]
    Task BoundAsync(ImmutableArray<PodName> pods);

    /// <summary>What an operator sees of the node.</summary>
    Task<NodeSummary> SummarizeAsync();

    /// <summary>Each block that the node has, is getting or is giving back, and where it stands.</summary>
    Task<ImmutableArray<BlockLife>> LivesAsync();

    /// <summary>Who has an address of the node now, since when; null for nobody.</summary>
    Task<AddressRow?> HolderAsync(Ip address);

    /// <summary>The same, and whether the executor may know of another.</summary>
    /// <param name="at">Only this moment matters; null: now.</param>
    Task<AddressHeld> HeldAsync(Ip address, DateTimeOffset? at);

    /// <summary>The ADDs that have no address, those that have waited longest first, each with its reason.</summary>
    Task<ImmutableArray<WaitingPod>> WaitingAsync();
}

/// <summary>Told when a sync would bring news. A lost hint costs one sync period.</summary>
public interface INodeHints : IGrainObserver
{
    /// <summary>Sync now.</summary>
    [OneWay]
    Task SyncNowAsync();
}

/// <summary>An ADD without an address.</summary>
/// <param name="InstanceId">Its node.</param>
/// <param name="WaitedSeconds">Since the executor took it.</param>
/// <param name="Why">The cause as it is now, with numbers.</param>
[GenerateSerializer, Immutable]
public sealed record WaitingPod(
    [property: Id(0)] string InstanceId, [property: Id(1)] SandboxKey Sandbox, [property: Id(2)] PodName Pod,
    [property: Id(3)] double WaitedSeconds, [property: Id(4)] Reason Why);

/// <summary>What a node's grain knows of who has an address.</summary>
/// <param name="Holder">Null for nobody.</param>
/// <param name="SilentSince">The executor may use the address, and has not reported since: a pod of which no silo has heard may have it. UTC, the silo's clock; when the grain
/// began, if it has not reported to this one. Null: it has told.</param>
[GenerateSerializer, Immutable]
public sealed record AddressHeld([property: Id(0)] AddressRow? Holder, [property: Id(1)] DateTimeOffset? SilentSince = null);

/// <summary>What one look at EC2 showed of an instance.</summary>
/// <param name="Instance">Null when EC2 shows no such instance.</param>
/// <param name="Limits">Of its type; null when there is no instance.</param>
/// <param name="Interfaces">Those attached to it.</param>
/// <param name="Subnets">Those that the interfaces are in, whoever made them, those that the node's policy lists, and those of its zone whose tags say something.</param>
/// <param name="StartedChange">The node's change number when the look began; 0 when the looker did not ask for it.</param>
/// <param name="LimitsNote">Why the limits are careful guesses; null when they are EC2's.</param>
[GenerateSerializer, Immutable]
public sealed record InstanceView(
    [property: Id(0)] Ec2Instance? Instance, [property: Id(1)] InstanceLimits? Limits, [property: Id(2)] ImmutableArray<Ec2Interface> Interfaces,
    [property: Id(3)] ImmutableArray<Ec2Subnet> Subnets, [property: Id(4)] long StartedChange,
    [property: Id(5)] string? LimitsNote);

/// <summary>What an operator sees of a node.</summary>
/// <param name="OnPods">Addresses that a sandbox has.</param>
/// <param name="Cooling">Freed and not yet rested.</param>
/// <param name="Warm">Free, rested, ready.</param>
/// <param name="Leased">All addresses that the executor may use.</param>
/// <param name="Capacity">What EC2 and the policy allow for pods on the interfaces that we manage.</param>
/// <param name="Waiting">ADDs without an address.</param>
/// <param name="LastReport">When the executor last reported; null for never. UTC.</param>
/// <param name="Trouble">Why it does not have what it wants; null when it has.</param>
/// <param name="MaxPods">For kubelet: the capacity, and two pods on the host's network, as in the reference's formula.</param>
/// <param name="Switch">What operators have switched off for the node, its primary subnet or all; null when nothing is.</param>
/// <param name="Limits">Why the capacity is not what the instance type's description says: guessed, or refused by EC2. Null when it is.</param>
[GenerateSerializer, Immutable]
public sealed record NodeSummary(
    [property: Id(0)] string InstanceId, [property: Id(1)] string? InstanceType, [property: Id(2)] string? Zone,
    [property: Id(3)] ImmutableSortedDictionary<string, SubnetShare> Subnets,
    [property: Id(4)] int OnPods, [property: Id(5)] int Cooling, [property: Id(6)] int Warm, [property: Id(7)] int Leased,
    [property: Id(8)] int Capacity, [property: Id(9)] int Waiting, [property: Id(10)] DateTimeOffset? LastReport,
    [property: Id(11)] string? Trouble, [property: Id(12)] int MaxPods, [property: Id(13)] string? Limits, [property: Id(14)] OperatorSwitch? Switch = null);

/// <summary>What a node holds in one subnet, primary addresses apart.</summary>
/// <param name="OnPods">On sandboxes.</param>
/// <param name="Cooling">Freed and not yet rested.</param>
/// <param name="Warm">Free, rested, ready.</param>
/// <param name="Withheld">Not held, and wanted, were there plenty in the subnet. Told while there is not.</param>
/// <param name="Spare">Of the warm ones what could go at once to others' pods. Told while there is not plenty.</param>
[GenerateSerializer, Immutable]
public sealed record SubnetShare([property: Id(0)] int OnPods, [property: Id(1)] int Cooling, [property: Id(2)] int Warm, [property: Id(3)] int Withheld = 0, [property: Id(4)] int Spare = 0);
