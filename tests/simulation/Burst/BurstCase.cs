using AwsVpcCni.Silo.Options;

namespace AwsVpcCni.Tests.Simulation.Burst;

/// <summary>A burst of pods on one node, and what amazon-vpc-cni-k8s makes of it.</summary>
/// <param name="Setting">As it stands in the figures' names.</param>
/// <param name="Theirs">Simulated from its source, release 1.23.1, by turns of 5 s with an EC2 that takes no time (vpc-cni.md 2.12 (c)).</param>
internal sealed record BurstCase(string InstanceType, int Pods, string Setting, PoolOptions Policy, Reference Theirs)
{
    private static readonly PoolOptions NothingSet = new();
    private static readonly PoolOptions W1 = new() { WarmIps = 1 };
    private static readonly PoolOptions W2M10 = new() { WarmIps = 2, MinimumIps = 10 };
    private static readonly PoolOptions Wp1 = new() { Prefixes = true, WarmPrefixes = 1 };

    public static IReadOnlyList<BurstCase> All { get; } =
    [
        new("m5.large", 27, "default", NothingSet, new(10, 12, 6)),
        new("m5.large", 27, "w1", W1, new(130, 36, 6)),
        new("m5.large", 27, "w2_m10", W2M10, new(45, 14, 2)),
        new("m5.large", 27, "w5_m13", new() { WarmIps = 5, MinimumIps = 13 }, new(15, 8, 2)),
        new("m5.large", 110, "wp1", Wp1, new(30, 7, 1)),
        new("m5.4xlarge", 232, "default", NothingSet, new(35, 42, 21)),
        new("m5.4xlarge", 232, "w1", W1, new(1155, 266, 26)),
        new("m5.4xlarge", 232, "w2_m10", W2M10, new(575, 150, 26)),
        new("m5.4xlarge", 232, "w5_m116", new() { WarmIps = 5, MinimumIps = 116 }, new(120, 44, 13)),
        new("m5.4xlarge", 110, "wp1", Wp1, new(30, 7, 1)),
    ];

    /// <summary>As many as a new node gets at once.</summary>
    public static BurstCase OfNewNode { get; } = new("m5.large", 25, "bound", NothingSet, new(0, 0, 0));

    /// <summary>The beginning of its figures' names.</summary>
    public string Name => $"burst_{InstanceType.Replace('.', '_')}_{Pods}_{Setting}";
}

/// <summary>The reference's figures.</summary>
/// <param name="Seconds">Until every pod has its address.</param>
/// <param name="CallsUp">From the first pod to the policy's target.</param>
/// <param name="CallsBack">From no pod any more to the policy's target.</param>
internal sealed record Reference(int Seconds, int CallsUp, int CallsBack);
