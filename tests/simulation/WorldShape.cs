using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>What a world is like that no seed draws: wide subnets, one type of instance, no pods but those that somebody starts.</summary>
/// <param name="LatencyOf">What a call takes.</param>
/// <param name="Times">What EC2 takes after its answer.</param>
/// <param name="IsOneSmallSubnet">A /24 for all instead.</param>
internal sealed record WorldShape(string InstanceType, PoolOptions Policy, Func<Ec2Action, TimeSpan> LatencyOf, VpcTimes Times, bool IsOneSmallSubnet = false);
