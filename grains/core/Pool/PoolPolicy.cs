namespace AwsVpcCni.Core.Pool;

/// <summary>What a node should hold, and how long a freed address rests.</summary>
public sealed record PoolPolicy
{
    /// <summary>Free, rested addresses kept ready. amazon-vpc-cni-k8s: WARM_IP_TARGET.</summary>
    public int WarmIps { get; init; } = 4;

    /// <summary>Addresses held at least, in use or not. amazon-vpc-cni-k8s: MINIMUM_IP_TARGET.</summary>
    public int MinimumIps { get; init; }

    /// <summary>A freed address is neither used again nor returned before. amazon-vpc-cni-k8s: IP_COOLDOWN_PERIOD.</summary>
    public TimeSpan Cooldown { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Among free addresses those that rested this long come first: peers' conntrack remembers SYN_SENT for 120 s.</summary>
    public TimeSpan PreferredRest { get; init; } = TimeSpan.FromSeconds(120);
}
