using System.Buffers.Binary;
using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>One subnet: which interface holds which address, alone or as one of a /28 prefix.</summary>
public sealed partial class Subnet
{
    private readonly uint _first;
    private readonly uint _last;
    private readonly Dictionary<uint, string> _holders = [];

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
        _last = LastOf(cidr);
    }

    public string Id { get; }

    public IPNetwork Cidr { get; }

    /// <summary>As `eu-west-1a`.</summary>
    public string Zone { get; }

    /// <summary>As `euw1-az1`: the same place in every account.</summary>
    public string ZoneId { get; }

    public SortedDictionary<string, string> Tags { get; }

    /// <summary>Free addresses, however scattered. The first four and the last never count, a prefix counts 16, and what a reservation keeps
    /// for prefixes is not free (as moto has it; one for named addresses takes nothing away).</summary>
    public int AvailableIpAddressCount => FreeCount - _reservations.Where(one => one.Type == ReservationType.Prefix).Sum(one => NumbersOf(one.Cidr).Count(IsFree));

    /// <summary>Addresses that nobody holds and EC2 does not keep for itself, reserved ones included.</summary>
    public int FreeCount => (int)(_last - _first + 1) - 5 - _holders.Count;

    /// <summary>The id of the interface that holds an address of this subnet, alone or in a prefix.</summary>
    /// <returns>Null: nobody.</returns>
    public string? HolderOf(IPAddress address) => _holders.GetValueOrDefault(Number(address));

    /// <summary>Whether an interface holds any address of the block.</summary>
    public bool IsUsed(IPNetwork block) => NumbersOf(block).Any(_holders.ContainsKey);

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

    /// <exception cref="Ec2Exception">The block is no /28, is not of this subnet, or has an address that EC2 keeps for itself.</exception>
    internal void Check(IPNetwork prefix)
    {
        if (prefix.PrefixLength != 28)
        {
            throw Ec2Exception.Invalid($"invalid value for parameter ipv4Prefix: {prefix}");
        }

        Check(prefix.BaseAddress);
        Check(Address(LastOf(prefix)));
    }

    internal void Hold(IPAddress address, string eniId) => _holders.Add(Number(address), eniId);

    internal void Hold(IPNetwork prefix, string eniId)
    {
        foreach (var number in NumbersOf(prefix))
        {
            _holders.Add(number, eniId);
        }
    }

    internal void Release(IPAddress address) => _holders.Remove(Number(address));

    internal void Release(IPNetwork prefix)
    {
        foreach (var number in NumbersOf(prefix))
        {
            _holders.Remove(number);
        }
    }

    internal static IEnumerable<IPAddress> AddressesOf(IPNetwork block) => NumbersOf(block).Select(Address);

    private bool IsReserved(uint number) => number < _first + 4 || number == _last;

    private bool IsFree(uint number) => !IsReserved(number) && !_holders.ContainsKey(number);

    private static uint Number(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[4];
        return address.TryWriteBytes(bytes, out _)
            ? BinaryPrimitives.ReadUInt32BigEndian(bytes)
            : throw new ArgumentException($"{address} is not an IPv4 address.", nameof(address));
    }

    private static uint LastOf(IPNetwork network) => Number(network.BaseAddress) + (uint)((1L << (32 - network.PrefixLength)) - 1);

    private static IEnumerable<uint> NumbersOf(IPNetwork block)
    {
        var last = LastOf(block);
        for (var number = Number(block.BaseAddress); number < last; number++)
        {
            yield return number;
        }

        yield return last;
    }

    private static IPAddress Address(uint number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes);
    }
}
