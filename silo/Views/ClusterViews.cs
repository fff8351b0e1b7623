using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Silo.Views;

/// <summary>What operators see of the cluster, put together from what its grains say: the same for <c>ipam</c> and for the HTTP API.</summary>
/// <remarks>Grains are asked only for what the VPC's grain knows: a question must not make a grain of a name that somebody has typed.</remarks>
/// <param name="quotaKey">Null where the account's region is not known.</param>
internal sealed class ClusterViews(IGrainFactory grains, string clusterName, string vpcId, string? quotaKey)
{
    private const int MostSwitches = 200; // Each is looked at with each call, and copied to each silo each five seconds.

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
    public Task<NodeSummary[]> NodesAsync(IEnumerable<string> known) => Task.WhenAll(known.Select(SummaryAsync));

    /// <summary>This node of ours.</summary>
    public Task<NodeSummary> SummaryAsync(string known) => grains.GetGrain<INodeGrain>(known).SummarizeAsync();

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
        await grains.GetGrain<IAddressHistoryGrain>(vpcId).WhoAsync(address, at) is var answer && answer is { SubnetId: null, Holders: [], NotHeard: null or { IsEmpty: true } } ? null : answer;

    /// <summary>The pods that wait for an address, those that have waited longest first.</summary>
    public async Task<WaitingPod[]> WaitingAsync() => await WaitingAsync(await _vpc.NodesAsync());

    /// <summary>The same of one node; null when none of that name has joined.</summary>
    public async Task<WaitingPod[]?> WaitingAsync(string id) => (await _vpc.NodesAsync()).Contains(id) ? await WaitingAsync([id]) : null;

    /// <summary>The budget of EC2 calls, an action each; null where the account's region is not known.</summary>
    /// <param name="other">ACCOUNT/REGION of another budget than that of the settings.</param>
    public async Task<ActionBudget[]?> QuotaAsync(string? other = null) => (other ?? quotaKey) is { } key ? [.. await grains.GetGrain<IEc2QuotaGrain>(key).SummarizeAsync()] : null;

    /// <summary>What operators have set and switched off.</summary>
    public Task<ClusterPolicies> PoliciesAsync() => Cluster.ReadAsync();

    /// <inheritdoc cref="IClusterGrain.ChangeAsync"/>
    /// <exception cref="BadQuestionException">There are too many.</exception>
    public async Task<PolicyReply> ChangePolicyAsync(PolicyChange change)
    {
        PolicyBound.Check(await PoliciesAsync(), change);
        return await Cluster.ChangeAsync(change);
    }

    /// <inheritdoc cref="IClusterGrain.SwitchAsync"/>
    public Task<PolicyReply> SwitchAsync(SwitchChange change) => Cluster.SwitchAsync(change);

    /// <summary>A misspelt target must not look like one that is switched off.</summary>
    /// <exception cref="BadQuestionException">There is no such node or subnet, or nothing that could end.</exception>
    public async Task CheckTargetAsync(string target, SwitchMode mode)
    {
        var switches = (await PoliciesAsync()).Switches ?? throw new BadQuestionException("The cluster's grain is on a silo of before there were switches. Try again when all silos are of this build.");
        if (switches.Any(one => one.Target == target))
        {
            return;
        }

        if (mode == SwitchMode.Normal)
        {
            throw new BadQuestionException($"{target} is not switched off; {(switches.IsEmpty ? "nothing is" : string.Join(", ", switches.Select(one => $"{one.Target} is {one.Mode.ToString().ToLowerInvariant()}")))}.");
        }

        if (target != OperatorSwitches.All && !(await _vpc.NodesAsync()).Contains(target) && !(await _vpc.SubnetsAsync()).Contains(target))
        {
            throw new BadQuestionException($"{target} is no node and no subnet of {vpcId}: name one that `ipam nodes` or `ipam subnets` lists, or {OperatorSwitches.All}.");
        }

        if (switches.Length >= MostSwitches)
        {
            throw new BadQuestionException($"{switches.Length} nodes and subnets are switched off, and more are not kept. Switch a subnet or {OperatorSwitches.All} instead.");
        }
    }

    private IClusterGrain Cluster => grains.GetGrain<IClusterGrain>(clusterName);

    private async Task<WaitingPod[]> WaitingAsync(IEnumerable<string> known)
    {
        var pods = await Task.WhenAll(known.Select(id => grains.GetGrain<INodeGrain>(id).WaitingAsync()));
        return [.. pods.SelectMany(of => of).OrderByDescending(pod => pod.WaitedSeconds)];
    }
}

/// <summary>One node with what it has, is getting and is giving back.</summary>
internal sealed record NodeView(NodeSummary Summary, ImmutableArray<BlockLife> Blocks);
