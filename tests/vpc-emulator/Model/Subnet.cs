using System.Buffers.Binary;
using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>One subnet: which interface holds which address.</summary>
public sealed class Subnet
{
    private readonly uint _first;
    private readonly uint _last;
    private readonly SortedDictionary<uint, string> _holders = [];

    internal Subnet(SubnetDescription description)
    {
        Id = description.Id;
        Zone = description.Zone;
        ZoneId = description.ZoneId;
        Tags = new(description.Tags.ToDictionary(), StringComparer.Ordinal);
        if (!IPNetwork.TryParse(description.Cidr, out var cidr) || cidr.PrefixLength is < 16 or > 28)
        {
            throw new InvalidDataException($"{Id}: cidr `{description.Cidr}` is not a subnet of EC2's. Take an IPv4 network from /16 to /28.");
        }

        Cidr = cidr;
        _first = Number(cidr.BaseAddress);
        _last = _first + (1u << (32 - cidr.PrefixLength)) - 1;
    }

    public string Id { get; }

    public IPNetwork Cidr { get; }

    /// <summary>As `eu-west-1a`.</summary>
    public string Zone { get; }

    /// <summary>As `euw1-az1`: the same place in every account.</summary>
    public string ZoneId { get; }

    public SortedDictionary<string, string> Tags { get; }

    /// <summary>Free single addresses. The first four and the last never count.</summary>
    public int AvailableIpAddressCount => (int)(_last - _first + 1) - 5 - _holders.Count;

    /// <summary>The id of the interface that holds an address of this subnet.</summary>
    /// <returns>Null: nobody.</returns>
    public string? HolderOf(IPAddress address) => _holders.GetValueOrDefault(Number(address));

    /// <exception cref="Ec2Exception">The address is not of this subnet, or EC2 keeps it for itself.</exception>
    internal void Check(IPAddress address)
    {
        var number = Number(address);
        if (number < _first || number > _last)
        {
            throw Ec2Exception.Invalid("Address does not fall within the subnet's address range");
        }

        if (IsReserved(number))
        {
            throw Ec2Exception.Invalid("Address is in subnet's reserved address range");
        }
    }

    internal void Hold(IPAddress address, string eniId) => _holders[Number(address)] = eniId;

    internal void Release(IPAddress address) => _holders.Remove(Number(address));

    /// <summary>EC2's own choice: any free addresses, without order.</summary>
    /// <param name="except">Free ones that the same call has named.</param>
    /// <exception cref="Ec2Exception">Fewer are free; none is taken.</exception>
    internal List<IPAddress> ChooseFree(int count, Random random, IReadOnlyCollection<IPAddress> except)
    {
        if (count == 0)
        {
            return [];
        }

        var named = except.Select(Number).ToHashSet();
        var free = new List<uint>();
        for (var number = _first; number <= _last; number++)
        {
            if (!IsReserved(number) && !_holders.ContainsKey(number) && !named.Contains(number))
            {
                free.Add(number);
            }
        }

        if (free.Count < count)
        {
            throw Ec2Exception.Of("InsufficientFreeAddressesInSubnet");
        }

        for (var i = 0; i < count; i++)
        {
            var chosen = random.Next(i, free.Count);
            (free[i], free[chosen]) = (free[chosen], free[i]);
        }

        return [.. free.Take(count).Select(Address)];
    }

    private bool IsReserved(uint number) => number < _first + 4 || number == _last;

    private static uint Number(IPAddress address) => BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());

    private static IPAddress Address(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }
}
