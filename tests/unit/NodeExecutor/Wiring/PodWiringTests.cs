using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Wiring;

public sealed class PodWiringTests
{
    [Fact]
    public void A_pod_of_the_primary_interface_needs_no_rule_for_what_it_sends()
    {
        var wiring = Of();
        Assert.Equal([new Rule(512, null, wiring.Address, 254)], wiring.HostRules);
        Assert.Equal(new Route(Cidr.Parse("10.0.0.21/32"), null, 254), wiring.HostRoute);
    }

    [Fact]
    public void A_pod_of_another_interface_sends_through_that_interfaces_table()
    {
        var wiring = Of(table: PodWiring.TableOf(0, 2));
        Assert.Equal([new Rule(512, null, wiring.Address, 254), new Rule(1536, wiring.Address, null, 3)], wiring.HostRules);
    }

    [Theory]
    [InlineData(0, 0, 254)]
    [InlineData(0, 1, 2)]
    [InlineData(1, 0, 10_100)]
    [InlineData(1, 1, 10_101)]
    public void Tables_are_numbered_as_in_amazon_vpc_cni_k8s(int card, int device, int table) =>
        Assert.Equal(table, PodWiring.TableOf(card, device));

    [Theory]
    [InlineData("", "eth0")]
    [InlineData("c 1", "eth0")]
    [InlineData("../c1", "eth0")]
    [InlineData("c1\n", "eth0")]
    [InlineData("c1", "")]
    [InlineData("c1", "sixteen-letters0")]
    [InlineData("c1", "a b")]
    [InlineData("c1", "a/b")]
    [InlineData("c1", "a:b")]
    [InlineData("c1", "a\u0001")]
    [InlineData("c1", "..")]
    [InlineData("c1", "lo")]
    public void Names_that_the_kernel_or_the_alias_cannot_hold_are_refused(string container, string ifName)
    {
        var refused = Assert.Throws<ArgumentException>(() => Of(container, ifName));
        Assert.Contains($"'{(container == "c1" ? ifName : container)}'", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("c_1.x-2", "eth0")]
    [InlineData("c1", "fifteen-letters")]
    [InlineData("c1", "net1@~")]
    public void Others_are_not(string container, string ifName) => Assert.Equal(ifName, Of(container, ifName).Sandbox.IfName);

    [Fact]
    public void A_container_id_that_leaves_no_room_in_the_alias_is_refused()
    {
        Of(new string('c', LinkAlias.MaxContainerIdLength));
        Assert.Throws<ArgumentException>(() => Of(new string('c', LinkAlias.MaxContainerIdLength + 1)));
    }

    private static PodWiring Of(string container = "c1", string ifName = "eth0", int table = PodWiring.MainTable) => PodWiring.Of(
        PodVeth.Of(new SandboxKey(container, ifName), new PodName("default", "nginx", ""), 9001), Ip.Parse("10.0.0.21"), table, DateTimeOffset.UnixEpoch);
}
