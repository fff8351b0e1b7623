using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Vpc;

/// <content>Reads for the subnets' ledgers: those that are asked for, and the whole VPC each period. One at a time, so that no ledger gets an
/// older read after a newer one.</content>
public sealed partial class VpcGrain
{
    /// <summary>A node that is in use is looked at each five minutes.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan RangesStayTrue = TimeSpan.FromMinutes(5);

    private readonly Dictionary<string, (ImmutableArray<ReservedRange>? Ranges, DateTimeOffset At)> _ranges = new(StringComparer.Ordinal);
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
            var ranges = await RangesOfAsync(subnet.SubnetId, isInUse: !_ranges.ContainsKey(subnet.SubnetId), CallPriority.PodWaiting, cancellation); // The first names must not be in them.
            await TellAsync(subnet, change, await PagesAsync(new Ec2InterfaceQuery { VpcId = VpcId, SubnetId = subnet.SubnetId }, CallPriority.PodWaiting, cancellation), ranges);
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

        if (isWhole && await IsLatestAsync())
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
            ImmutableArray<Ec2Interface> here = [.. interfaces.Where(eni => eni.SubnetId == subnet.SubnetId)];
            var isInUse = RoleOf(subnet) == SubnetRole.Marked || here.Any(eni => eni.Attachment is { } attachment && document.State.Nodes.Contains(attachment.InstanceId));
            var ranges = await RangesOfAsync(subnet.SubnetId, isInUse, CallPriority.Reconcile, cancellation);
            await TryAsync(Work.Ledgers, () => TellAsync(subnet, changes[subnet.SubnetId], here, ranges), cancellation);
        }
    }

    /// <summary>CIDR reservations are rarely made, and EC2 tells them of one subnet at a time: those of subnets with nodes are asked for each five minutes. A silo whose role may not ask
    /// goes on as if there were none: that costs others the addresses that they have reserved, and no pod its own.</summary>
    /// <returns>Null: nothing is known of them.</returns>
    private async Task<ImmutableArray<ReservedRange>?> RangesOfAsync(string subnetId, bool isInUse, CallPriority priority, CancellationToken cancellation)
    {
        var (known, at) = _ranges.GetValueOrDefault(subnetId);
        if (isInUse && (time.GetUtcNow() - at).Duration() >= RangesStayTrue)
        {
            try
            {
                known = await CallAsync(Ec2Action.GetSubnetCidrReservations, priority, stop => ec2.GetReservationsAsync(subnetId, stop), cancellation);
                _ranges[subnetId] = (known, time.GetUtcNow());
            }
            catch (Exception e) when (!cancellation.IsCancellationRequested && e is (Ec2Exception or OperationCanceledException or TimeoutException or OrleansException
                or ArgumentException)) // The last: a budget on a silo of an older build does not know the action (ADR 0011).
            {
                LogNoRanges(VpcId, subnetId, e.Message);
                if (e is Ec2Exception { Fault: Ec2Fault.Throttled, Code.Length: > 0 })
                {
                    Quota.ThrottledAsync(Ec2Action.GetSubnetCidrReservations).Ignore();
                }

                if (e is Ec2Exception { Fault: Ec2Fault.NotAuthorized })
                {
                    _ranges[subnetId] = (known, time.GetUtcNow()); // Else the next read asks again.
                }
            }
        }

        return known;
    }

    private Task TellAsync(Ec2Subnet subnet, long startedChange, ImmutableArray<Ec2Interface> interfaces, ImmutableArray<ReservedRange>? ranges)
    {
        var used = from eni in interfaces from address in eni.Addresses.Concat(eni.Prefixes.SelectMany(prefix => prefix.Addresses)) select new UsedAddress(address, eni.EniId, eni.Attachment?.InstanceId);
        return grains.GetGrain<ISubnetGrain>(subnet.SubnetId).SweptAsync(new SubnetSweep(subnet, [.. used], startedChange, ranges, _ranges.ContainsKey(subnet.SubnetId)));
    }
}
