using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Vpc;

/// <content>Reads for the subnets' ledgers: those that are asked for, and the whole VPC each period. One at a time, so that no ledger gets an
/// older read after a newer one.</content>
public sealed partial class VpcGrain
{
    /// <summary>A node that is in use is looked at each five minutes.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(10);

    private readonly SortedSet<string> _subnetsToRead = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DateTimeOffset> _askedAt = new(StringComparer.Ordinal); // Nodes, of their own accord.
    private readonly DateTimeOffset _since = time.GetUtcNow();
    private DateTimeOffset _sweptAt = DateTimeOffset.MinValue;

    private async Task ReadLedgersAsync(CancellationToken cancellation)
    {
        if (_subnetsAt == DateTimeOffset.MinValue)
        {
            return; // Which there are is not known yet.
        }

        await ReadDoubtfulSubnetsAsync(cancellation);
        var now = time.GetUtcNow();
        if ((now - _sweptAt).Duration() > settings.Timing.SweepPeriod)
        {
            _sweptAt = now;
            await SweepAsync(cancellation);
        }
    }

    private async Task ReadDoubtfulSubnetsAsync(CancellationToken cancellation)
    {
        foreach (var subnetId in IsResting(Work.Ledgers) ? [] : _subnetsToRead.ToArray())
        {
            _subnetsToRead.Remove(subnetId); // Before the read: who asks during it wants a later one.
            if (_subnets.FirstOrDefault(one => one.SubnetId == subnetId) is { } subnet && !await TryAsync(Work.Ledgers, () => ReadAsync(subnet), cancellation))
            {
                _subnetsToRead.Add(subnetId);
            }
        }

        async Task ReadAsync(Ec2Subnet subnet)
        {
            var change = await grains.GetGrain<ISubnetGrain>(subnet.SubnetId).ChangeNumberAsync(); // Before the first page.
            await TellAsync(subnet, change, await PagesAsync(new Ec2InterfaceQuery { VpcId = VpcId, SubnetId = subnet.SubnetId }, CallPriority.PodWaiting, cancellation));
        }
    }

    /// <summary>Zone by zone: when one is impaired, the others are swept all the same.</summary>
    private async Task SweepAsync(CancellationToken cancellation)
    {
        var (swept, isWhole) = (new List<Ec2Interface>(), true);
        foreach (var zone in _subnets.GroupBy(subnet => subnet.Zone, StringComparer.Ordinal).OrderBy(zone => zone.Key, StringComparer.Ordinal))
        {
            isWhole &= await TryAsync(Work.Ledgers, () => SweepAsync(zone.Key, [.. zone], swept, cancellation), cancellation);
            await ReadDoubtfulSubnetsAsync(cancellation); // Pods may wait for them, and a sweep takes its time.
        }

        if (isWhole)
        {
            await LookAfterAsync(swept, cancellation);
            await DeleteLeakedAsync(swept, cancellation);
        }
    }

    /// <summary>Nodes of the register whose instance has no interface any more, and those that nobody has called for long: a look at one calls its
    /// grain, which then does what is overdue.</summary>
    private async Task LookAfterAsync(List<Ec2Interface> swept, CancellationToken cancellation)
    {
        var (now, attached) = (time.GetUtcNow(), swept.Select(eni => eni.Attachment?.InstanceId).OfType<string>().ToHashSet(StringComparer.Ordinal));
        var overdue = document.State.Nodes.Where(id => !attached.Contains(id) || (now - _askedAt.GetValueOrDefault(id, _since)).Duration() > Quiet).ToArray();
        foreach (var batch in overdue.Chunk(InstancesPerCall))
        {
            // Beside the looks that nodes ask for: those wait for nothing here.
            if (!await TryAsync(Work.Ledgers, () => DescribeAsync(batch.ToImmutableSortedDictionary(id => id, _ => 0L, StringComparer.Ordinal), CallPriority.Reconcile, cancellation), cancellation))
            {
                break; // The next sweep finds them again.
            }

            await ReadDoubtfulSubnetsAsync(cancellation);
        }
    }

    private async Task SweepAsync(string zone, ImmutableArray<Ec2Subnet> subnets, List<Ec2Interface> swept, CancellationToken cancellation)
    {
        var changes = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var subnet in subnets)
        {
            await TryAsync(Work.Ledgers, async () => changes[subnet.SubnetId] = await grains.GetGrain<ISubnetGrain>(subnet.SubnetId).ChangeNumberAsync(), cancellation);
        }

        var interfaces = await PagesAsync(new Ec2InterfaceQuery { VpcId = VpcId, Zone = zone }, CallPriority.Reconcile, cancellation);
        swept.AddRange(interfaces);
        foreach (var subnet in subnets.Where(subnet => changes.ContainsKey(subnet.SubnetId)))
        {
            await TryAsync(Work.Ledgers, () => TellAsync(subnet, changes[subnet.SubnetId], [.. interfaces.Where(eni => eni.SubnetId == subnet.SubnetId)]), cancellation);
        }
    }

    private Task TellAsync(Ec2Subnet subnet, long startedChange, ImmutableArray<Ec2Interface> interfaces)
    {
        var used = from eni in interfaces from address in eni.Addresses.Concat(eni.Prefixes.SelectMany(prefix => prefix.Addresses)) select new UsedAddress(address, eni.EniId, eni.Attachment?.InstanceId);
        return grains.GetGrain<ISubnetGrain>(subnet.SubnetId).SweptAsync(new SubnetSweep(subnet, [.. used], startedChange));
    }
}
