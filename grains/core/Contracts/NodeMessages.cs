using System.Collections.Immutable;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Core.Contracts;

/// <summary>The key of everything about a pod: one interface of one container. A pod's name never is.</summary>
/// <param name="ContainerId">CNI_CONTAINERID.</param>
/// <param name="IfName">CNI_IFNAME, the interface inside the pod.</param>
public readonly record struct SandboxKey(string ContainerId, string IfName)
{
    /// <inheritdoc/>
    public override string ToString() => $"{ContainerId}/{IfName}";
}

/// <summary>What Kubernetes calls the pod. For people only: nothing is decided by it.</summary>
/// <param name="Namespace">Empty when the runtime told none.</param>
/// <param name="Name">Empty when the runtime told none.</param>
/// <param name="Uid">Empty when the runtime told none.</param>
public sealed record PodName(string Namespace, string Name, string Uid)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Namespace}/{Name}";
}

/// <summary>Orders an executor's requests: later ones win, whatever order they arrive in.</summary>
/// <param name="Incarnation">Goes up by one at each start of the executor; never 0 in a request.</param>
/// <param name="Number">Goes up by one with each request of an incarnation.</param>
public readonly record struct Stamp(long Incarnation, long Number) : IComparable<Stamp>
{
    /// <inheritdoc/>
    public int CompareTo(Stamp other) =>
        Incarnation == other.Incarnation ? Number.CompareTo(other.Number) : Incarnation.CompareTo(other.Incarnation);

    /// <summary>Whether <paramref name="left"/> was made earlier.</summary>
    public static bool operator <(Stamp left, Stamp right) => left.CompareTo(right) < 0;

    /// <summary>Whether <paramref name="left"/> was made later.</summary>
    public static bool operator >(Stamp left, Stamp right) => left.CompareTo(right) > 0;

    /// <summary>Whether <paramref name="left"/> is the same or was made earlier.</summary>
    public static bool operator <=(Stamp left, Stamp right) => left.CompareTo(right) <= 0;

    /// <summary>Whether <paramref name="left"/> is the same or was made later.</summary>
    public static bool operator >=(Stamp left, Stamp right) => left.CompareTo(right) >= 0;
}

/// <summary>Why something is not given: a code for programs, a sentence with the numbers for people.</summary>
/// <param name="Code">One of <see cref="ReasonCode"/>.</param>
/// <param name="Text">What could not be done, for which object, with the numbers, and what to do next.</param>
public sealed record Reason(ReasonCode Code, string Text);

/// <summary>The causes that a waiting pod can have: the bound of the metric's label, too.</summary>
[JsonConverter(typeof(CodeJson<ReasonCode>))]
public enum ReasonCode
{
    /// <summary>One that only a newer version knows.</summary>
    Other,

    /// <summary>The node has just joined, and EC2 has not been read yet.</summary>
    NodeStarting,

    /// <summary>Addresses are on their way: from EC2, or a free one in its turn.</summary>
    Drawing,

    /// <summary>Every free address of the node still rests.</summary>
    Cooling,

    /// <summary>The instance type has no room for another address.</summary>
    NodeFull,

    /// <summary>The subnet has no free address.</summary>
    SubnetEmpty,

    /// <summary>The subnet has free addresses, but no whole /28 of them.</summary>
    SubnetScattered,

    /// <summary>EC2 refuses more calls for now.</summary>
    Throttled,

    /// <summary>EC2 does not permit the call.</summary>
    NotAuthorized,

    /// <summary>EC2 refused for another reason.</summary>
    Ec2Refused,

    /// <summary>Another activation of the grain wrote first; ask again.</summary>
    AnotherActivation,

    /// <summary>The store does not answer.</summary>
    StoreAway,

    /// <summary>The request is older than what the executor has settled.</summary>
    Outdated,

    /// <summary>No silo answers, and the lease has no rested address.</summary>
    SiloAway,

    /// <summary>An interface has been attaching or detaching for longer than EC2 takes.</summary>
    InterfaceStuck,

    /// <summary>The policy lets nothing be drawn.</summary>
    NotProvisioned,

    /// <summary>The tags of the zone's subnets leave none for a new interface.</summary>
    SubnetExcluded,

    /// <summary>Operators let nothing be changed in EC2 for now.</summary>
    Frozen,
}

