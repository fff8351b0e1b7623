using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>What a world is like that no seed draws: wide subnets, one type of instance, no pods but those that somebody starts.</summary>
/// <param name="LatencyOf">What a call takes.</param>
/// <param name="Times">What EC2 takes after its answer.</param>
internal sealed record WorldShape(string InstanceType, PoolOptions Policy, Func<Ec2Action, TimeSpan> LatencyOf, VpcTimes Times)
{
    /// <summary>A VPC of its own, with the instances that are launched one after the other, and with EC2's buckets. Its world is too large for the checkers
    /// that look at all of it after each step.</summary>
    public VpcDescription? Vpc { get; init; }

    /// <summary>A /24 for all instead of wide subnets.</summary>
    public bool IsOneSmallSubnet { get; init; }

    /// <summary>Of EC2's buckets.</summary>
    public double BudgetShare { get; init; } = Core.Ec2Quota.TokenBucket.DefaultShare;
}
