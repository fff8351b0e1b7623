using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.Core.Subnets;

/// <summary>A set of addresses of one subnet, a bit each. Immutable.</summary>
/// <param name="Subnet">An IPv4 subnet, /16 to /28.</param>
/// <param name="Bits">Bit n of byte n / 8 stands for the address n beyond the base; as many bits as the subnet has addresses.</param>
public sealed record SubnetMap(Cidr Subnet, ImmutableArray<byte> Bits)
{
    /// <summary>The empty set.</summary>
    public static SubnetMap Empty(Cidr subnet) => new(subnet, [.. new byte[(subnet.Size + 7) / 8]]);

    /// <summary>How many addresses are in it.</summary>
    public int Count => Bits.Sum(one => System.Numerics.BitOperations.PopCount(one));

    /// <summary>Whether the address at this offset is in it.</summary>
    public bool Contains(int offset) => (Bits[offset / 8] & (1 << (offset % 8))) != 0;

    /// <summary>Whether the address is in it; false for one outside the subnet.</summary>
    public bool Contains(Ip address) => Subnet.Contains(address) && Contains(Offset(address));

    /// <summary>With these addresses; those outside the subnet are passed over.</summary>
    public SubnetMap With(IEnumerable<Ip> addresses) => Changed(addresses, (bits, mask) => (byte)(bits | mask));

    /// <summary>Without these addresses.</summary>
    public SubnetMap Without(IEnumerable<Ip> addresses) => Changed(addresses, (bits, mask) => (byte)(bits & ~mask));

    /// <summary>What is in either; both are of one subnet.</summary>
    public SubnetMap Or(SubnetMap other) => this with { Bits = [.. Bits.Zip(other.Bits, (one, two) => (byte)(one | two))] };

    /// <summary>What is in both; both are of one subnet.</summary>
    public SubnetMap And(SubnetMap other) => this with { Bits = [.. Bits.Zip(other.Bits, (one, two) => (byte)(one & two))] };

    /// <summary>With all of this range that is in the subnet.</summary>
    public SubnetMap With(Cidr range) =>
        range.Length >= Subnet.Length
            ? Subnet.Contains(range.Base) ? With(Enumerable.Range(0, (int)range.Size).Select(offset => range.Base + offset)) : this
            : range.Contains(Subnet.Base) ? this with { Bits = [.. Enumerable.Repeat(byte.MaxValue, Bits.Length)] } : this; // One is in the other, or they have nothing in common.

    private SubnetMap Changed(IEnumerable<Ip> addresses, Func<byte, byte, byte> change)
    {
        var bits = Bits.ToArray();
        foreach (var address in addresses.Where(Subnet.Contains))
        {
            var offset = Offset(address);
            bits[offset / 8] = change(bits[offset / 8], (byte)(1 << (offset % 8)));
        }

        return this with { Bits = [.. bits] };
    }

    private int Offset(Ip address) => (int)(address.Bits - Subnet.Base.Bits);
}