/// <summary>An ADD: give this sandbox an address.</summary>
/// <param name="Stamp">Stays the same when the request is sent again.</param>
/// <param name="Sandbox">Who asks.</param>
/// <param name="Pod">What people call it.</param>
/// <param name="Refused">Addresses that the executor could not claim for this sandbox; they are not offered again to this request.</param>
public sealed record AssignRequest(Stamp Stamp, SandboxKey Sandbox, PodName Pod, ImmutableArray<Refusal> Refused);

/// <summary>An offered address that the executor does not accept.</summary>
/// <param name="Address">The address.</param>
/// <param name="Why">What stood against it.</param>
/// <param name="RestedSeconds">How long it has rested, by the executor's boot clock. Null when that is not the point.</param>
public sealed record Refusal(Ip Address, RefusalCode Why, double? RestedSeconds);

/// <summary>Why an executor refuses an offer.</summary>
[JsonConverter(typeof(CodeJson<RefusalCode>))]
public enum RefusalCode
{
    /// <summary>One that only a newer version knows.</summary>
    Other,

    /// <summary>The address is not in the lease.</summary>
    NotLeased,

    /// <summary>It has not rested long enough.</summary>
    NotRested,

    /// <summary>Its interface is not set up on the node.</summary>
    InterfaceNotSetUp,

    /// <summary>Another sandbox has it, or its link is not confirmed gone.</summary>
    Claimed,
}

/// <summary>What an ADD gets at once. Closed: nobody outside can add a case.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "verdict")]
[JsonDerivedType(typeof(Offered), "offered")]
[JsonDerivedType(typeof(NotYet), "notYet")]
[JsonDerivedType(typeof(Never), "never")]
public abstract record AssignReply
{
    private AssignReply()
    {
    }

    /// <summary>An address, its row stored. It is used only once the executor has claimed it.</summary>
    /// <param name="Address">The address.</param>
    /// <param name="EniId">The interface that holds it.</param>
    public sealed record Offered(Ip Address, string EniId) : AssignReply;

    /// <summary>Nothing now; ask again on a hint, and at least each second.</summary>
    /// <param name="Why">The cause, with numbers.</param>
    public sealed record NotYet(Reason Why) : AssignReply;

    /// <summary>Asking again cannot help while the node is as it is.</summary>
    /// <param name="Why">The cause, with numbers.</param>
    public sealed record Never(Reason Why) : AssignReply;
}

/// <summary>A DEL, or an ADD that was undone: the sandbox needs no address any more.</summary>
/// <param name="Stamp">Later than that of the sandbox's ADD.</param>
/// <param name="Sandbox">Whose.</param>
/// <param name="Address">Null when the executor never claimed one.</param>
/// <param name="FreedSeconds">How long ago it became free. 0 when it is not free yet (its link is still going away).</param>
public sealed record ReleaseRequest(Stamp Stamp, SandboxKey Sandbox, Ip? Address, double FreedSeconds)
{
    /// <summary>What has ended, for the history; null when that is not known, or nothing was claimed.</summary>
    public EndedClaim? Had { get; init; }
}

/// <summary>A claim that has ended: no silo may have heard of it before.</summary>
/// <param name="Pod">What people call it.</param>
/// <param name="Stamp">Of the ADD.</param>
/// <param name="HeldSeconds">How long ago it was claimed.</param>
public sealed record EndedClaim(PodName Pod, Stamp Stamp, double HeldSeconds);

/// <summary>The release is stored.</summary>
public sealed record ReleaseReply
{
    /// <summary>False when the grain knew of no such assignment, which is no error.</summary>
    public required bool Known { get; init; }
}

/// <summary>A node's whole state, each period and after each change.</summary>
public sealed record NodeReport
{
    /// <summary>Later than every report before. Incarnation 0: the executor has no lease file yet and asks for one.</summary>
    public required Stamp Stamp { get; init; }

    /// <summary>Every request of this incarnation up to this number has ended: nothing in flight, nothing waiting.</summary>
    public required long SettledNumber { get; init; }

    /// <summary>The version of the lease that it holds; 0 for none.</summary>
    public required long LeaseVersion { get; init; }

    /// <summary>Every address in the lease.</summary>
    public required ImmutableArray<Ip> Leased { get; init; }

    /// <summary>Every address on a sandbox.</summary>
    public required ImmutableArray<Claim> Claims { get; init; }

    /// <summary>ADDs that wait for an address: demand.</summary>
    public required ImmutableArray<Waiter> Waiting { get; init; }

    /// <summary>Leased addresses that have been on a sandbox and rest.</summary>
    public required ImmutableArray<Resting> Freed { get; init; }

