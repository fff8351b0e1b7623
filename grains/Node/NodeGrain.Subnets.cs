using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Grains.Node;

/// <content>In which subnets new interfaces may be, and which interfaces give pods nothing any more, as the subnets' tags say.</content>
public sealed partial class NodeGrain
{
    private const int MostPlacesTold = 8; // In a pod's reason.

    private DateTimeOffset? _unreadSince; // A new interface waits for a subnet's ledger that EC2 is read for.
    private readonly Dictionary<string, SubnetFree> _free = new(StringComparer.Ordinal); // As the ledgers have said when an interface was planned last.

    /// <inheritdoc/>
    public async Task RetaggedAsync(ImmutableArray<Ec2Subnet> subnets)
    {
        if (_lost || _doc.Zone is null)
        {
            return; // A look tells it.
        }

        var next = subnets.Where(subnet => subnet.Zone == _doc.Zone).Aggregate(_doc, (document, subnet) => subnet.SubnetId == document.Home
            ? document with { HomeRole = RoleOf(subnet) }
            : document with
            {
                Siblings = [.. document.Siblings.Where(one => one.SubnetId != subnet.SubnetId).Append(new SiblingSubnet(subnet.SubnetId, subnet.Cidr, RoleOf(subnet))).OrderBy(one => one.SubnetId, StringComparer.Ordinal)],
            });
        if (!next.Siblings.SequenceEqual(_doc.Siblings) || next.HomeRole != _doc.HomeRole)
        {
            await StoreAsync(next);
            Kick();
        }
    }

    private IEnumerable<SubnetPlace> Places() =>
        [.. from id in _doc.Siblings.Select(one => one.SubnetId).Append(_doc.Home).OfType<string>()
            let free = _free.GetValueOrDefault(id)
            select new SubnetPlace(id, id == _doc.Home, _doc.RoleOf(id), free?.Addresses ?? 0, free?.Prefixes ?? 0)];

    /// <summary>Where a new interface may be, the best first.</summary>
    private ImmutableArray<string> NewIn() => SubnetChoice.Order(Places(), Policy.Discovers, Policy.Subnets, Policy.Prefixes && TakesPrefixes, Policy.CustomNetworking);

    /// <summary>Custom networking names no subnet, or none that is of the node's zone.</summary>
    private bool IsNetworkUnknown => Policy is { CustomNetworking: true } policy && !policy.Subnets.Any(id => id == _doc.Home || _doc.Siblings.Any(one => one.SubnetId == id));

    /// <summary>By its subnet's tag; with custom networking as the primary one, and where its subnet is no longer the one that is wanted. While none is known, what there is serves on.</summary>
    private bool IsExcluded(EniDocument eni) => (IsPrimaryOfCustom(eni) && !IsNetworkUnknown) || IsExcluded(eni.SubnetId);

    private bool IsExcluded(string subnetId) => Policy is { CustomNetworking: true } policy ? !IsNetworkUnknown && !policy.Subnets.Contains(subnetId) : SubnetChoice.IsExcluded(_doc.RoleOf(subnetId), Policy.Discovers);

    /// <summary>What it holds from before custom networking may serve on; it counts for no capacity, and gets nothing more.</summary>
    private bool IsPrimaryOfCustom(EniDocument eni) => eni.DeviceIndex == 0 && Policy.CustomNetworking;

    /// <summary>Its pods go on; what no pod has goes back, once it has rested, and nothing is drawn for it.</summary>
    private EniState StateOfExcluded(EniDocument eni, DateTimeOffset now)
    {
        var intents = _doc.Intents.Where(intent => intent.EniId == eni.EniId).ToArray();
        var blocks = eni.Blocks.Where(held => held.AskedBackAt is null).Select(held => StateOf(held.Block, now)).ToArray();
        var onPods = blocks.Where(block => block.OnPods > 0).Select(block => block with { Cooling = block.Block.Size - block.OnPods }).ToImmutableArray();
        return new EniState
        {
            EniId = eni.EniId, MayGo = MayGo(eni), ForPods = false, Blocks = onPods,
            Excluded = eni.IsLost ? [] : [.. blocks.Where(block => block.IsFree).Select(block => block.Block)],
            Leaving = eni.Blocks.Length - onPods.Length + intents.Sum(intent => intent.Kind == IntentKind.Return ? intent.Names.Length : intent.Count),
            Subnet = RoomOf(eni.SubnetId, eni.EniId, now),
        };
    }

    /// <summary>Asked when an interface is about to be planned and there is a choice: nodes that plan at the same moment see what the others have set aside.</summary>
    /// <returns>False: one of them is being read from EC2, as in a cluster that has just begun, and is waited for, but not for long.</returns>
    private async Task<bool> AskWhatIsFreeAsync(ImmutableArray<string> subnets)
    {
        var asked = time.GetUtcNow();
        try
        {
            var answers = await Task.WhenAll(subnets.Select(id => grains.GetGrain<ISubnetGrain>(id).FreeAsync()));
            _free.Clear();
            foreach (var (id, free) in subnets.Zip(answers))
            {
                _free[id] = free;
                if (free.Level is { } level && !(_levels.TryGetValue(id, out var said) && said.At > asked))
                {
                    _levels[id] = (level, asked);
                }
            }

            _unreadSince = answers.Any(free => free.IsUnread) ? _unreadSince ?? asked : null;
            return _unreadSince is not { } since || (asked - since).Duration() >= settings.Timing.ReadingTakes;
        }
        catch (Exception e) when (!_lost)
        {
            LogFailed(InstanceId, IntentKind.AddInterface, "", e); // What they said before holds on: the ledger that is chosen says whether it has room.
            return true;
        }
    }

    private Reason WhyNowhere() => new(ReasonCode.SubnetExcluded, Policy is { CustomNetworking: true } policy
        ? $"{InstanceId}: custom networking gives the node no subnet of {_doc.Zone} for its interfaces: {policy.NetworkFrom ?? "its policy"} {(policy.Subnets.IsEmpty ? "names none." : $"names {string.Join(", ", policy.Subnets)}; {(policy.Subnets.Length == 1 ? "it is" : "they are")} not of this zone, or not of {settings.VpcId}.")}"
        : $"{InstanceId}: no subnet of {_doc.Zone} is for its new interfaces: {PlacesText("")}. Tag one {SubnetRoles.RoleTag}=1, or take the 0 away.");

    /// <summary>What is to be said of the other subnets of the zone when one has not what is wanted; empty when there are none.</summary>
    private string Elsewhere(string subnetId) => PlacesText(subnetId) is { Length: > 0 } text ? $" Of the others in the zone, {text}." : "";

    private string PlacesText(string but)
    {
        var now = time.GetUtcNow();
        string[] told =
        [
            .. from place in Places()
               where place.SubnetId != but
               let room = RoomOf(place.SubnetId, ForNew + place.SubnetId, now)
               let why = SubnetChoice.WhyNot(place, Policy.Discovers, Policy.Subnets, Policy.CustomNetworking) ?? (!room.HasAddresses ? "has no address" : !room.HasPrefixes ? "has no whole /28" : null)
               where why is not null
               orderby place.SubnetId
               select $"{place.SubnetId} {why}",
        ];
        return string.Join("; ", told.Take(MostPlacesTold)) + (told.Length > MostPlacesTold ? $"; and {told.Length - MostPlacesTold} more" : "");
    }
}
