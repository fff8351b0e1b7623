namespace AwsVpcCni.Core.Pool;

/// <summary>What a node holds, in figures. A prefix counts 16 addresses.</summary>
/// <param name="Total">Addresses held for pods, those on their way included.</param>
/// <param name="Assigned">On pods.</param>
/// <param name="Free">Rested, on no pod, or on their way.</param>
/// <param name="FreePrefixes">Prefixes none of whose addresses is on a pod or cools.</param>
/// <param name="Waiting">Pods without an address, whether their ADD waits or is about to come.</param>
/// <param name="RecentAdds">ADDs that 15 s bring, at the rate of the last minute.</param>
/// <param name="OtherFree">Of the other kind: free, or on their way.</param>
public readonly record struct PoolCounts(int Total, int Assigned, int Free, int FreePrefixes, int Waiting = 0, int RecentAdds = 0, int OtherFree = 0);

/// <summary>How far a node is from its target.</summary>
/// <remarks>The arithmetic of amazon-vpc-cni-k8s 1.23.1 (getIPTargets, isTooLow, isTooHigh), with two differences: a waiting pod is demand,
/// and a cooling address is not free. Without either the figures are the same.</remarks>
/// <param name="Missing">Addresses that are missing.</param>
/// <param name="Short">The same, in prefix mode rounded up to whole prefixes.</param>
/// <param name="Over">Addresses that may go; in prefix mode whole prefixes.</param>
public readonly record struct PoolNeed(int Missing, int Short, int Over)
{
    private const int LeastWarm = 4;
    private const int PrefixSize = Addressing.Block.PrefixSize;

    /// <summary>The distance from a target.</summary>
    /// <param name="prefixes">Whether the node draws prefixes.</param>
    /// <param name="slots">What an interface can hold besides its own address.</param>
    public static PoolNeed Of(PoolTarget target, PoolCounts held, bool prefixes, int slots) => target switch
    {
        PoolTarget.OfAddresses addresses => OfAddresses(addresses.Warm, addresses.Minimum, held, prefixes),
        PoolTarget.OfInterfaces interfaces => OfInterfaces(interfaces.Warm, held, slots),
        PoolTarget.OfPrefixes warm => OfPrefixes(warm.Warm, held),
        _ => OfAddresses(Math.Max(held.RecentAdds, prefixes ? PrefixSize : LeastWarm), 0, held, prefixes),
    };

    private static PoolNeed OfAddresses(int warm, int minimum, PoolCounts held, bool prefixes)
    {
        var missing = Math.Max(Math.Max(warm + held.Waiting - held.Free, minimum - held.Total), 0);
        var over = Math.Max(Math.Min(held.Free - held.Waiting - warm, held.Total - minimum), 0);
        if (!prefixes)
        {
            return new PoolNeed(missing, missing, over);
        }

        var total = held.Total / PrefixSize;
        var needed = Math.Max(InPrefixes(held.Total - held.Free + held.Waiting + warm), InPrefixes(minimum));
        return new PoolNeed(missing, InPrefixes(missing) * PrefixSize, Math.Max(Math.Min(held.FreePrefixes, total - needed), 0) * PrefixSize);
    }

    private static PoolNeed OfInterfaces(int warm, PoolCounts held, int slots)
    {
        var free = held.Free - held.Waiting;
        var missing = warm == 0 ? (free <= 0 ? 1 - free : 0) : Math.Max((warm * slots) - free, 0);
        return new PoolNeed(missing, missing, Math.Max(free - (Math.Max(warm, 1) * slots), 0));
    }

    private static PoolNeed OfPrefixes(int warm, PoolCounts held)
    {
        var free = held.Free - held.Waiting;
        var missing = warm == 0 ? (free <= 0 ? 1 - free : 0) : Math.Max((warm * PrefixSize) - free, 0);
        // With none to be kept warm the last free address stays, else it would be drawn again.
        var kept = Math.Max(warm, free <= held.FreePrefixes * PrefixSize ? 1 : 0);
        return new PoolNeed(missing, InPrefixes(missing) * PrefixSize, Math.Max(held.FreePrefixes - InPrefixes(held.Waiting) - kept, 0) * PrefixSize);
    }

    private static int InPrefixes(int addresses) => Math.Max(0, (addresses + PrefixSize - 1) / PrefixSize);
}
