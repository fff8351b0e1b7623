using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;

namespace AwsVpcCni.Grains.Vpc;

/// <content>Looks at the nodes that have asked, all of a batch together, and at what they need besides: subnets and types.</content>
public sealed partial class VpcGrain
{
    private const int InstancesPerCall = 199; // EC2 takes at most 200 filter values (ec2.md section 4), and the VPC is one.
    private const int TypesPerCall = 100; // EC2's largest page of them.
    private const int MostTypePages = 30; // It has some 1,000 types, and is asked for the rest with a later look.
    private static readonly TimeSpan TypesAgain = TimeSpan.FromMinutes(4); // Less than between two looks at a node.

    private readonly SortedDictionary<string, InstanceLimits> _types = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, (DateTimeOffset At, string Why)> _typesNotDescribed = new(StringComparer.Ordinal);

    private async Task LookAsync(CancellationToken cancellation)
    {
        var isStale = (time.GetUtcNow() - _subnetsAt).Duration() > settings.Timing.SweepPeriod; // Their tags say which of them are for pods. Duration: a clock that went back must not stop anything.
        if (isStale && await TryAsync(Work.Looks, () => ReadSubnetsAsync(cancellation), cancellation))
        {
            _ledgerTimer?.Change(TimeSpan.Zero, settings.Timing.WorkPeriod); // The ledgers may have waited for it.
        }

        if (_subnetsAt > DateTimeOffset.MinValue)
        {
            await TryAsync(Work.Looks, () => DescribeAskingAsync(cancellation), cancellation);
        }
    }

    private async Task ReadSubnetsAsync(CancellationToken cancellation)
    {
        var before = _subnets.ToDictionary(subnet => subnet.SubnetId, RoleOf, StringComparer.Ordinal);
        _subnets = await CallAsync(Ec2Action.DescribeSubnets, CallPriority.NodeStarting, token => ec2.DescribeSubnetsAsync(VpcId, token), cancellation);
        _subnetsAt = time.GetUtcNow();
        if (_subnets.IsEmpty)
        {
            LogNoSubnets(VpcId);
        }

        ImmutableArray<Ec2Subnet> retagged = [.. _subnets.Where(subnet => RoleOf(subnet) != before.GetValueOrDefault(subnet.SubnetId))];
        if (!retagged.IsEmpty)
        {
            LogRetagged(VpcId, string.Join(", ", retagged.Select(subnet => $"{subnet.SubnetId} {RoleOf(subnet)}")));
            foreach (var instanceId in document.State.Nodes)
            {
                grains.GetGrain<INodeGrain>(instanceId).RetaggedAsync(retagged).Ignore();
            }

            foreach (var subnet in before.Count > 0 ? retagged : []) // At the start the sweep tells all ledgers.
            {
                await ReadSubnetAsync(subnet.SubnetId);
            }
        }
    }

    private SubnetRole RoleOf(Ec2Subnet subnet) => SubnetRoles.Of(subnet.Tags, settings.ClusterName);

    private async Task DescribeAskingAsync(CancellationToken cancellation)
    {
        var batch = _asking.Take(InstancesPerCall).ToImmutableSortedDictionary(StringComparer.Ordinal);
        if (batch.IsEmpty || WindowLeft > TimeSpan.Zero)
        {
            return; // Still open: a tick that was under way when the first one asked must not close it.
        }

        foreach (var (instanceId, _) in batch)
        {
            _asking.Remove(instanceId); // Before the await; a node that gets no answer asks again.
        }

        if (!batch.Keys.All(document.State.Nodes.Contains) && !await StoreAsync(stored => stored with { Nodes = stored.Nodes.Union(batch.Keys) }))
        {
            return; // The nodes ask again.
        }

        try
        {
            await DescribeAsync(batch, CallPriority.NodeStarting, cancellation);
        }
        catch
        {
            foreach (var (instanceId, change) in batch)
            {
                _asking.TryAdd(instanceId, change); // Together with the next batch, not each at a time of its own.
            }

            throw;
        }
    }

