using System.Collections.Immutable;
using Orleans.Concurrency;

namespace AwsVpcCni.Grains.Vpc;

/// <summary>One VPC. Key: the VPC id. Reads EC2 for everybody.</summary>
public interface IVpcGrain : IGrainWithStringKey
{
    /// <summary>Look at this instance with the next batch, and tell its node grain. A hint: ask again while no answer came.</summary>
    [OneWay]
    Task DescribeMeAsync(string instanceId, long change);

    /// <summary>The subnet's map is missing or doubtful: read it with the next sweep, now.</summary>
    [OneWay]
    Task ReadSubnetAsync(string subnetId);

    /// <summary>Keeps the grain awake, so that sweeps go on without callers.</summary>
    Task PingAsync();

    /// <summary>Nodes that have ever asked for a look, by instance id.</summary>
    Task<ImmutableArray<string>> NodesAsync();

    /// <summary>The VPC's subnets as last read.</summary>
    Task<ImmutableArray<string>> SubnetsAsync();
}