    /// <summary>Assignments that ended and whose end no reply has acknowledged.</summary>
    public required ImmutableArray<EndedAssignment> Ended { get; init; }

    /// <summary>Interfaces that are set up on the node.</summary>
    public required ImmutableArray<string> InterfacesSetUp { get; init; }
}

/// <summary>A leased address belongs to a sandbox; made before the first netlink message.</summary>
/// <param name="Sandbox">Whose.</param>
/// <param name="Pod">What people call it.</param>
/// <param name="Address">Which.</param>
/// <param name="EniId">The interface that holds it.</param>
/// <param name="Stamp">Of the ADD.</param>
/// <param name="HeldSeconds">How long ago it was claimed.</param>
public sealed record Claim(SandboxKey Sandbox, PodName Pod, Ip Address, string EniId, Stamp Stamp, double HeldSeconds);

/// <summary>An ADD that waits for an address.</summary>
/// <param name="Sandbox">Whose.</param>
/// <param name="Pod">What people call it.</param>
/// <param name="Stamp">Of the ADD.</param>
/// <param name="WaitedSeconds">How long.</param>
public sealed record Waiter(SandboxKey Sandbox, PodName Pod, Stamp Stamp, double WaitedSeconds);

/// <summary>An address that was freed and cools down.</summary>
/// <param name="Address">Which.</param>
/// <param name="FreedSeconds">How long ago. 0 while its link is still going away.</param>
public readonly record struct Resting(Ip Address, double FreedSeconds);

/// <summary>An assignment that is over.</summary>
/// <param name="Sandbox">Whose it was.</param>
/// <param name="Address">Which; null when none was claimed.</param>
/// <param name="Stamp">Of the release.</param>
/// <param name="FreedSeconds">How long ago it became free.</param>
public sealed record EndedAssignment(SandboxKey Sandbox, Ip? Address, Stamp Stamp, double FreedSeconds)
{
    /// <inheritdoc cref="ReleaseRequest.Had"/>
    public EndedClaim? Had { get; init; }
}

/// <summary>The grain's whole wish, in answer to a report.</summary>
public sealed record NodeOrders
{
    /// <summary>The report that this answers: what it listed as ended is stored.</summary>
    public required Stamp Answers { get; init; }

    /// <summary>The incarnation that the executor must use. Differs from the report's when that was 0, or when a late duplicate of
    /// such a report has raised it since.</summary>
    public required long Incarnation { get; init; }

    /// <summary>The version of the node document that this comes from. It adds to the lease only when above the lease's own.</summary>
    public required long LeaseVersion { get; init; }

    /// <summary>Every address that the node may use. Those in <see cref="GiveUp"/> too are not added again.</summary>
    public required ImmutableArray<LeasedAddress> Lease { get; init; }

    /// <summary>Addresses to leave out of the lease when no sandbox has them. Giving up raises the lease version to <see cref="LeaseVersion"/>.</summary>
    public required ImmutableArray<Ip> GiveUp { get; init; }

    /// <summary>Interfaces that the node has or is to set up.</summary>
    public required ImmutableArray<InterfaceOrder> Interfaces { get; init; }

    /// <summary>What the node needs of the policy.</summary>
    public required NodePolicy Policy { get; init; }
}

/// <summary>An address that a node may use, and the interface that holds it.</summary>
/// <param name="Address">Which.</param>
/// <param name="EniId">The interface.</param>
public readonly record struct LeasedAddress(Ip Address, string EniId);

/// <summary>An interface as the node sees it.</summary>
/// <param name="EniId">EC2's id.</param>
/// <param name="Mac">Lower case, colons. The executor finds the link by it.</param>
/// <param name="DeviceIndex">0 is the primary interface, whose addresses use table main.</param>
/// <param name="NetworkCard">0 on most types.</param>
/// <param name="PrimaryAddress">The interface's own address; never on a pod.</param>
/// <param name="SubnetCidr">Of its subnet.</param>
public sealed record InterfaceOrder(string EniId, string Mac, int DeviceIndex, int NetworkCard, Ip PrimaryAddress, Cidr SubnetCidr);

/// <summary>What a node needs of the policy.</summary>
/// <param name="CooldownSeconds">A freed address is not used before.</param>
/// <param name="PreferredRestSeconds">Among free addresses those that have rested this long come first.</param>
public sealed record NodePolicy(double CooldownSeconds, double PreferredRestSeconds);
