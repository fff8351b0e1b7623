using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;
using Orleans.Concurrency;

namespace AwsVpcCni.Grains.History;

/// <summary>Asks the subnet's ledger for the nodes, these for who has the address now, and the store for who had it before. Has no state: as many as are asked at once.</summary>
[StatelessWorker(8)]
public sealed class AddressHistoryGrain(IGrainContext context, IAddressBook book, IGrainFactory grains) : IGrainBase, IAddressHistoryGrain
{
    /// <inheritdoc/>
    public IGrainContext GrainContext => context;

    private string VpcId { get; } = context.GrainId.Key.ToString()!;

    /// <inheritdoc/>
    public async Task<AddressHolders> WhoAsync(Ip address, DateTimeOffset? at)
    {
        var vpc = grains.GetGrain<IVpcGrain>(VpcId);
        var isRead = !(await vpc.SubnetsAsync()).IsEmpty; // First: what is read between the two is not missed.
        var subnetId = await vpc.SubnetOfAsync(address);
        // Silos that have just started: all are asked, each knows its own.
        var nodes = subnetId is not null ? await grains.GetGrain<ISubnetGrain>(subnetId).HoldersOfAsync(address) ?? await vpc.NodesAsync()
            : isRead ? [] : await vpc.NodesAsync();

        // Now before then: who ends meanwhile is in the history once it is not on the node any more.
        var now = await Task.WhenAll(nodes.Select(node => grains.GetGrain<INodeGrain>(node).HolderAsync(address)));
        var past = await book.ReadHistoryAsync(address, at ?? DateTimeOffset.MinValue, at ?? DateTimeOffset.MaxValue, CancellationToken.None);
        return new AddressHolders(subnetId,
        [
            .. now.OfType<AddressRow>().Where(row => at is null || row.Since <= at).Concat(past)
                .OrderByDescending(row => row.Since).DistinctBy(row => (row.NodeId, row.Sandbox, row.Stamp)).Take(AddressHolders.Most),
        ]);
    }
}
