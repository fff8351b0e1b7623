using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

public sealed class PrefixRulesTests
{
    private readonly TestVpc _test = new();

    private Vpc Vpc => _test.Vpc;

    private Subnet Subnet => Vpc.FindSubnet(TestVpc.Subnet)!;

    [Theory]
    [InlineData("10.0.1.0/28", "Address is in subnet's reserved address range")] // The first and the last /28 are never whole.
    [InlineData("10.0.1.240/28", "Address is in subnet's reserved address range")]
    [InlineData("10.0.3.16/28", "Address does not fall within the subnet's address range")]
    [InlineData("10.0.1.32/29", "invalid value for parameter ipv4Prefix: 10.0.1.32/29")]
    [InlineData("10.0.1.16/28", "[10.0.1.16/28] assigned, but move is not allowed.")] // The other node's primary address is in it.
    public void Some_blocks_are_never_drawn(string prefix, string message) =>
        _test.Refused("InvalidParameterValue", message, vpc => vpc.AssignIpv4Prefixes(_test.Primary.Id, TestVpc.Blocks("10.0.1.64/28", prefix)));

    [Fact]
    public void A_named_prefix_takes_sixteen_addresses_of_the_subnet_and_one_slot_of_the_interface()
    {
        var free = Subnet.AvailableIpAddressCount;
        Assert.Equal(TestVpc.Blocks("10.0.1.32/28"), Vpc.AssignIpv4Prefixes(_test.Primary.Id, TestVpc.Blocks("10.0.1.32/28")));
        Assert.Equal(free - 16, Subnet.AvailableIpAddressCount);
        Assert.Equal(2, _test.Primary.Slots);
        Assert.Equal(_test.Primary.Id, Subnet.HolderOf(TestVpc.Ip("10.0.1.47")));
        var changed = Assert.IsType<VpcEvent.AddressesChanged>(_test.Events[^1]);
        Assert.Equal((17, TestVpc.Ip("10.0.1.10"), TestVpc.Ip("10.0.1.47")), (changed.Addresses.Count, changed.Addresses[0], changed.Addresses[^1]));
    }

    [Fact]
    public void A_repeat_of_a_named_prefix_is_refused_so_that_its_caller_has_to_look()
    {
        Vpc.AssignIpv4Prefixes(_test.Primary.Id, TestVpc.Blocks("10.0.1.32/28"));
        _test.Refused("InvalidParameterValue", "[10.0.1.32/28] assigned, but move is not allowed.",
            vpc => vpc.AssignIpv4Prefixes(_test.Primary.Id, TestVpc.Blocks("10.0.1.32/28")));
    }

    [Fact]
    public void An_address_of_a_prefix_never_moves_out_of_it()
    {
        Vpc.AssignIpv4Prefixes(_test.Primary.Id, TestVpc.Blocks("10.0.1.32/28"));
        foreach (var eni in new[] { _test.Primary.Id, _test.OtherPrimary.Id })
        {
            _test.Refused("InvalidParameterValue", "[10.0.1.33] assigned, but move is not allowed.",
                vpc => vpc.AssignPrivateIpAddresses(eni, TestVpc.Ips("10.0.1.33"), allowReassignment: true));
        }

        _test.Refused("InvalidIPAddress.InUse", "The specified address is already in use.", _ => _test.Create(primary: "10.0.1.33"));
    }

    [Fact]
    public void Prefixes_and_addresses_share_the_interfaces_slots()
    {
        Vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.4", "10.0.1.5", "10.0.1.6", "10.0.1.7", "10.0.1.8"), false);
        Assert.Equal(4, Vpc.AssignIpv4Prefixes(_test.Primary.Id, 4).Count);
        _test.Refused("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.", vpc => vpc.AssignIpv4Prefixes(_test.Primary.Id, 1));
        _test.Refused("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.",
            vpc => vpc.AssignPrivateIpAddresses(_test.Primary.Id, 1));
    }

    [Fact]
    public void A_counted_prefix_is_any_whole_block_by_the_seeds_choice()
    {
        static string Drawn(int seed)
        {
            var test = new TestVpc(seed);
            return string.Join(' ', test.Vpc.AssignIpv4Prefixes(test.Primary.Id, 3));
        }

        Assert.Equal(Drawn(1), Drawn(1));
        Assert.NotEqual(Drawn(1), Drawn(2));
    }

    [Fact]
    public void A_subnet_of_256_has_14_blocks_and_one_single_address_breaks_each()
    {
        Assert.Equal(13, Subnet.WholeBlocks().Count()); // 14, and the other node's 10.0.1.20.
        var eni = _test.Create(primary: "10.0.1.5");
        for (var block = 2; block < 15; block++)
        {
            Vpc.AssignPrivateIpAddresses(eni.Id, TestVpc.Ips($"10.0.1.{(block * 16) + (block % 16)}"), false);
        }

        Assert.InRange(Subnet.AvailableIpAddressCount, 200, 256);
        _test.Refused("InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.",
            vpc => vpc.AssignIpv4Prefixes(_test.Primary.Id, 1));
        Vpc.UnassignPrivateIpAddresses(eni.Id, TestVpc.Ips("10.0.1.34")); // Block 2 is whole again.
        Assert.Equal(TestVpc.Blocks("10.0.1.32/28"), Vpc.AssignIpv4Prefixes(_test.Primary.Id, 1));
    }

