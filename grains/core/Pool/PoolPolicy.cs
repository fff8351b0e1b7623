using System.Collections.Immutable;
using System.Globalization;

namespace AwsVpcCni.Core.Pool;

/// <summary>What a node should hold, and how long a freed address rests.</summary>
/// <remarks>A target that is null is not set. With none set the node's own demand decides (<see cref="PoolTarget.Demand"/>).</remarks>
public sealed record PoolPolicy
{
    /// <summary>As many free addresses as this many interfaces hold are kept ready. amazon-vpc-cni-k8s: WARM_ENI_TARGET.</summary>
    public int? WarmEnis { get; init; }

    /// <summary>Free, rested addresses kept ready. amazon-vpc-cni-k8s: WARM_IP_TARGET.</summary>
    public int? WarmIps { get; init; }

    /// <summary>Addresses held at least, in use or not. amazon-vpc-cni-k8s: MINIMUM_IP_TARGET.</summary>
    public int? MinimumIps { get; init; }

    /// <summary>Free prefixes kept ready, where prefixes are drawn. amazon-vpc-cni-k8s: WARM_PREFIX_TARGET.</summary>
    public int? WarmPrefixes { get; init; }

    /// <summary>Interfaces that the node has at most; null leaves it to the instance type. amazon-vpc-cni-k8s: MAX_ENI.</summary>
    public int? MaxEnis { get; init; }

    /// <summary>Draw /28 prefixes where the type takes them. amazon-vpc-cni-k8s: ENABLE_PREFIX_DELEGATION.</summary>
    public bool Prefixes { get; init; }

    /// <summary>Manage attached interfaces that carry no tag of any cluster. amazon-vpc-cni-k8s: MANAGE_UNTAGGED_ENI.</summary>
    public bool ManageUntagged { get; init; } = true;

    /// <summary>False: nothing is drawn, made or returned; pods go on from what there is. amazon-vpc-cni-k8s: DISABLE_NETWORK_RESOURCE_PROVISIONING.</summary>
    public bool Provisions { get; init; } = true;

    /// <summary>On a subnet that is low a node keeps one address ready, whatever its targets, and gives back more for others' waiting pods on one that is dry.</summary>
    public bool Thrift { get; init; } = true;

    /// <summary>Pods get addresses of <see cref="Subnets"/> alone, and the primary interface gives none. amazon-vpc-cni-k8s: AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG.</summary>
    public bool CustomNetworking { get; init; }

    /// <summary>Where the subnet and the groups of custom networking are from, or what is wrong there; for people. Null: from this policy itself.</summary>
    public string? NetworkFrom { get; init; }

    /// <summary>Of the interfaces that are made, in place of those of the node's primary one.</summary>
    public ImmutableArray<string> SecurityGroups { get; init; } = [];

    /// <summary>Put on each new interface besides our own tags. amazon-vpc-cni-k8s: ADDITIONAL_ENI_TAGS.</summary>
    public ImmutableSortedDictionary<string, string> AdditionalTags { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>Tags of subnets offer them to new interfaces, and exclude what is in them from pods. amazon-vpc-cni-k8s: ENABLE_SUBNET_DISCOVERY.</summary>
    public bool Discovers { get; init; } = true;

    /// <summary>Subnets beside the node's own for new interfaces, in order, instead of those that tags offer; those of other zones are passed over.</summary>
    public ImmutableArray<string> Subnets { get; init; } = [];

    /// <summary>A freed address is neither used again nor returned before. amazon-vpc-cni-k8s: IP_COOLDOWN_PERIOD.</summary>
    public TimeSpan Cooldown { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Among free addresses those that rested this long come first: peers' conntrack remembers SYN_SENT for 120 s.</summary>
    public TimeSpan PreferredRest { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>What differs from the defaults, and the rests, for logs.</summary>
    public override string ToString()
    {
        (string Name, object? Value)[] said =
        [
            (nameof(WarmEnis), WarmEnis), (nameof(WarmIps), WarmIps), (nameof(MinimumIps), MinimumIps), (nameof(WarmPrefixes), WarmPrefixes), (nameof(MaxEnis), MaxEnis),
            (nameof(Prefixes), Prefixes ? true : null), (nameof(ManageUntagged), ManageUntagged ? null : false), (nameof(Provisions), Provisions ? null : false), (nameof(Thrift), Thrift ? null : false), (nameof(Discovers), Discovers ? null : false),
            (nameof(CustomNetworking), CustomNetworking ? true : null), (nameof(NetworkFrom), NetworkFrom),
            (nameof(SecurityGroups), SecurityGroups.IsDefaultOrEmpty ? null : string.Join(',', SecurityGroups)),
            (nameof(AdditionalTags), AdditionalTags.IsEmpty ? null : string.Join(',', AdditionalTags.Select(tag => $"{tag.Key}:{tag.Value}"))),
            (nameof(Subnets), Subnets.IsDefaultOrEmpty ? null : string.Join(',', Subnets)), (nameof(Cooldown), Cooldown), (nameof(PreferredRest), PreferredRest),
        ];
        return string.Join(' ', said.Where(one => one.Value is not null).Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Name}={one.Value}")));
    }

    /// <summary>Which of the targets holds.</summary>
    /// <param name="prefixes">Whether the node draws prefixes.</param>
    public PoolTarget Target(bool prefixes) => this switch
    {
        { WarmIps: not null } or { MinimumIps: not null } => new PoolTarget.OfAddresses(WarmIps ?? 0, MinimumIps ?? 0),
        { WarmEnis: null, WarmPrefixes: null } => new PoolTarget.Demand(),
        _ when prefixes => new PoolTarget.OfPrefixes(WarmPrefixes ?? 0),
        _ => new PoolTarget.OfInterfaces(WarmEnis ?? 1),
    };
}

/// <summary>What is kept ready. Closed: nobody outside can add a case.</summary>
public abstract record PoolTarget
{
    private PoolTarget()
    {
    }

    /// <summary>A number of free addresses, and a number of addresses at least.</summary>
    public sealed record OfAddresses(int Warm, int Minimum) : PoolTarget;

    /// <summary>Free addresses worth so many interfaces; surplus goes by whole interfaces.</summary>
    public sealed record OfInterfaces(int Warm) : PoolTarget;

    /// <summary>Free addresses worth so many prefixes; surplus goes by whole prefixes.</summary>
    public sealed record OfPrefixes(int Warm) : PoolTarget;

    /// <summary>What 15 s of the recent ADDs need, and a little at least.</summary>
    public sealed record Demand : PoolTarget;
}
