using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Core.Subnets;

/// <summary>Decides which free addresses of a subnet to ask EC2 for. Pure.</summary>
public static class AddressNamer
{
    /// <summary>Whether AWS keeps this address: the first four and the last of every subnet (VPC user guide).</summary>
    /// <param name="subnet">An IPv4 subnet, /16 to /28.</param>
    /// <param name="offset">From the subnet's base.</param>
    public static bool IsKeptByAws(Cidr subnet, int offset) => offset < 4 || offset == subnet.Size - 1;

    /// <summary>The offsets of those.</summary>
    public static IEnumerable<int> KeptByAws(Cidr subnet) => [0, 1, 2, 3, (int)subnet.Size - 1];

    /// <summary>Broken blocks first, the fullest of them first, so that whole blocks stay whole; in a block the lowest address first.</summary>
    /// <param name="subnet">An IPv4 subnet, /16 to /28.</param>
    /// <param name="isTaken">Whether the address at this offset cannot be had. Those that AWS keeps are never chosen.</param>
    /// <param name="count">How many.</param>
    /// <returns>At most <paramref name="count"/>, fewer when the subnet has no more; in the order of choice.</returns>
    public static ImmutableArray<Ip> Choose(Cidr subnet, Func<int, bool> isTaken, int count)
    {
        // By how many are free in a block: nothing is sorted, and only what is chosen is listed. A ledger names while others wait for it.
        var free = new int[((int)subnet.Size + Block.PrefixSize - 1) / Block.PrefixSize];
        for (var offset = 0; offset < subnet.Size; offset++)
        {
            free[offset / Block.PrefixSize] += IsFree(offset) ? 1 : 0;
        }

        var chosen = ImmutableArray.CreateBuilder<Ip>();
        for (var wanted = 1; wanted <= Block.PrefixSize && chosen.Count < count; wanted++)
        {
            for (var block = 0; block < free.Length && chosen.Count < count; block++)
            {
                for (var offset = block * Block.PrefixSize; free[block] == wanted && offset < (block + 1) * Block.PrefixSize && offset < subnet.Size && chosen.Count < count; offset++)
                {
                    if (IsFree(offset))
                    {
                        chosen.Add(subnet.Base + offset);
                    }
                }
            }
        }

        return chosen.ToImmutable();

        bool IsFree(int offset) => !IsKeptByAws(subnet, offset) && !isTaken(offset);
    }

    /// <summary>Whole free /28s: those of reservations for prefixes first, as EC2 does it, and none that another reservation has a part of; the lowest first.</summary>
    /// <param name="subnet">An IPv4 subnet, /16 to /28.</param>
    /// <param name="isTaken">Whether the address at this offset is used or set aside.</param>
    /// <param name="count">How many.</param>
    /// <param name="ranges">The subnet's reservations.</param>
    public static ImmutableArray<Block> ChoosePrefixes(Cidr subnet, Func<int, bool> isTaken, int count, params ReadOnlySpan<ReservedRange> ranges)
    {
        var (kept, open) = (new List<Block>(), new List<Block>());
        for (var first = 0; first < subnet.Size && kept.Count < count && (ranges.Length > 0 || open.Count < count); first += Block.PrefixSize)
        {
            var block = new Block(subnet.Base + first, true);
            if (IsWhole(subnet, first, isTaken) && Keeper(block, ranges) is var keeper && keeper is null or { ForPrefixes: true })
            {
                (keeper is null ? open : kept).Add(block);
            }
        }

        return [.. kept.Concat(open).Take(count)];
    }

    private static bool IsWhole(Cidr subnet, int first, Func<int, bool> isTaken)
    {
        for (var offset = first; offset < first + Block.PrefixSize; offset++)
        {
            if (IsKeptByAws(subnet, offset) || isTaken(offset))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The reservation that has the block, or a part of it: they do not overlap, and one for prefixes has whole ones only.</summary>
    private static ReservedRange? Keeper(Block block, ReadOnlySpan<ReservedRange> ranges)
    {
        foreach (var range in ranges)
        {
            if (range.Cidr.Contains(block.First) || block.Contains(range.Cidr.Base))
            {
                return range;
            }
        }

        return null;
    }
}
