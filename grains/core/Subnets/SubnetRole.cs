namespace AwsVpcCni.Core.Subnets;

/// <summary>What a subnet's tags say of pods. Stored as a number: new ones come last.</summary>
public enum SubnetRole
{
    /// <summary>No tag <see cref="SubnetRoles.RoleTag"/>: it is for its own nodes only.</summary>
    Unmarked,

    /// <summary>The tag is 0: no pod gets an address of it.</summary>
    Excluded,

    /// <summary>The tag has another value, and the cluster tags allow this cluster: it is for all nodes of its zone.</summary>
    Marked,

    /// <summary>The tag has another value, and the cluster tags name other clusters only: nobody of this one gets a new interface in it.</summary>
    OfOthers,
}

/// <summary>Reads the tags by which amazon-vpc-cni-k8s discovers and excludes subnets (vpc-cni.md 1.4). Pure.</summary>
public static class SubnetRoles
{
    /// <summary>0 excludes a subnet, any other value offers it; 1 is the documented one.</summary>
    public const string RoleTag = "kubernetes.io/role/cni";

    /// <summary>With a cluster's name behind it: where there is any, the subnet is for the clusters so named. The older <c>kubernetes.io/cluster/</c> says nothing.</summary>
    public const string ClusterTagPrefix = "cni.networking.k8s.aws/cluster/";

    /// <summary>What the tags say to this cluster.</summary>
    /// <param name="clusterName">Empty: cluster tags say nothing.</param>
    public static SubnetRole Of(IReadOnlyDictionary<string, string> tags, string clusterName)
    {
        ArgumentNullException.ThrowIfNull(tags);
        return tags.GetValueOrDefault(RoleTag) switch
        {
            null => SubnetRole.Unmarked,
            "0" => SubnetRole.Excluded,
            _ when clusterName.Length == 0 || tags.ContainsKey(ClusterTagPrefix + clusterName) || !tags.Keys.Any(key => key.StartsWith(ClusterTagPrefix, StringComparison.Ordinal)) => SubnetRole.Marked,
            _ => SubnetRole.OfOthers,
        };
    }
}
