using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.VpcEmulator.Model;
using Block = AwsVpcCni.Core.Addressing.Block;

namespace AwsVpcCni.Tests.Simulation.Checkers;

/// <summary>What a node that has come to rest holds, beside the policy in force: neither short of it while there is room, nor beyond it.</summary>
/// <remarks>Written from the variables' meaning, not from the planner: what is a target, what counts as free, what may stay.</remarks>
/// <param name="onPods">What its executor has claimed.</param>
internal sealed class PoolTargets(World world, SimMachine machine, NodeDocument document, HashSet<Ip> onPods)
{
    private const int Warm = 4; // Without a target, when no ADD has come for a minute.

    private readonly Instance _instance = world.Vpc.FindInstance(machine.InstanceId)!;
    private readonly PoolPolicy _policy = world.PolicyOf(machine.InstanceId);

    private bool Prefixes => _policy.Prefixes && _instance.Type.TakesPrefixes;

    private int Slots => _instance.Type.Ipv4PerEni - 1;

    private bool IsOnLowSubnet => _policy.Thrift && document.Interfaces.Any(eni => world.DocumentOf<SubnetDocument>("subnet", eni.SubnetId)?.Level is SubnetLevel.Low or SubnetLevel.Dry);

    /// <summary>Of an interface in an excluded subnet those count that a pod has a part of.</summary>
    private IEnumerable<Block> Blocks => document.Interfaces.SelectMany(eni => IsExcluded(eni) ? BlocksOf(eni).Where(block => block.Addresses.Any(onPods.Contains)) : BlocksOf(eni));

    public string? Missing()
    {
        if (document.Interfaces.Where(eni => IsExcluded(eni) && !eni.IsLost).SelectMany(BlocksOf).Where(block => !block.Addresses.Any(onPods.Contains)).Select(block => (Block?)block).FirstOrDefault() is { } kept)
        {
            return $"{kept} is free, and kept though its interface gives no pod an address any more";
        }

        var ours = Blocks.Where(block => block.IsPrefix == Prefixes).ToArray();
        var (total, free, whole) = (ours.Sum(block => block.Size), ours.Sum(Free), Prefixes ? ours.Count(IsFree) : 0);
        var otherFree = Blocks.Where(block => block.IsPrefix != Prefixes).Sum(Free);
        var figures = $"{free} of {total} addresses ({whole} whole prefixes) are free, {otherFree} of the other kind; the policy is {_policy.Target(Prefixes)}{(Prefixes ? " by prefixes" : "")}";
        var missing = MissingOf(total, free);
        if (missing > 0)
        {
            // On a subnet that its ledger has as low, fewer are kept ready: none that is missing says anything then.
            return IsOnLowSubnet && Blocks.Any() ? null : CanGrow(missing, otherFree) ? $"{missing} addresses are missing, and there is room: {figures}; it holds {string.Join(", ", Blocks)}" : null;
        }

        var empty = document.Interfaces.FirstOrDefault(eni => eni.DeviceIndex > 0 && eni.Blocks.IsEmpty);
        return empty is not null ? $"{empty.EniId} holds nothing for pods, and stays: {figures}"
            : Blocks.Any(block => block.IsPrefix != Prefixes && IsFree(block)) ? $"free blocks of the other kind stay: {figures}; it holds {string.Join(", ", Blocks)}"
            : IsBeyond(total, free, whole) ? $"it holds more than that: {figures}; it holds {string.Join(", ", Blocks)}"
            : null;
    }

    private int MissingOf(int total, int free) => _policy.Target(Prefixes) switch
    {
        PoolTarget.OfAddresses(var warm, var minimum) => Math.Max(Math.Max(warm - free, minimum - total), 0),
        PoolTarget.OfInterfaces(var warm) => Math.Max((warm == 0 ? 1 : warm * Slots) - free, 0),
        PoolTarget.OfPrefixes(var warm) => Math.Max((warm == 0 ? 1 : warm * Block.PrefixSize) - free, 0),
        _ => Math.Max((Prefixes ? Block.PrefixSize : Warm) - free, 0),
    };