    [Fact]
    public void Smallest_subnets_have_no_block()
    {
        var eni = _test.Create(TestVpc.Small);
        _test.Refused("InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.",
            vpc => vpc.AssignIpv4Prefixes(eni.Id, 1));
    }

    [Fact]
    public void A_return_names_addresses_and_prefixes_and_takes_all_or_nothing()
    {
        Vpc.AssignIpv4Prefixes(_test.Primary.Id, TestVpc.Blocks("10.0.1.32/28", "10.0.1.48/28"));
        Vpc.AssignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.5"), false);
        _test.Refused("InvalidParameterValue", $"Some of the specified addresses are not assigned to interface {_test.Primary.Id}",
            vpc => vpc.UnassignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.5"), TestVpc.Blocks("10.0.1.64/28")));
        _test.Refused("InvalidParameterValue", $"Some of the specified addresses are not assigned to interface {_test.Primary.Id}",
            vpc => vpc.UnassignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.33"))); // It goes with its prefix only.
        Vpc.UnassignPrivateIpAddresses(_test.Primary.Id, TestVpc.Ips("10.0.1.5"), TestVpc.Blocks("10.0.1.32/28"));
        Assert.Equal(TestVpc.Blocks("10.0.1.48/28"), _test.Primary.Prefixes);
        Assert.Equal(TestVpc.Ips("10.0.1.10"), _test.Primary.Addresses);
        Assert.Null(Subnet.HolderOf(TestVpc.Ip("10.0.1.32")));
    }

    [Fact]
    public void An_interface_is_made_with_prefixes_named_or_counted()
    {
        var named = Vpc.CreateNetworkInterface(new() { SubnetId = TestVpc.Subnet, Primary = TestVpc.Ip("10.0.1.4"), Prefixes = TestVpc.Blocks("10.0.1.32/28") });
        Assert.Equal(TestVpc.Blocks("10.0.1.32/28"), named.Prefixes);
        var counted = Vpc.CreateNetworkInterface(new() { SubnetId = TestVpc.Subnet, PrefixCount = 12 }); // All that are whole.
        Assert.Equal((1, 12), (counted.Addresses.Count, counted.Prefixes.Count));
        _test.Refused("InsufficientCidrBlocks", "The specified subnet does not have enough free cidr blocks to satisfy the request.",
            vpc => vpc.CreateNetworkInterface(new() { SubnetId = TestVpc.Subnet, PrefixCount = 1 }));
        _test.Refused("InvalidParameterValue", "There aren't sufficient free Ipv4 addresses or prefixes",
            vpc => vpc.CreateNetworkInterface(new() { SubnetId = TestVpc.Subnet, PrefixCount = 3 }));
        _test.Refused("InvalidIPAddress.InUse", "The specified address is already in use.",
            vpc => vpc.CreateNetworkInterface(new() { SubnetId = TestVpc.Elsewhere, Primary = TestVpc.Ip("10.0.3.20"), Prefixes = TestVpc.Blocks("10.0.3.16/28") }));
        Vpc.DeleteNetworkInterface(counted.Id);
        Assert.Equal(12, Subnet.WholeBlocks().Count());
    }

    [Fact]
    public void The_prefix_is_a_parameter_that_a_token_remembers()
    {
        CreateEni request = new() { SubnetId = TestVpc.Subnet, ClientToken = "t", Prefixes = TestVpc.Blocks("10.0.1.32/28") };
        Assert.Same(Vpc.CreateNetworkInterface(request), Vpc.CreateNetworkInterface(request));
        _test.Refused("IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            vpc => vpc.CreateNetworkInterface(request with { Prefixes = TestVpc.Blocks("10.0.1.48/28") }));
    }

    [Fact]
    public void A_Xen_instance_has_no_prefixes()
    {
        Vpc.Launch(new() { Id = "i-03", Type = "m4.large", Subnet = TestVpc.Subnet, Address = "10.0.1.30" });
        var eni = Vpc.EnisOf(Vpc.FindInstance("i-03")!).First();
        _test.Refused("InvalidParameterValue", "Instance type m4.large does not support IPv4 prefixes.", vpc => vpc.AssignIpv4Prefixes(eni.Id, 1));
        var detached = Vpc.CreateNetworkInterface(new() { SubnetId = TestVpc.Subnet, PrefixCount = 1 });
        _test.Refused("InvalidParameterValue", "Instance type m4.large does not support IPv4 prefixes.",
            vpc => vpc.AttachNetworkInterface(detached.Id, "i-03", 1));
    }

    [Fact]
    public void An_instance_may_be_launched_with_prefixes()
    {
        var instance = Vpc.Launch(new() { Id = "i-03", Type = "m5.large", Subnet = TestVpc.Subnet, Address = "10.0.1.30", Prefixes = ["10.0.1.64/28"] });
        Assert.Equal(TestVpc.Blocks("10.0.1.64/28"), Vpc.EnisOf(instance).Single().Prefixes);
    }
}
