using System.Collections.Immutable;
using AwsVpcCni.Core.Subnets;

namespace AwsVpcCni.Grains.Subnet;

/// <content>What follows from the figures.</content>
public sealed partial record SubnetSummary
{
    /// <summary>Those that hold most, the largest first.</summary>
    public IEnumerable<KeyValuePair<string, int>> LargestHolders(int most) => Holders.OrderByDescending(holder => holder.Value).ThenBy(holder => holder.Key, StringComparer.Ordinal).Take(most);

    /// <summary>What would help, that which brings most first; empty while there is plenty, or before EC2 has been read.</summary>
    public ImmutableArray<SubnetHelp> Help => Cidr is null ? [] : SubnetHelp.For(Free, FreePrefixes, Warm, Others, Reserved, Dry, Level);
}
