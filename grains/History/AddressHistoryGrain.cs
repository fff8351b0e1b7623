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
        // Silos that have just started and have not read EC2 yet: all are asked, each knows its own.
        var ours = await vpc.NodesAsync();
        var nodes = subnetId is not null ? (await grains.GetGrain<ISubnetGrain>(subnetId).HoldersOfAsync(address))?.Intersect(ours) ?? ours : isRead ? [] : ours;

        // Now before then: who ends meanwhile is in the history once it is not on the node any more.
        var now = await Task.WhenAll(nodes.Select(node => AskAsync(node, address, at)));
        var past = await book.ReadHistoryAsync(address, at ?? DateTimeOffset.MinValue, at ?? DateTimeOffset.MaxValue, CancellationToken.None);
        return new AddressHolders(subnetId,
        [
            .. now.Select(one => one.Holder).OfType<AddressRow>().Where(row => at is null || row.Since <= at).Concat(past)
                .OrderByDescending(row => row.Since).DistinctBy(row => (row.NodeId, row.Sandbox, row.Stamp)).Take(AddressHolders.Most),
        ],
        [.. now.Select(one => one.NotHeard).OfType<NotHeard>().OrderBy(one => one.NodeId, StringComparer.Ordinal).Take(AddressHolders.Most)]);
    }

    private async Task<(AddressRow? Holder, NotHeard? NotHeard)> AskAsync(string nodeId, Ip address, DateTimeOffset? at)
    {
        var node = grains.GetGrain<INodeGrain>(nodeId);
        try
        {
            return await HeldAsync(node, nodeId, address, at);
        }
        catch (Exception e) when (e is TimeoutException or OrleansException)
        {
            return (null, new NotHeard(nodeId, null));
        }
    }

    private static async Task<(AddressRow? Holder, NotHeard? NotHeard)> HeldAsync(INodeGrain node, string nodeId, Ip address, DateTimeOffset? at)
    {
        try
        {
            var (holder, silentSince) = await node.HeldAsync(address, at);
            return (holder, silentSince is null ? null : new NotHeard(nodeId, silentSince));
        }
        catch (TypeLoadException)
        {
            // On a silo of before it was told (ADR 0011): that it names nobody may be because it has not been told of anybody.
            var holder = await node.HolderAsync(address);
            return (holder, holder is null || holder.Since > at ? new NotHeard(nodeId, null) : null);
        }
    }
}
