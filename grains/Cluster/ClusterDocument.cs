using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.Grains.Cluster;

/// <summary>What is stored of one cluster.</summary>
public sealed record ClusterDocument
{
    /// <summary>Of this layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>Goes up with each change.</summary>
    public long Version { get; init; }

    /// <summary>What nodes should hold; null: the silos' settings.</summary>
    public PoolPolicy? Pool { get; init; }

    /// <summary>What single nodes should hold instead, by instance id.</summary>
    public ImmutableSortedDictionary<string, PoolPolicy> Nodes { get; init; } = ImmutableSortedDictionary.Create<string, PoolPolicy>(StringComparer.Ordinal);

    /// <summary>The latest changes, the last one last.</summary>
    public ImmutableArray<PolicyNote> Changes { get; init; } = [];

    /// <summary>What a newer silo wrote and this one does not know.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Unknown { get; set; }
}
