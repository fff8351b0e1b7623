using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;

namespace AwsVpcCni.Grains;

/// <summary>What every grain knows of its cluster; from the silo's settings.</summary>
/// <param name="ClusterName">Of the Kubernetes cluster; goes into tags.</param>
/// <param name="VpcId">The VPC whose nodes are managed.</param>
/// <param name="QuotaKey">Key of the quota grain: <c>account/region</c>.</param>
/// <param name="Pool">What a node should hold, at the start.</param>
/// <param name="Timing">Periods and deadlines.</param>
public sealed record ClusterSettings(string ClusterName, string VpcId, string QuotaKey, PoolPolicy Pool, Timing Timing)
{
    /// <summary>The key of an account's budget in a region; one that is not named is the only one.</summary>
    public static string QuotaKeyOf(string? accountId, string region) => $"{accountId ?? "account"}/{region}";

    /// <summary>Our share of EC2's buckets.</summary>
    public double BudgetShare { get; init; } = TokenBucket.DefaultShare;

    /// <summary>What a node should hold. Changes at run time.</summary>
    public PoolPolicy Pool { get; set; } = Pool;

    /// <summary>What single nodes should hold instead, by instance id: of their own, by a label, or in the network of their own. Changes at run time.</summary>
    public ImmutableSortedDictionary<string, PoolPolicy> NodePools { get; set; } = ImmutableSortedDictionary<string, PoolPolicy>.Empty;

    /// <summary>The policy of the silo's own settings, whatever operators have set. Changes with their file.</summary>
    public PoolPolicy PoolOfSettings { get; set; } = Pool;

    /// <summary>What operators have switched off. Changes at run time.</summary>
    public ImmutableArray<OperatorSwitch> Switches { get; set; } = [];

    /// <summary>The switch that holds for a node, a subnet, or the one in the other; null for none.</summary>
    public OperatorSwitch? SwitchOf(string? instanceId, string? subnetId) => OperatorSwitches.InForce(Switches, instanceId, subnetId);

    /// <summary>What operators let be changed there.</summary>
    public SwitchMode ModeOf(string? instanceId, string? subnetId) => SwitchOf(instanceId, subnetId)?.Mode ?? SwitchMode.Normal;

    /// <summary>What this node should hold now.</summary>
    public PoolPolicy PolicyOf(string instanceId) => NodePools.GetValueOrDefault(instanceId) ?? Pool;
}

/// <summary>Periods and deadlines. The defaults are the design's.</summary>
public sealed record Timing
{
    /// <summary>Joins that come within it are described together.</summary>
    public TimeSpan BatchWindow { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Of looks that nobody waits for.</summary>
    public TimeSpan RoutineWindow { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Between two sweeps of a VPC that show what the ledgers have. A large VPC is swept more seldom (<see cref="Vpc.VpcGrain"/>).</summary>
    public TimeSpan SweepPeriod { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>After a sweep that has shown something else.</summary>
    public TimeSpan BusySweepPeriod { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Of a node grain's work loop.</summary>
    public TimeSpan WorkPeriod { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Of the work loop of a node that has what it wants and waits for nothing: an ADD or a report wakes it. A change of policy or switch reaches it so much later.</summary>
    public TimeSpan RestPeriod { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>ADDs that find no address within it are planned for together.</summary>
    public TimeSpan Gather { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>A new interface waits so long for the ledger of a subnet that EC2 has not been read for, as in a cluster that has just begun.</summary>
    public TimeSpan ReadingTakes { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>One EC2 call.</summary>
    public TimeSpan Ec2Call { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A returned address is not named again for the interface that it left.</summary>
    public TimeSpan NotNamedAgain { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A reservation lapses this long after it was last asked for.</summary>
    public TimeSpan ReservationLapse { get; init; } = TimeSpan.FromHours(1);

    /// <summary>An interface of ours that two sweeps so far apart show attached to nothing has leaked. It is attached within seconds of its making, and may be shown late (ec2.md 2.1).</summary>
    public TimeSpan LeakedAfter { get; init; } = TimeSpan.FromMinutes(5);
}
