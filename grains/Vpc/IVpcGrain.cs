using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using Orleans.Concurrency;

namespace AwsVpcCni.Grains.Vpc;

/// <summary>One VPC. Key: the VPC id. Reads EC2 for everybody.</summary>
public interface IVpcGrain : IGrainWithStringKey
{
    /// <summary>Look at this instance with the next batch, and tell its node grain. A hint: ask again while no answer came.</summary>
    [OneWay]
    Task DescribeMeAsync(string instanceId, long change);

    /// <summary>As <see cref="DescribeMeAsync"/>, of a node for which nobody waits: together with all others of ten seconds.</summary>
    Task LookAtMeAsync(string instanceId, long change);

    /// <summary>The subnet's map is missing or doubtful: read it with the next sweep, now.</summary>
    [OneWay]
    Task ReadSubnetAsync(string subnetId);

    /// <summary>The node's instance is gone, and nothing of the node is left: it leaves the register. Lost, it is told again, since what is in the
    /// register and has no interface is looked at with each sweep.</summary>
    [OneWay]
    Task RetiredAsync(string instanceId);

    /// <summary>Keeps the grain awake, so that sweeps go on without callers.</summary>
    Task PingAsync();

    /// <summary>Nodes that have asked for a look and are not retired, by instance id.</summary>
    Task<ImmutableArray<string>> NodesAsync();

    /// <summary>The VPC's subnets as last read.</summary>
    Task<ImmutableArray<string>> SubnetsAsync();

    /// <summary>The subnet that has the address; null when none has, or while the VPC has not been read yet.</summary>
    Task<string?> SubnetOfAsync(Ip address);
}
