using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Subnets;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Subnets;

public sealed class SubnetTests
{
    private static readonly Gen<(Cidr Subnet, HashSet<int> Taken)> Subnets = Gen.Int[22, 28].SelectMany(length =>
        Gen.Int[0, (1 << (32 - length)) - 1].Array[0, 1 << (32 - length)].Select(taken => (Cidr.Parse($"10.0.0.0/{length}"), taken.ToHashSet())));

    [Theory]
    [InlineData("10.0.0.0/28", "", 3, "10.0.0.4 10.0.0.5 10.0.0.6")] // The first four and the last are AWS's.
    [InlineData("10.0.0.0/28", "4 5 6 7 8 9 10 11 12 13", 3, "10.0.0.14")]
    [InlineData("10.0.0.0/26", "36", 2, "10.0.0.4 10.0.0.5")] // The first block, broken by AWS, is fuller than the one with one taken.
    [InlineData("10.0.0.0/26", "20 21 22 23 24 25 26 27 28 29 30", 2, "10.0.0.16 10.0.0.17")] // The fullest block first.
    public void Broken_blocks_are_used_up_first(string subnet, string taken, int count, string chosen)
    {
        var offsets = taken.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToHashSet();
        Assert.Equal(chosen, string.Join(' ', AddressNamer.Choose(Cidr.Parse(subnet), offsets.Contains, count)));
    }

    [Fact]
    public void Only_free_addresses_are_named_each_once_and_as_many_as_there_are() =>
        Gen.Select(Subnets, Gen.Int[0, 40]).Sample((subnet, count) =>
        {
            var chosen = AddressNamer.Choose(subnet.Subnet, subnet.Taken.Contains, count);
            var free = Enumerable.Range(0, (int)subnet.Subnet.Size).Where(o => o >= 4 && o != subnet.Subnet.Size - 1 && !subnet.Taken.Contains(o)).Select(o => subnet.Subnet.Base + o).ToHashSet();
            return chosen.Distinct().Count() == chosen.Length && chosen.All(free.Contains) && chosen.Length == Math.Min(count, free.Count);
        });

    [Fact]
    public void The_fullest_blocks_come_first_and_in_each_the_lowest_address() =>
        Gen.Select(Subnets, Gen.Int[0, 300]).Sample((subnet, count) =>
        {
            bool IsFree(int o) => !AddressNamer.IsKeptByAws(subnet.Subnet, o) && !subnet.Taken.Contains(o);
            var free = Enumerable.Range(0, (int)subnet.Subnet.Size).Where(IsFree).ToArray();
            var inBlock = free.CountBy(o => o / 16).ToDictionary();
            return AddressNamer.Choose(subnet.Subnet, subnet.Taken.Contains, count)
                .SequenceEqual(free.OrderBy(o => inBlock[o / 16]).ThenBy(o => o).Take(count).Select(o => subnet.Subnet.Base + o));
        });

    [Fact]
    public void No_whole_block_is_broken_while_a_broken_one_has_a_free_address() =>
        Subnets.Sample(subnet =>
        {
            int FreeIn(int block) => Enumerable.Range(block * 16, 16).Count(o => !AddressNamer.IsKeptByAws(subnet.Subnet, o) && !subnet.Taken.Contains(o));
            var blocks = Enumerable.Range(0, (int)subnet.Subnet.Size / 16).ToArray();
            var chosen = AddressNamer.Choose(subnet.Subnet, subnet.Taken.Contains, 1);
            return chosen.IsEmpty || FreeIn((int)(chosen[0].Bits - subnet.Subnet.Base.Bits) / 16) == blocks.Select(FreeIn).Where(free => free > 0).Min();
        });

    [Theory]
    [InlineData("10.0.0.0/26", "", 4, "10.0.0.16/28 10.0.0.32/28")] // AWS breaks the first and the last.
    [InlineData("10.0.0.0/26", "36", 4, "10.0.0.16/28")]
    [InlineData("10.0.0.0/24", "20", 2, "10.0.0.32/28 10.0.0.48/28")]
    [InlineData("10.0.0.0/28", "", 1, "")]
    public void Only_whole_blocks_are_prefixes(string subnet, string taken, int count, string chosen)
    {
        var offsets = taken.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToHashSet();
        Assert.Equal(chosen, string.Join(' ', AddressNamer.ChoosePrefixes(Cidr.Parse(subnet), offsets.Contains, count)));
    }

    [Theory]
    [InlineData("", 3, "10.0.0.16/28 10.0.0.32/28 10.0.0.48/28")]
    [InlineData("+10.0.0.192/27", 3, "10.0.0.192/28 10.0.0.208/28 10.0.0.16/28")] // Those kept for prefixes first.
    [InlineData("-10.0.0.16/28", 2, "10.0.0.32/28 10.0.0.48/28")]
    [InlineData("-10.0.0.20/32 +10.0.0.224/27", 2, "10.0.0.224/28 10.0.0.32/28")] // A part of it is enough; the subnet's last one is AWS's.
    [InlineData("-10.0.0.0/25 -10.0.0.128/25", 2, "")]
    public void Reservations_for_prefixes_give_them_first_and_others_none(string ranges, int count, string chosen)
    {
        ReservedRange[] kept = [.. ranges.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(range => new ReservedRange(Cidr.Parse(range[1..]), range[0] == '+'))];
        Assert.Equal(chosen, string.Join(' ', AddressNamer.ChoosePrefixes(Cidr.Parse("10.0.0.0/24"), _ => false, count, kept)));
    }

    [Fact]
    public void A_map_holds_what_was_put_in_and_not_taken_out() =>
        Subnets.Sample(subnet =>
        {
            var addresses = subnet.Taken.Select(offset => subnet.Subnet.Base + offset).ToArray();
            var map = SubnetMap.Empty(subnet.Subnet).With(addresses).With([Ip.Parse("192.168.0.1")]);
            var half = addresses.Take(addresses.Length / 2).ToHashSet();
            return map.Count == addresses.Length && addresses.All(map.Contains) && !map.Contains(Ip.Parse("192.168.0.1"))
                && map.Without(half) is var less && addresses.All(address => less.Contains(address) != half.Contains(address));
        });

    [Theory]
    [InlineData("10.0.0.0/28")] // It begins where the subnet does.
    [InlineData("10.0.0.52/30")]
    [InlineData("10.0.0.0/26")]
    [InlineData("10.0.0.0/16")]
    [InlineData("10.0.1.0/28")]
    public void A_range_puts_in_what_it_has_of_the_subnet(string range)
    {
        var map = SubnetMap.Empty(Cidr.Parse("10.0.0.0/26")).With(Cidr.Parse(range));

        Assert.All(Enumerable.Range(0, 64), offset => Assert.Equal(Cidr.Parse(range).Contains(Ip.Parse("10.0.0.0") + offset), map.Contains(offset)));
    }
}
