using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>One address as the node knows it.</summary>
/// <param name="EniId">The interface that holds it.</param>
/// <param name="Leased">False: the node may not use it, yet it is still on a sandbox or rests from one.</param>
/// <param name="Hold">Null when no sandbox has it and no link is going away.</param>
/// <param name="FreedAt">Boot-clock time since which it rests; null when it need not rest.</param>
public sealed record Slot(string EniId, bool Leased, Hold? Hold, TimeSpan? FreedAt);

/// <summary>Who has an address.</summary>
/// <param name="Stamp">Of the ADD; zero when only the kernel knows of it.</param>
/// <param name="Since">Boot-clock time of the claim.</param>
/// <param name="Turn">The ADD's place in the order of arrival; 0 when it was before this start.</param>
/// <param name="Leaving">The sandbox has let go, and the kernel has not confirmed yet that the link is gone.</param>
public sealed record Hold(SandboxKey Sandbox, PodName Pod, Stamp Stamp, TimeSpan Since, long Turn, bool Leaving)
{
    /// <summary>The runtime's network that the address was asked for; null when only the kernel knows of it.</summary>
    public string? Network { get; init; }

    /// <summary>The link-layer address of the pod's link on the host, lower case with colons: the pod's neighbour entry names it. Null when only the
    /// kernel knows, and in lines of executors that did not write it; they pass over it in ours.</summary>
    public string? HostMac { get; init; }
}

/// <summary>An ADD that has no address yet. Its number stays the same however often it asks.</summary>
/// <param name="Since">Boot-clock time.</param>
/// <param name="Turn">Its place in the order of arrival.</param>
/// <param name="Waits">It has been told "not yet", so it is demand.</param>
public sealed record Asking(PodName Pod, long Number, TimeSpan Since, long Turn, bool Waits)
{
    /// <inheritdoc cref="Hold.Network"/>
    public string? Network { get; init; }

    /// <inheritdoc cref="Hold.HostMac"/>
    public string? HostMac { get; init; }

    /// <summary>What it was told last; null when it has not been told anything.</summary>
    public Reason? Why { get; init; }
}

/// <summary>An assignment that is over, and whose end no reply has acknowledged.</summary>
/// <param name="Address">Null when none was claimed.</param>
/// <param name="FreedAt">Boot-clock time; null while the link is still going away.</param>
public sealed record Ending(SandboxKey Sandbox, Ip? Address, TimeSpan? FreedAt)
{
    /// <summary>Of the claim; null without one, and for one of another boot, whose times mean nothing.</summary>
    public Hold? Had { get; init; }

    /// <summary>The claim as a silo is told of it.</summary>
    internal EndedClaim? HadFor(TimeSpan now) => Had is { } had ? new EndedClaim(had.Pod, had.Stamp, (now - had.Since).TotalSeconds) : null;
}

/// <summary>A DEL has been here: an ADD that arrived before it must not claim any more.</summary>
/// <param name="Turn">The DEL's place in the order of arrival.</param>
/// <param name="At">Boot-clock time.</param>
public sealed record Tombstone(long Turn, TimeSpan At);

/// <summary>An address of which the claim says that it belongs to the sandbox.</summary>
public sealed record Grant(Ip Address, string EniId);

/// <summary>How an ADD begins. Closed.</summary>
public abstract record AddStart
{
    private AddStart()
    {
    }

    /// <summary>It is to ask for an address, under this number.</summary>
    public sealed record Asks(long Number) : AddStart;

    /// <summary>It is a repetition: the sandbox has its address.</summary>
    public sealed record Holds(Grant Grant) : AddStart;

    /// <summary>A DEL that arrived later has been served already.</summary>
    public sealed record Outrun : AddStart;

    /// <summary>Another ADD of this sandbox has not ended.</summary>
    public sealed record InProgress : AddStart;

    /// <summary>As many ADDs as the bound allows have no address yet.</summary>
    public sealed record TooMany : AddStart;
}

/// <summary>How a claim ends. Closed.</summary>
public abstract record ClaimResult
{
    private ClaimResult()
    {
    }

    /// <summary>The address belongs to the sandbox from now on.</summary>
    public sealed record Claimed(Grant Grant) : ClaimResult;

    /// <summary>The offer is not accepted.</summary>
    public sealed record Refused(Refusal Refusal) : ClaimResult;

    /// <summary>A DEL has ended the ADD meanwhile.</summary>
    public sealed record Outrun : ClaimResult;

    /// <summary>The lease has no address that may be claimed now.</summary>
    public sealed record NothingRested : ClaimResult;
}

/// <summary>What orders changed.</summary>
/// <param name="MustSave">The lease must be on disk before anybody is told of it: it was granted something, or has consented.</param>
/// <param name="GivenUp">Addresses that left the lease.</param>
/// <param name="Added">Addresses that came to it.</param>
public readonly record struct Applied(bool MustSave, int GivenUp, int Added);

/// <summary>Sorts sandboxes, so that every order that can be seen is the same on each machine.</summary>
internal sealed class SandboxOrder : IComparer<SandboxKey>
{
    public static readonly SandboxOrder Instance = new();

    public int Compare(SandboxKey x, SandboxKey y) =>
        string.CompareOrdinal(x.ContainerId, y.ContainerId) is var byContainer and not 0 ? byContainer : string.CompareOrdinal(x.IfName, y.IfName);
}
