using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
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
    private static readonly TimeSpan SweepsCost = TimeSpan.FromSeconds(2); // A call: sweeps make one in that time at most.
    private const int InterfacesAPage = 1000; // EC2's largest (ec2.md section 4).

    private readonly Dictionary<string, (ImmutableArray<ReservedRange>? Ranges, DateTimeOffset At)> _ranges = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _subnetsToRead = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DateTimeOffset> _askedAt = new(StringComparer.Ordinal); // Nodes, of their own accord.
    private readonly DateTimeOffset _since = time.GetUtcNow();
    private readonly Dictionary<string, (string Digest, ImmutableArray<UsedAddress> Used)> _told = new(StringComparer.Ordinal); // Ledgers, by the last look at their subnets.
    private DateTimeOffset _sweptAt = DateTimeOffset.MinValue;
    private TimeSpan _sweepsRest = TimeSpan.Zero; // After the last one.

    private async Task ReadLedgersAsync(CancellationToken cancellation)
    {
        if (_subnetsAt == DateTimeOffset.MinValue)
        {
            return; // Which there are is not known yet.
        }

        await ReadDoubtfulSubnetsAsync(cancellation);
        var now = time.GetUtcNow();
        if ((now - _sweptAt).Duration() > _sweepsRest)
        {
            (_sweptAt, _sweepsRest) = (now, settings.Timing.SweepPeriod);
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

    /// <summary>Zone by zone: when one is impaired, the others are swept and cleaned up all the same. Sooner again while EC2 shows what no ledger had, and later
    /// the more calls it takes.</summary>
    private async Task SweepAsync(CancellationToken cancellation)
    {
        var (swept, isWhole, isNews, calls) = (new List<Ec2Interface>(), true, false, 0);
        foreach (var zone in _subnets.GroupBy(subnet => subnet.Zone, StringComparer.Ordinal).OrderBy(zone => zone.Key, StringComparer.Ordinal))
        {
            isWhole &= await TryAsync(Work.Ledgers, async () => isNews |= await SweepAsync(zone.Key, [.. zone], swept, cancellation), cancellation);
            calls++;
            await ReadDoubtfulSubnetsAsync(cancellation); // Pods may wait for them, and a sweep takes its time.
        }

        calls += swept.Count / InterfacesAPage;
        var rests = isNews ? settings.Timing.BusySweepPeriod : settings.Timing.SweepPeriod;
        _sweepsRest = calls * SweepsCost is var cost && cost > rests ? cost : rests;
        if (await IsLatestAsync())
        {
            await LookAfterAsync(swept, isWhole, cancellation);
            await DeleteLeakedAsync(swept, isWhole, cancellation);
        }
    }

    /// <summary>Nodes of the register whose instance has no interface any more, and those that nobody has called for long: a look at one calls its
    /// grain, which then does what is overdue.</summary>
    /// <param name="isWhole">Of all zones: else nobody knows where one is that is not among them.</param>
    private async Task LookAfterAsync(List<Ec2Interface> swept, bool isWhole, CancellationToken cancellation)
    {
        var (now, attached) = (time.GetUtcNow(), swept.Select(eni => eni.Attachment?.InstanceId).OfType<string>().ToHashSet(StringComparer.Ordinal));
        var overdue = document.State.Nodes.Where(id => (isWhole && !attached.Contains(id)) || (now - _askedAt.GetValueOrDefault(id, _since)).Duration() > Quiet).ToArray();
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

    /// <returns>Whether a ledger has heard something new.</returns>
    private async Task<bool> SweepAsync(string zone, ImmutableArray<Ec2Subnet> subnets, List<Ec2Interface> swept, CancellationToken cancellation)
    {
        var isNews = false;
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
            await TryAsync(Work.Ledgers, async () => isNews |= await TellAsync(subnet, changes[subnet.SubnetId], here, ranges), cancellation);
        }

        return isNews;
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

    /// <summary>Tells a ledger what is not as the last look showed it, or all where it does not have that one.</summary>
    /// <returns>Whether it was new to it.</returns>
    private async Task<bool> TellAsync(Ec2Subnet subnet, long startedChange, ImmutableArray<Ec2Interface> interfaces, ImmutableArray<ReservedRange>? ranges)
    {
        var used = (from eni in interfaces from address in eni.Addresses.Concat(eni.Prefixes.SelectMany(prefix => prefix.Addresses)) select new UsedAddress(address, eni.EniId, eni.Attachment?.InstanceId))
            .Distinct().OrderBy(one => one.Address).ThenBy(one => one.EniId, StringComparer.Ordinal).ToImmutableArray();
        var whole = new SubnetSweep(subnet, used, startedChange, ranges, _ranges.ContainsKey(subnet.SubnetId), Digest(used));
        var ledger = grains.GetGrain<ISubnetGrain>(subnet.SubnetId);
        LookEffect? effect = LookEffect.TellAll;
        if (_told.Remove(subnet.SubnetId, out var before)) // Until it has answered, nobody knows what it has.
        {
            effect = await ledger.LookedOfEachBuildAsync(whole with { Used = [.. used.Except(before.Used)], Since = new EarlierLook(before.Digest, [.. before.Used.Except(used)]) });
        }

        effect = effect == LookEffect.TellAll ? await ledger.LookedOfEachBuildAsync(whole) : effect;
        if (effect is not null)
        {
            _told[subnet.SubnetId] = (whole.Digest!, used);
        }

        return effect == LookEffect.News;
    }

    private static string Digest(ImmutableArray<UsedAddress> used) =>
        Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(used.Select(one => $"{one.Address.Bits:x} {one.EniId} {one.InstanceId}\n")))));
}
