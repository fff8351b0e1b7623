using System.Collections.Immutable;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Cluster;

/// <summary>What is stored of one cluster.</summary>
public sealed record ClusterDocument : DocumentPart
{
    /// <summary>Of this layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>Goes up with each change.</summary>
    public long Version { get; init; }

    /// <summary>What nodes should hold; null: the silos' settings.</summary>
    public PoolPolicy? Pool { get; init; }

    /// <summary>What single nodes should hold instead, by instance id, and those that bear a label (<see cref="PolicyLabels"/>).</summary>
    public ImmutableSortedDictionary<string, PoolPolicy> Nodes { get; init; } = ImmutableSortedDictionary.Create<string, PoolPolicy>(StringComparer.Ordinal);

    /// <summary>What operators have switched off, by target. Silos of before there were switches keep it as it is.</summary>
    public ImmutableArray<OperatorSwitch> Switches { get; init; } = [];

    /// <summary>The latest changes, the last one last.</summary>
    public ImmutableArray<PolicyNote> Changes { get; init; } = [];
}
