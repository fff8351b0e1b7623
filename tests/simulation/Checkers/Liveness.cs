using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.Tests.Simulation.Faults;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Simulation.Checkers;

/// <summary>What must come about once nothing goes wrong any more: everybody agrees, and has what the policy says.</summary>
internal sealed class Liveness(World world)
{
    /// <returns>What is not as it should be yet; null when all is.</returns>
    public string? Missing()
    {
        foreach (var machine in world.Machines.Where(one => !one.IsGone))
        {
            if (MissingOf(machine) is { } missing)
            {
                return $"{machine.InstanceId}: {missing}";
            }
        }

        foreach (var gone in world.Machines.Where(one => one.IsGone))
        {
            if (Remains(gone) is { } left)
            {
                return $"{gone.InstanceId} is lost: {left}";
            }
        }

        return Kept() ?? (world.Neighbour.Trespasses() is [var trespass, ..] ? $"the neighbour complains: {trespass}" : Leaked());
    }

    private string? MissingOf(SimMachine machine)
    {
        var runtime = world.RuntimeOf(machine);
        if (machine.Executor is not { } executor)
        {
            return "no executor runs";
        }

        if (runtime.Pending > 0)
        {
            return $"{runtime.Pending} plugins wait; the lease waits for {string.Join(", ", executor.Link.Lease.Adds.Keys)}";
        }

        var wired = machine.Kernel.ReadAll().ToList();
        if (wired.FirstOrDefault(one => one.Sandbox is null) is { } leftover)
        {
            return $"{leftover} is left in the kernel";
        }

        if (wired.DistinctBy(one => one.Sandbox).Count() < wired.Count)
        {
            return $"a sandbox has two links: {string.Join("; ", wired)}";
        }

        var links = wired.ToDictionary(one => one.Sandbox!.Value, one => one.Address!.Value);
        var claims = executor.Link.Lease.Claims;
        if (!links.OrderBy(one => one.Value).SequenceEqual(claims.OrderBy(claim => claim.Value)))
        {
            return $"the kernel has {Text(links)}, the lease {Text(claims)}";
        }

        if (executor.Link.Lease.Ended.Count > 0)
        {
            return $"{executor.Link.Lease.Ended.Count} ends are not acknowledged";
        }

        foreach (var (pod, (sandbox, address)) in runtime.Pods)
        {
            var has = links.TryGetValue(sandbox, out var found) ? found : (Ip?)null;
            if (has is null ? !World.MayLackLink(machine, pod) : has != address)
            {
                return $"{pod} ({sandbox}) was given {address}, and the kernel has {has?.ToString() ?? "nothing"} for it";
            }
        }

        var rows = world.Store.Book.ReadNodeAsync(machine.InstanceId, default).GetAwaiter().GetResult().Where(row => row.Released is null)
            .Select(row => KeyValuePair.Create(row.Sandbox, row.Address)).OrderBy(row => row.Value).ToList();
        if (!rows.SequenceEqual(links.OrderBy(one => one.Value)))
        {
            return $"rows without a pod: {Text(rows.Except(links))}; pods without a row: {Text(links.Except(rows))}";
        }

        return MissingOfPool(machine);
    }

    private NodeDocument? DocumentOf(SimMachine machine) => world.DocumentOf<NodeDocument>("node", machine.InstanceId);

    private string? MissingOfPool(SimMachine machine)
    {
        if (DocumentOf(machine) is not { } document)
        {
            return "its grain has no document";
        }

        if (!document.Intents.IsEmpty)
        {
            return $"intents are open: {string.Join("; ", document.Intents)}";
        }

        var claimed = machine.Executor!.Link.Lease.Claims.Values.ToHashSet();
        // Of one that hands have detached, or that the policy leaves to others since the store was lost: on record while a pod is on it.
        bool IsTaken(HeldBlock held) => held.IsLost && claimed.Contains(held.Block.First);

        // One that hands have detached stays on record while a pod is on it.
        var known = document.Interfaces.Where(eni => !(eni.IsLost && eni.Addresses.Any(held => claimed.Contains(held.Address)))).ToDictionary(eni => eni.EniId, eni => (Ip[])[.. eni.Addresses.Select(held => held.Address).Except(eni.Blocks.Where(IsTaken).Select(held => held.Block.First))], StringComparer.Ordinal);
        // A /28 that EC2 has chosen around what a pod keeps of an interface: on record, and taken in or returned once the pod has ended (seed 435).
        var around = (from eni in document.Interfaces
            from held in eni.Blocks.Where(IsTaken)
            from gone in document.Departed.Where(gone => gone.EniId == eni.EniId && gone.Block.Contains(held.Block.First))
            from address in gone.Block.Addresses
            select address).ToHashSet();
        // One that hands have made is ours or theirs as the policy and the first look have it.
        bool IsOurs(Eni eni) => !world.IsForeign(eni) && (!world.Forgotten.Contains(eni.Id) || known.ContainsKey(eni.Id)) && (!world.MadeByHands.Contains(eni.Id) || (world.PolicyOf(machine.InstanceId).ManageUntagged && known.ContainsKey(eni.Id)));
        var shown = world.Vpc.EnisOf(world.Vpc.FindInstance(machine.InstanceId)!).Where(IsOurs).ToDictionary(eni => eni.Id, eni => (Ip[])[.. Held(eni).Where(address => !around.Contains(address))], StringComparer.Ordinal);
        if (shown.Count != known.Count || shown.Any(eni => !known.TryGetValue(eni.Key, out var held) || !held.Except(world.Invariants.TakenByHands).Except(world.AddedByHands).Order().SequenceEqual(world.WereHandsTakenIn(machine.InstanceId) ? eni.Value.Except(world.Invariants.TakenByHands).Except(world.AddedByHands) : eni.Value)))
        {
            return $"EC2 shows {Text(shown)}, the document has {Text(known)}";
        }

        var leased = machine.Executor.Link.Lease.Slots.Where(slot => slot.Value.Leased).Select(slot => slot.Key).Order();
        var granted = document.Interfaces.SelectMany(eni => eni.Addresses).Where(held => held.AskedBackAt is null || claimed.Contains(held.Address)) // Asked back, and on a pod since before: it goes after the pod.
            .Select(held => held.Address).Order();
        if (!leased.SequenceEqual(granted))
        {
            return $"the lease has {string.Join(", ", leased)}, the document grants {string.Join(", ", granted)}";
        }

        return new PoolTargets(world, machine, document, claimed).Missing();
    }

