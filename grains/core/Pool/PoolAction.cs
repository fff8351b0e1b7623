using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Core.Pool;

/// <summary>One step towards the policy. Closed: nobody outside can add a case.</summary>
public abstract record PoolAction
{
    private PoolAction()
    {
    }

    /// <summary>Draw <paramref name="Count"/> addresses or prefixes from EC2 for an attached interface, in one call.</summary>
    public sealed record Draw(string EniId, int Count, bool Prefixes) : PoolAction;

    /// <summary>Make and attach an interface that holds <paramref name="Count"/> addresses or prefixes for pods, in one call each.</summary>
    public sealed record AddInterface(string SubnetId, int Count, bool Prefixes) : PoolAction;

    /// <summary>Detach and delete an interface that holds nothing for pods.</summary>
    public sealed record RemoveInterface(string EniId) : PoolAction;

    /// <summary>Ask the executor to leave these out of its lease, so that they can be returned.</summary>
    public sealed record GiveUp(ImmutableArray<Block> Blocks) : PoolAction;
}
