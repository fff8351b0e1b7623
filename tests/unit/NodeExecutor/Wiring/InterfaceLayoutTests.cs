using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Wiring;

public sealed class InterfaceLayoutTests
{
    private static readonly InterfaceOrder Order = new("eni-b", "02:00:00:00:00:0b", 1, 0, Ip.Parse("10.0.1.9"), Cidr.Parse("10.0.1.0/24"));
    private static readonly InterfaceLayout Layout = InterfaceLayout.Of(Order);
    private static readonly Link Eth1 = new(7, "eth1", "", null, 9001, "", IsUp: true);
    private static readonly Rule Ours = new(32765, Ip.Parse("10.0.1.9"), null, 2);
    private static readonly InterfaceFound Ready = new(Eth1, [At("10.0.1.9", 24)], [Local("10.0.1.1/32"), Local("0.0.0.0/0", "10.0.1.1")], [Ours]);

    private static Address At(string ip, int length) => new(Ip.Parse(ip), length);

    private static Route Local(string destination, string? via = null, int table = 2) =>
        new(Cidr.Parse(destination), via is null ? null : Ip.Parse(via), table) { Link = 7 };

    private static string[] Steps(InterfaceFound found) => [.. Layout.StepsTo(found, 9001).Select(step => step.What)];

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(0, 14, 15)]
    [InlineData(1, 0, 10100)]
    [InlineData(3, 1, 10301)]
    public void Its_table_has_the_number_of_amazon_vpc_cni_k8s(int card, int device, int table) =>
        Assert.Equal(table, InterfaceLayout.Of(Order with { NetworkCard = card, DeviceIndex = device }).Table);

    [Fact]
    public void One_that_arrives_bare_gets_all_in_an_order_in_which_each_step_can_succeed() =>
        Assert.Equal(
            [
                "set eth1 up", "add address 10.0.1.9/24 to eth1", "add route 10.0.1.1/32 table 2 dev eth1",
                "add route 0.0.0.0/0 via 10.0.1.1 table 2 dev eth1", "add rule 32765: from 10.0.1.9 lookup 2", "set the MTU of eth1 to 9001",
            ],
            Steps(new InterfaceFound(Eth1 with { Mtu = 1500, IsUp = false }, [], [], [])));

    [Fact]
    public void One_that_is_ready_needs_nothing() => Assert.Empty(Steps(Ready));

    [Fact]
    public void Other_addresses_go_and_what_may_go_with_them_is_made_anew() =>
        Assert.Equal(
            [
                "delete address 10.0.1.50/24 of eth1", "add address 10.0.1.9/24 to eth1", "add route 10.0.1.1/32 table 2 dev eth1",
                "add route 0.0.0.0/0 via 10.0.1.1 table 2 dev eth1",
            ],
            Steps(Ready with { Addresses = [At("10.0.1.50", 24), At("10.0.1.9", 24)] }));

    [Fact]
    public void An_address_that_means_something_on_its_link_only_stays() =>
        Assert.Empty(Steps(Ready with { Addresses = [At("10.0.1.9", 24), At("169.254.3.4", 16) with { Scope = 253 }] }));

    [Fact]
    public void Its_address_with_another_mask_is_another_address() =>
        Assert.Contains("delete address 10.0.1.9/32 of eth1", Steps(Ready with { Addresses = [At("10.0.1.9", 32)] }));

    [Fact]
    public void The_subnets_route_and_a_default_route_in_table_main_go_and_no_other() =>
        Assert.Equal(
            ["delete route 10.0.1.0/24 table 254 dev eth1", "delete route 0.0.0.0/0 table 254 dev eth1"],
            Steps(Ready with { Routes = [.. Ready.Routes, Local("10.0.1.0/24", table: 254), Local("0.0.0.0/0", table: 254), Local("10.7.0.0/16", table: 254)] }));

    [Fact]
    public void A_default_route_by_another_gateway_is_replaced() =>
        Assert.Equal(
            ["add route 0.0.0.0/0 via 10.0.1.1 table 2 dev eth1"],
            Steps(Ready with { Routes = [Local("10.0.1.1/32"), Local("0.0.0.0/0", "10.0.1.254")] }));

    [Fact]
    public void A_rule_of_its_time_under_another_index_goes_after_the_new_one_is_there() =>
        Assert.Equal(
            ["add rule 32765: from 10.0.1.9 lookup 2", "delete rule 32765: from 10.0.1.9 lookup 3"],
            Steps(Ready with { Rules = [Ours with { Table = 3 }, new Rule(1536, Ip.Parse("10.0.1.9"), null, 3), new Rule(32765, Ip.Parse("10.0.1.8"), null, 3)] }));

    [Fact]
    public void The_way_back_takes_its_rules_and_only_the_routes_that_lead_to_its_link()
    {
        Route[] routes = [.. Ready.Routes, Local("0.0.0.0/0", "10.0.1.1") with { Link = 8 }, Local("10.0.1.0/24", table: 254)];
        Rule[] rules = [Ours, new Rule(1536, Ip.Parse("10.0.1.30"), null, 2)];

        Assert.Equal(
            ["delete rule 32765: from 10.0.1.9 lookup 2", "delete route 0.0.0.0/0 via 10.0.1.1 table 2 dev eth1", "delete route 10.0.1.1/32 table 2 dev eth1"],
            Layout.StepsBack(Eth1, routes, rules).Select(step => step.What));
        Assert.Equal(["delete rule 32765: from 10.0.1.9 lookup 2"], Layout.StepsBack(null, [], rules).Select(step => step.What));
        Assert.Empty(Layout.StepsBack(null, [], []));
    }

    [Fact]
    public void The_primary_interface_and_an_address_of_another_subnet_are_refused()
    {
        Assert.Throws<ArgumentException>(() => InterfaceLayout.Of(Order with { DeviceIndex = 0 }));
        Assert.Contains("no address of 10.0.1.0/24", Assert.Throws<ArgumentException>(() => InterfaceLayout.Of(Order with { PrimaryAddress = Ip.Parse("10.0.2.9") })).Message, StringComparison.Ordinal);
    }
}