    private bool IsBeyond(int total, int free, int whole)
    {
        var (warm, minimum) = _policy.Target(Prefixes) is PoolTarget.OfAddresses addresses ? (addresses.Warm, addresses.Minimum) : (Prefixes ? Block.PrefixSize : Warm, 0);
        return _policy.Target(Prefixes) switch
        {
            PoolTarget.OfInterfaces interfaces => document.Interfaces.Any(eni => eni.DeviceIndex > 0 && eni.Blocks.All(held => IsFree(held.Block)) && eni.Blocks.Length <= free - (Math.Max(interfaces.Warm, 1) * Slots)),
            // With none to be kept warm, the last free address stays.
            PoolTarget.OfPrefixes prefixes => whole > Math.Max(prefixes.Warm, free == whole * Block.PrefixSize ? 1 : 0),
            _ when Prefixes => whole > 0 && total / Block.PrefixSize > Math.Max(InPrefixes(total - free + warm), InPrefixes(minimum)),
            _ => free > warm && total > minimum,
        };
    }

    /// <summary>Room on an interface or for another one, and in a subnet. Where no /28 is whole, single addresses make up for the rest.</summary>
    private bool CanGrow(int missing, int otherFree)
    {
        var primary = document.Interfaces[0].SubnetId;
        var another = Math.Min(document.LimitOf("")?.Most ?? document.MaxInterfaces, _policy.MaxEnis ?? int.MaxValue) > document.Interfaces.Length + document.ForeignDevices.Length;
        var places = world.Vpc.Subnets.Where(subnet => subnet.Zone == _instance.Subnet.Zone).Select(subnet => subnet.Id).Where(id => MayHaveNew(id, isHome: id == primary));
        bool Can(bool prefixes, int least) => document.Interfaces.Any(eni => HasRoom(eni) && Has(eni.SubnetId, prefixes, least)) || (another && places.Any(id => Has(id, prefixes, least + 1)));
        return (Prefixes && Can(prefixes: true, least: 0)) || ((!Prefixes || missing > otherFree) && Can(prefixes: false, least: 2));
    }

    private bool Has(string subnetId, bool prefixes, int least) => world.RoomIn(subnetId) is var room && room.Addresses >= least && (!prefixes || room.Prefixes);

    /// <summary>By the document and by EC2: hands may have put something there.</summary>
    private bool HasRoom(EniDocument eni) => !eni.IsLost && !IsExcluded(eni) && eni.Blocks.Length < Math.Min(Slots, document.LimitOf(eni.EniId)?.Most ?? Slots) && world.Vpc.FindEni(eni.EniId) is { } shown && shown.Slots < _instance.Type.Ipv4PerEni;

    /// <summary>What it holds and keeps.</summary>
    private static IEnumerable<Block> BlocksOf(EniDocument eni) => eni.Blocks.Where(held => held.AskedBackAt is null).Select(held => held.Block);

    private int Free(Block block) => document.Interfaces.Any(eni => IsExcluded(eni) && eni.Blocks.Any(held => held.Block == block)) ? 0 : block.Addresses.Count(address => !onPods.Contains(address));

    private string? Role(string subnetId) => world.Vpc.FindSubnet(subnetId)!.Tags.GetValueOrDefault(World.RoleTag);

    /// <summary>By its subnet's tag; with custom networking the primary one, and all that are elsewhere than it says: the operators here always name a subnet of each zone.</summary>
    private bool IsExcluded(EniDocument eni) => _policy.CustomNetworking ? eni.DeviceIndex == 0 || !_policy.Subnets.Contains(eni.SubnetId) : _policy.Discovers && Role(eni.SubnetId) == "0";

    /// <summary>A 0 forbids it in any case; then the operators' list says, or the tags, or it is the node's own subnet.</summary>
    private bool MayHaveNew(string subnetId, bool isHome) => Role(subnetId) switch
    {
        _ when _policy.CustomNetworking => _policy.Subnets.Contains(subnetId),
        "0" => false,
        _ when !_policy.Subnets.IsEmpty || !_policy.Discovers => isHome || _policy.Subnets.Contains(subnetId),
        null => isHome,
        _ => !world.Vpc.FindSubnet(subnetId)!.Tags.ContainsKey(World.OthersTag),
    };

    private bool IsFree(Block block) => Free(block) == block.Size;

    private static int InPrefixes(int addresses) => (addresses + Block.PrefixSize - 1) / Block.PrefixSize;
}
