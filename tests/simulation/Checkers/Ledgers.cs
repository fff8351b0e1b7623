using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Subnet;

namespace AwsVpcCni.Tests.Simulation.Checkers;

/// <summary>What a subnet's ledger has stored of our own draws and returns stands until EC2 shows something else: no look that began
/// earlier undoes it. Else an operator sees wrong numbers, and a pod waits for an address that is free.</summary>
/// <remarks>Not checked: what others draw and return, which the ledger cannot but learn late.</remarks>
internal sealed class Ledgers(World world)
{
    private readonly Dictionary<string, SubnetDocument> _documents = new(StringComparer.Ordinal);
    private readonly SortedDictionary<Ip, (bool IsUsed, string? Holder, long Change)> _settled = []; // As stored, and as EC2 has it ever since. The ledger's number of it; 0: it has none.

    /// <summary>EC2 has changed: what is not as it was then says nothing any more.</summary>
    public void Changed()
    {
        foreach (var (address, _) in _settled.Where(one => Holder(one.Key) != one.Value.Holder).ToArray())
        {
            _settled.Remove(address);
        }
    }

    /// <summary>The store has gone back, and the ledgers with it: they learn from EC2 anew.</summary>
    public void Restored()
    {
        _settled.Clear();
        foreach (var subnet in world.Vpc.Subnets)
        {
            _documents[subnet.Id] = world.DocumentOf<SubnetDocument>("subnet", subnet.Id) ?? new SubnetDocument();
        }
    }

    /// <summary>A ledger as it is written.</summary>
    /// <param name="look">Of EC2, by which; null: by something else.</param>
    public void Stored(string subnetId, SubnetDocument document, SubnetSweep? look)
    {
        var before = _documents.GetValueOrDefault(subnetId) ?? new SubnetDocument();
        _documents[subnetId] = document;
        if (document.Subnet is not { Cidr: var cidr })
        {
            return;
        }

        var (used, ours, wasOurs) = (Map(cidr, document.Used), Map(cidr, document.Ours), Map(cidr, before.Ours));
        for (var offset = 0; offset < cidr.Size; offset++)
        {
            var address = cidr.Base + offset;
            var isUsed = used.Contains(offset);
            if (_settled.TryGetValue(address, out var settled) && isUsed != settled.IsUsed)
            {
                _settled.Remove(address);
                var isSuspect = isUsed && !ours.Contains(offset) && document.Change != before.Change; // EC2 has refused it, and nobody knows why. A look has no number of its own.
                if (look is not null && settled.Change > look.StartedChange)
                {
                    world.Scheduler.Fail($"INVARIANT {subnetId}: its change {settled.Change}, {address} {(settled.IsUsed ? "drawn" : "returned")}, is undone by a look that began at {look.StartedChange}");
                }
                else if (!isSuspect && world.Scheduler.Now >= world.LooksTrueAt && !(settled.IsUsed && ours.Contains(offset)))
                {
                    world.Scheduler.Fail($"INVARIANT {subnetId}: the ledger had {address} as {(settled.IsUsed ? "drawn" : "returned")}, EC2 has shown it so ever since, and now it is {(isUsed ? "used" : "free")} in the ledger");
                }
            }

            if (ours.Contains(offset) != wasOurs.Contains(offset) && ours.Contains(offset) == isUsed && Holder(address) is var holder && holder is not null == isUsed)
            {
                _settled[address] = (isUsed, holder, document.Changes.Any(one => one.Change == document.Change && one.Has(address)) ? document.Change : 0);
            }
        }
    }

    private string? Holder(Ip address) => world.Vpc.Subnets.First(subnet => subnet.Cidr.Contains(address.ToIPAddress())).HolderOf(address.ToIPAddress());

    private static SubnetMap Map(Cidr cidr, byte[] bits) => bits.Length == 0 ? SubnetMap.Empty(cidr) : new SubnetMap(cidr, [.. bits]);
}
