using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>What of the lease outlives the process. Both methods have taken effect when they return.</summary>
public interface ILeaseStore
{
    /// <summary>Replaces everything. Survives a power cut from here on.</summary>
    /// <exception cref="IOException">Nothing has changed, or it is unknown whether it has; the lease must not be used as if it had.</exception>
    void Save(NodeLease lease);

    /// <summary>Adds one change. Survives a killed process from here on, not a power cut.</summary>
    /// <param name="after">The lease with the change.</param>
    /// <exception cref="IOException">As with <see cref="Save"/>.</exception>
    void Append(LeaseEntry entry, NodeLease after);
}

/// <summary>A change that is too frequent for a whole snapshot. Closed.</summary>
public abstract record LeaseEntry
{
    private LeaseEntry()
    {
    }

    /// <summary>An address belongs to a sandbox.</summary>
    public sealed record Claimed(Ip Address, Hold Hold) : LeaseEntry;

    /// <summary>An assignment is over; the address, if there is one, is held until its link is gone.</summary>
    public sealed record Ended(Stamp Stamp, Ending Ending) : LeaseEntry;

    /// <summary>The kernel has confirmed that the link is gone.</summary>
    /// <param name="At">Boot-clock time.</param>
    public sealed record Freed(SandboxKey Sandbox, Ip Address, TimeSpan At) : LeaseEntry;
}
