using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Silo.Views;

/// <summary>What operators see of the cluster, put together from what its grains say: the same for <c>ipam</c> and for the HTTP API.</summary>
/// <remarks>Grains are asked only for what the VPC's grain knows: a question must not make a grain of a name that somebody has typed.</remarks>
/// <param name="quotaKey">Null where the account's region is not known.</param>
internal sealed class ClusterViews(IGrainFactory grains, string vpcId, string? quotaKey)
{
    private readonly IVpcGrain _vpc = grains.GetGrain<IVpcGrain>(vpcId);

    /// <summary>The VPC that all of them are of.</summary>
    public string VpcId => vpcId;

    /// <summary>Every subnet, by id.</summary>
    public async Task<SubnetSummary[]> SubnetsAsync() =>
        await Task.WhenAll((await _vpc.SubnetsAsync()).Order(StringComparer.Ordinal).Select(id => grains.GetGrain<ISubnetGrain>(id).SummarizeAsync()));

    /// <summary>One subnet; null when the VPC has no such.</summary>
    public async Task<SubnetSummary?> SubnetAsync(string id) =>
        (await _vpc.SubnetsAsync()).Contains(id) ? await grains.GetGrain<ISubnetGrain>(id).SummarizeAsync() : null;

    /// <summary>Every node's instance id, in order.</summary>
    public async Task<string[]> NodeIdsAsync() => [.. (await _vpc.NodesAsync()).Order(StringComparer.Ordinal)];

    /// <summary>These nodes of ours.</summary>
    public Task<NodeSummary[]> NodesAsync(IEnumerable<string> known) => Task.WhenAll(known.Select(id => grains.GetGrain<INodeGrain>(id).SummarizeAsync()));

    /// <summary>One node; null when none of that name has joined.</summary>
    public async Task<NodeView?> NodeAsync(string id)
    {
        if (!(await _vpc.NodesAsync()).Contains(id))
        {
            return null;
        }

        var node = grains.GetGrain<INodeGrain>(id);
        var (summary, blocks) = (node.SummarizeAsync(), node.LivesAsync());
        return new NodeView(await summary, await blocks);
    }

    /// <summary>Who has or had an address; null when it is in no subnet of the VPC, and in no history.</summary>
    /// <param name="at">Only who had it at this moment.</param>
    public async Task<AddressHolders?> WhoAsync(Ip address, DateTimeOffset? at) =>
        await grains.GetGrain<IAddressHistoryGrain>(vpcId).WhoAsync(address, at) is var answer && answer is { SubnetId: null, Holders: [] } ? null : answer;

    /// <summary>The pods that wait for an address, those that have waited longest first.</summary>
    public async Task<WaitingPod[]> WaitingAsync() => await WaitingAsync(await _vpc.NodesAsync());

    /// <summary>The same of one node; null when none of that name has joined.</summary>
    public async Task<WaitingPod[]?> WaitingAsync(string id) => (await _vpc.NodesAsync()).Contains(id) ? await WaitingAsync([id]) : null;

    /// <summary>The budget of EC2 calls, an action each; null where the account's region is not known.</summary>
    /// <param name="other">ACCOUNT/REGION of another budget than that of the settings.</param>
    public async Task<ActionBudget[]?> QuotaAsync(string? other = null) => (other ?? quotaKey) is { } key ? [.. await grains.GetGrain<IEc2QuotaGrain>(key).SummarizeAsync()] : null;

    private async Task<WaitingPod[]> WaitingAsync(IEnumerable<string> known)
    {
        var pods = await Task.WhenAll(known.Select(id => grains.GetGrain<INodeGrain>(id).WaitingAsync()));
        return [.. pods.SelectMany(of => of).OrderByDescending(pod => pod.WaitedSeconds)];
    }
}

/// <summary>One node with what it has, is getting and is giving back.</summary>
internal sealed record NodeView(NodeSummary Summary, ImmutableArray<BlockLife> Blocks);