    private async Task DescribeAsync(ImmutableSortedDictionary<string, long> batch, CallPriority priority, CancellationToken cancellation)
    {
        ImmutableArray<string> ids = [.. batch.Keys];
        var instances = await CallAsync(Ec2Action.DescribeInstances, priority, token => ec2.DescribeInstancesAsync(ids, token), cancellation);
        var interfaces = await PagesAsync(new Ec2InterfaceQuery { VpcId = VpcId, InstanceIds = ids }, priority, cancellation);
        if (interfaces.Any(eni => !_subnets.Any(subnet => subnet.SubnetId == eni.SubnetId)))
        {
            await ReadSubnetsAsync(cancellation); // One was made since.
        }

        await LearnTypesAsync(instances, cancellation);
        foreach (var (instanceId, change) in batch)
        {
            var instance = instances.FirstOrDefault(one => one.InstanceId == instanceId && (one.VpcId == VpcId || one.State == "terminated")); // That one is in no VPC any more.
            var mine = interfaces.Where(eni => eni.Attachment?.InstanceId == instanceId).ToImmutableArray();
            var view = new InstanceView(
                instance, instance is null ? null : LimitsOf(instance.InstanceType) ?? InstanceLimits.Careful(instance.InstanceType), mine,
                [.. _subnets.Where(subnet => mine.Any(eni => eni.SubnetId == subnet.SubnetId) || subnet.Zone == instance?.Zone)], // Which of them it may use, this silo may not have heard yet.
                change, instance is null || LimitsOf(instance.InstanceType) is not null ? null : _typesNotDescribed.GetValueOrDefault(instance.InstanceType).Why);
            grains.GetGrain<INodeGrain>(instanceId).DescribedAsync(view).Ignore();
        }
    }

    /// <summary>Types newer than the table: asked once, all of a batch together. A node whose type EC2 does not describe, or not for us, gets
    /// careful limits and runs; so much is not worth a node. It is asked again with a later look.</summary>
    private async Task LearnTypesAsync(ImmutableArray<Ec2Instance> instances, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var unknown = instances.Select(instance => instance.InstanceType).Distinct()
            .Where(type => LimitsOf(type) is null && (now - _typesNotDescribed.GetValueOrDefault(type).At).Duration() > TypesAgain).Take(TypesPerCall).ToImmutableArray();
        if (unknown.IsEmpty)
        {
            return;
        }

        var why = "EC2 knows no such type.";
        try
        {
            string? next = null;
            for (var page = 0; page < MostTypePages && (page == 0 || next is not null) && unknown.Any(type => LimitsOf(type) is null); page++)
            {
                var from = next;
                (var found, next) = await CallAsync(Ec2Action.DescribeInstanceTypes, CallPriority.NodeStarting, token => ec2.DescribeInstanceTypesAsync(unknown, from, token), cancellation);
                foreach (var limits in found)
                {
                    _types[limits.Type] = limits;
                    _typesNotDescribed.Remove(limits.Type);
                }
            }
        }
        catch (Ec2Exception refusal) when (refusal.Fault is not Ec2Fault.Throttled)
        {
            why = Ec2Reason.Of(VpcId, Ec2Action.DescribeInstanceTypes, refusal).Text;
        }

        foreach (var type in unknown.Where(type => LimitsOf(type) is null))
        {
            var guess = InstanceLimits.Careful(type);
            _typesNotDescribed[type] = (now, $"The limits of {type} are not known, so {guess.MaxInterfaces} interfaces with {guess.AddressesPerInterface} addresses each and no prefixes are taken for them. {why}");
            LogGuessed(_typesNotDescribed[type].Why);
        }
    }

    private InstanceLimits? LimitsOf(string type) => InstanceLimits.Find(type) ?? _types.GetValueOrDefault(type);
}
