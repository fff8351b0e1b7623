using System.Net;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

public sealed class ReservationTests
{
    private readonly TestVpc _test = new();

    private Vpc Vpc => _test.Vpc;

    private Subnet Subnet => Vpc.FindSubnet(TestVpc.Subnet)!;

    [Fact]
    public void Prefixes_come_from_their_reservation_first_and_single_addresses_never()
    {
        var free = Subnet.AvailableIpAddressCount;
        var reservation = Reserve("10.0.1.128/26", ReservationType.Prefix);
        Assert.Equal(free - 64, Subnet.AvailableIpAddressCount);
        var drawn = Vpc.AssignIpv4Prefixes(_test.Primary.Id, 4);
        Assert.All(drawn, prefix => Assert.True(reservation.Cidr.Contains(prefix.BaseAddress)));
        Assert.Equal(free - 64, Subnet.AvailableIpAddressCount); // They had been taken off before.
        Assert.False(reservation.Cidr.Contains(Vpc.AssignIpv4Prefixes(_test.Primary.Id, 1)[0].BaseAddress));
        var eni = _test.Create(count: 100);
        Assert.DoesNotContain(eni.Addresses, address => reservation.Cidr.Contains(address));
    }

    [Fact]
    public void An_explicit_reservation_is_for_those_who_name_what_they_want()
    {
        var free = Subnet.AvailableIpAddressCount;
        var reservation = Reserve("10.0.1.128/25", ReservationType.Explicit);
        Assert.Equal(free, Subnet.AvailableIpAddressCount);
        Assert.All(Vpc.AssignIpv4Prefixes(_test.Primary.Id, 6), prefix => Assert.False(reservation.Cidr.Contains(prefix.BaseAddress)));
        _test.Refused("InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.",
            vpc => vpc.AssignIpv4Prefixes(_test.OtherPrimary.Id, 1));
        Vpc.AssignIpv4Prefixes(_test.OtherPrimary.Id, TestVpc.Blocks("10.0.1.128/28"));
        Vpc.AssignPrivateIpAddresses(_test.OtherPrimary.Id, TestVpc.Ips("10.0.1.150"), false);
        var eni = _test.Create(); // Of the 124 addresses below, 96 + 1 + 2 are used by now.
        _test.Refused("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.",
            vpc => vpc.AssignPrivateIpAddresses(eni.Id, 26));
        Assert.Equal(25, Vpc.AssignPrivateIpAddresses(eni.Id, 25).Count);
    }

    [Fact]
    public void What_is_used_when_a_reservation_comes_stays_used_and_is_not_chosen_again()
    {
        Vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.40"), false);
        Reserve("10.0.1.32/28", ReservationType.Prefix);
        Assert.Equal(_test.Primary.Id, Subnet.HolderOf(TestVpc.Ip("10.0.1.40")));
        Assert.NotEqual(TestVpc.Blocks("10.0.1.32/28"), Vpc.AssignIpv4Prefixes(_test.Primary.Id, 1)); // It has a hole.
        Vpc.UnassignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.40"));
        Assert.Equal(TestVpc.Blocks("10.0.1.32/28"), Vpc.AssignIpv4Prefixes(_test.Primary.Id, 1));
    }

    [Theory]
    [InlineData("10.0.2.0/28", "Reservation CIDR should be within subnet CIDR block (10.0.1.0/24)")]
    [InlineData("10.0.0.0/23", "Reservation CIDR should be within subnet CIDR block (10.0.1.0/24)")]
    [InlineData("10.0.1.144/28", "Reservation CIDR 10.0.1.144/28 has overlap with existing reserved CIDR block")]
    [InlineData("10.0.1.0/24", "Reservation CIDR 10.0.1.0/24 has overlap with existing reserved CIDR block")]
    public void Reservations_lie_in_their_subnet_and_not_on_each_other(string cidr, string message)
    {
        Reserve("10.0.1.128/26", ReservationType.Prefix);
        _test.Refused("InvalidParameterValue", message, _ => Reserve(cidr, ReservationType.Explicit));
    }

    [Fact]
    public void A_deleted_reservation_keeps_nothing_any_more()
    {
        var reservation = Reserve("10.0.1.0/24", ReservationType.Explicit);
        Assert.Equal([reservation], Vpc.GetSubnetCidrReservations(TestVpc.Subnet));
        Vpc.DeleteSubnetCidrReservation(reservation.Id);
        Assert.Empty(Vpc.GetSubnetCidrReservations(TestVpc.Subnet));
        Assert.Single(Vpc.AssignIpv4Prefixes(_test.Primary.Id, 1));
        Assert.Throws<Ec2Exception>(() => Vpc.DeleteSubnetCidrReservation(reservation.Id));
    }

    private CidrReservation Reserve(string cidr, ReservationType type) => Vpc.CreateSubnetCidrReservation(TestVpc.Subnet, IPNetwork.Parse(cidr), type);
}
