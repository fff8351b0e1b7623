using System.Net;

namespace AwsVpcCni.VpcEmulator.Model;

/// <content>EC2's own choice, when it is asked for a number of addresses or prefixes: any that are free, without order. So a sparsely used
/// subnet soon has a hole in every /28, which nothing heals.</content>
public sealed partial class Subnet
{
    private readonly List<CidrReservation> _reservations = [];

    /// <summary>In the order in which they were made.</summary>
    public IReadOnlyList<CidrReservation> Reservations => _reservations;

    /// <summary>The /28s that could be a prefix: whole and free, reserved or not. For tests to look at; EC2 shows no such thing.</summary>
    public IEnumerable<IPNetwork> WholeBlocks() => WholeBlocks([]).Select(Block);

    /// <summary>Single addresses that EC2 could choose.</summary>
    public int Choosable => Open([]).Count;

    /// <summary>Prefixes that EC2 could choose.</summary>
    public int ChoosablePrefixes => Choosables([]) is var (kept, open) ? kept.Count + open.Count : 0;

    internal void Add(CidrReservation reservation) => _reservations.Add(reservation);

    internal bool Remove(CidrReservation reservation) => _reservations.Remove(reservation);

    /// <summary>Single addresses, outside all reservations.</summary>
    /// <param name="except">Free ones that the same call has named.</param>
    /// <exception cref="Ec2Exception">Fewer are free; none is taken.</exception>
    internal List<IPAddress> ChooseFree(int count, Random random, IReadOnlyCollection<IPAddress> except)
    {
        if (count == 0)
        {
            return [];
        }

        var free = Open(except);
        if (free.Count < count)
        {
            throw Ec2Exception.Of("InsufficientFreeAddressesInSubnet");
        }

        return [.. AnyOf(free, count, random).Select(Address)];
    }

    /// <summary>Prefixes: of the reservations for prefixes first, then outside all reservations.</summary>
    /// <param name="except">Free addresses that the same call has named.</param>
    /// <exception cref="Ec2Exception">Fewer blocks are whole; none is taken.</exception>
    internal List<IPNetwork> ChoosePrefixes(int count, Random random, IReadOnlyCollection<IPAddress> except)
    {
        if (count == 0)
        {
            return [];
        }

        var (kept, open) = Choosables(except);
        if (kept.Count + open.Count < count)
        {
            throw Ec2Exception.Of("InsufficientCidrBlocks");
        }

        var fromKept = Math.Min(count, kept.Count);
        return [.. AnyOf(kept, fromKept, random).Concat(AnyOf(open, count - fromKept, random)).Select(Block)];
    }

    private List<uint> Open(IReadOnlyCollection<IPAddress> except)
    {
        var named = except.Select(Number).ToHashSet();
        var free = new List<uint>();
        for (var number = _first; number <= _last; number++)
        {
            if (IsFree(number) && !named.Contains(number) && ReservationOf(number) is null)
            {
                free.Add(number);
            }
        }

        return free;
    }

    /// <summary>In reservations for prefixes, and outside all reservations.</summary>
    private (List<uint> Kept, List<uint> Open) Choosables(IReadOnlyCollection<IPAddress> except)
    {
        var whole = WholeBlocks(except).ToList();
        return (whole.FindAll(number => ReservationOf(number)?.Type == ReservationType.Prefix),
            whole.FindAll(number => !_reservations.Exists(one => one.Cidr.Contains(Address(number)) || Block(number).Contains(one.Cidr.BaseAddress))));
    }

    /// <summary>By first address. The subnet's first and last /28 never are among them: EC2 keeps addresses there.</summary>
    private IEnumerable<uint> WholeBlocks(IReadOnlyCollection<IPAddress> except)
    {
        var named = except.Select(Number).ToHashSet();
        for (var number = _first; number < _last; number += 16)
        {
            var block = number;
            if (Enumerable.Range(0, 16).All(offset => IsFree(block + (uint)offset) && !named.Contains(block + (uint)offset)))
            {
                yield return number;
            }
        }
    }

    private CidrReservation? ReservationOf(uint number) =>
        _reservations.Count == 0 ? null : _reservations.Find(one => one.Cidr.Contains(Address(number)));

    private static List<uint> AnyOf(List<uint> numbers, int count, Random random)
    {
        for (var i = 0; i < count; i++)
        {
            var chosen = random.Next(i, numbers.Count);
            (numbers[i], numbers[chosen]) = (numbers[chosen], numbers[i]);
        }

        return numbers[..count];
    }

    private static IPNetwork Block(uint number) => new(Address(number), 28);
}

/// <summary>A part of a subnet that EC2's own choice leaves alone.</summary>
public sealed record CidrReservation(
    long Sequence, string Id, string SubnetId, IPNetwork Cidr, ReservationType Type, string Description, SortedDictionary<string, string> Tags);

/// <summary>What a reservation is for.</summary>
public enum ReservationType
{
    /// <summary>For prefixes that EC2 chooses.</summary>
    Prefix,

    /// <summary>For addresses and, it is believed, prefixes that the caller names.</summary>
    Explicit,
}
