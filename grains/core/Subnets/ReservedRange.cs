using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Core.Subnets;

/// <summary>A CIDR reservation of a subnet: a part of it from which EC2 itself picks no address.</summary>
/// <param name="ForPrefixes">EC2 picks prefixes from it before all others. Else it picks nothing there: it is for what somebody names (VPC user guide).</param>
public readonly record struct ReservedRange(Cidr Cidr, bool ForPrefixes);