    /// <summary>Every interface that bears our tag belongs to a node that knows it: it goes when the last pod on it has, if hands have detached it.</summary>
    private string? Leaked() => world.Vpc.Enis.FirstOrDefault(eni => World.IsOurs(eni) && eni.Attachment is null
            && !world.Machines.Exists(one => !one.IsGone && (DocumentOf(one)?.Eni(eni.Id) is not null || IsOnPods(one, eni)))) is { } leaked
        ? $"{leaked.Id} ({string.Join(", ", leaked.Tags.Select(tag => $"{tag.Key}={tag.Value}"))}) is attached to nothing: leaked"
        : null;

    /// <summary>Hands have detached it, the store that knew has gone back, and a pod still has an address of it: it goes after the pod.</summary>
    private static bool IsOnPods(SimMachine machine, Eni eni) => machine.Executor?.Link.Lease.Claims.Values.Any(address => eni.Delivered.Contains(address.ToIPAddress())) == true;

    /// <summary>Nothing is left of a node whose instance is lost, but where a store that went back does not have it in its register: nobody calls its grain then.</summary>
    private string? Remains(SimMachine gone)
    {
        var isRegistered = world.DocumentOf<VpcDocument>("vpc", World.VpcId)?.Nodes.Contains(gone.InstanceId) == true;
        if (!isRegistered && world.Faults.Struck.ContainsKey(FaultKind.StoreRestored))
        {
            return null;
        }

        if (DocumentOf(gone) is not null)
        {
            return "its document is left";
        }

        if (isRegistered)
        {
            return "it is in the register";
        }

        return world.Store.Book.Copy().FirstOrDefault(row => row.NodeId == gone.InstanceId) is { } row ? $"a row is left: {row}" : null;
    }

    /// <summary>What a ledger keeps from naming, and nobody has.</summary>
    private string? Kept()
    {
        foreach (var subnet in world.Vpc.Subnets)
        {
            if (world.DocumentOf<SubnetDocument>("subnet", subnet.Id) is { Subnet: { } known, Ours.Length: > 0 } ledger)
            {
                var ours = new SubnetMap(known.Cidr, [.. ledger.Ours]);
                var held = world.Machines.Where(one => !one.IsGone).Select(DocumentOf).OfType<NodeDocument>().SelectMany(document => document.Interfaces)
                    .SelectMany(eni => eni.Blocks.SelectMany(block => block.Block.Addresses).Append(eni.PrimaryAddress)).ToHashSet();
                if (world.HeldByLost.Where(address => known.Cidr.Contains(address) && ours.Contains(address) && subnet.HolderOf(address.ToIPAddress()) is null && !held.Contains(address)).ToArray() is [var address, ..])
                {
                    return $"{subnet.Id} keeps {address}, which a lost instance had";
                }
            }
        }

        return null;
    }

    private Ip[] Held(Eni eni) => [.. eni.Delivered.Skip(1).Select(Ip.From).Except(world.AddedByHands).Except(world.Invariants.TakenByHands).Order()]; // What hands gave or took may be drawn again.

    private static string Text<TKey, TValue>(IEnumerable<KeyValuePair<TKey, TValue>> pairs) =>
        string.Join(", ", pairs.Select(pair => pair.Value is Ip[] many ? $"{pair.Key}: {string.Join(' ', many)}" : $"{pair.Key}: {pair.Value}"));
}
