using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

public sealed class AddressRulesTests
{
    private readonly TestVpc _test = new();

    private Vpc Vpc => _test.Vpc;

    [Theory]
    [InlineData("10.0.1.0", "Address is in subnet's reserved address range")]
    [InlineData("10.0.1.3", "Address is in subnet's reserved address range")]
    [InlineData("10.0.1.255", "Address is in subnet's reserved address range")]
    [InlineData("10.0.2.5", "Address does not fall within the subnet's address range")]
    [InlineData("10.0.0.255", "Address does not fall within the subnet's address range")]
    [InlineData("10.0.1.20", "secondary-addresses")] // Another interface's primary.
    public void Some_addresses_are_never_drawn(string address, string message) =>
        _test.Refused("InvalidParameterValue", message, vpc => vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.100", address), false));

    [Fact]
    public void Named_addresses_are_drawn_in_one_event_and_counted()
    {
        var free = Vpc.FindSubnet(TestVpc.Subnet)!.AvailableIpAddressCount;
        Assert.Equal(256 - 5 - 2, free);
        var wanted = TestVpc.Ips("10.0.1.4", "10.0.1.254");
        Assert.Equal(wanted, Vpc.AssignPrivateIpAddresses(_test.Primary.Id, wanted, false));
        Assert.Equal(free - 2, Vpc.FindSubnet(TestVpc.Subnet)!.AvailableIpAddressCount);
        var changed = Assert.IsType<VpcEvent.AddressesChanged>(_test.Events[^1]);
        Assert.Equal(TestVpc.Ips("10.0.1.10", "10.0.1.4", "10.0.1.254"), changed.Addresses);
    }

    [Fact]
    public void A_repeat_of_a_named_draw_draws_nothing()
    {
        Vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.100"), false);
        Assert.Empty(Vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.100"), false));
        Assert.Equal(2, _test.Primary.Addresses.Count);
    }

    [Fact]
    public void An_address_of_another_interface_moves_only_when_that_is_allowed()
    {
        Vpc.AssignPrivateIpAddresses(_test.OtherPrimary.Id, TestVpc.Ips("10.0.1.5", "10.0.1.6"), false);
        _test.Refused("InvalidParameterValue", "[10.0.1.5, 10.0.1.6] assigned, but move is not allowed.",
            vpc => vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.5", "10.0.1.6", "10.0.1.7"), false));
        Vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.5"), true);
        Assert.Equal(TestVpc.Ips("10.0.1.10", "10.0.1.5"), _test.Primary.Addresses);
        Assert.Equal(TestVpc.Ips("10.0.1.20", "10.0.1.6"), _test.OtherPrimary.Addresses);
    }

    [Fact]
    public void An_interface_holds_no_more_than_its_type_allows()
    {
        Vpc.AssignPrivateIpAddresses(_test.Primary.Id, 9);
        _test.Refused("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.",
            vpc => vpc.AssignPrivateIpAddresses(_test.Primary.Id, 1));
        _test.Refused("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.",
            vpc => vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.111"), false));
    }

    [Fact]
    public void A_detached_interface_has_no_limit_but_its_subnet()
    {
        var eni = _test.Create(TestVpc.Small); // 16 addresses, 5 reserved, 1 its own.
        _test.Refused("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.",
            vpc => vpc.AssignPrivateIpAddresses(eni.Id, 11));
        Assert.Equal(10, Vpc.AssignPrivateIpAddresses(eni.Id, 10).Count);
        Assert.Equal(0, Vpc.FindSubnet(TestVpc.Small)!.AvailableIpAddressCount);
    }

    [Fact]
    public void A_create_in_a_full_subnet_has_one_error_for_the_primary_and_another_for_a_count()
    {
        _test.Refused("InvalidParameterValue", "There aren't sufficient free Ipv4 addresses or prefixes", _ => _test.Create(TestVpc.Small, count: 11));
        _test.Create(TestVpc.Small, count: 10);
        _test.Refused("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.",
            _ => _test.Create(TestVpc.Small));
    }

    [Fact]
    public void A_create_names_no_address_that_is_taken() =>
        _test.Refused("InvalidIPAddress.InUse", "The specified address is already in use.", _ => _test.Create(primary: "10.0.1.10"));

    [Fact]
    public void The_primary_named_or_chosen_comes_first_and_never_doubles()
    {
        for (var seed = 0; seed < 50; seed++)
        {
            var eni = new TestVpc(seed).Vpc.CreateNetworkInterface(new()
            {
                SubnetId = TestVpc.Small, // So small that a choice without regard for the names would hit them.
                Secondary = TestVpc.Ips("10.0.2.4", "10.0.2.5", "10.0.2.6", "10.0.2.7", "10.0.2.8", "10.0.2.9", "10.0.2.10", "10.0.2.11", "10.0.2.12"),
            });
            Assert.True(eni.Addresses[0].ToString() is "10.0.2.13" or "10.0.2.14");
            Assert.Equal(10, eni.Addresses.Distinct().Count());
        }
    }

    [Fact]
    public void A_return_takes_all_or_nothing_and_never_the_primary()
    {
        Vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.5", "10.0.1.6"), false);
        _test.Refused("InvalidParameterValue", $"Some of the specified addresses are not assigned to interface {_test.Primary.Id}",
            vpc => vpc.UnassignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.5", "10.0.1.7")));
        _test.Refused("InvalidParameterValue", "The primary IP address of an interface cannot be unassigned.",
            vpc => vpc.UnassignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.10")));
        Vpc.UnassignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.5"));
        Assert.Equal(TestVpc.Ips("10.0.1.10", "10.0.1.6"), _test.Primary.Addresses);
        Vpc.AssignPrivateIpAddresses(_test.OtherPrimary.Id, TestVpc.Ips("10.0.1.5"), false); // EC2 promises no rest.
    }

    [Fact]
    public void A_counted_draw_is_the_seeds_choice()
    {
        static string Drawn(int seed)
        {
            var test = new TestVpc(seed);
            return string.Join(' ', test.Vpc.AssignPrivateIpAddresses(test.Primary.Id, 5));
        }

        Assert.Equal(Drawn(1), Drawn(1));
        Assert.NotEqual(Drawn(1), Drawn(2));
    }
}
