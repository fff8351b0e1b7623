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

    private static PodWiring Of(int table = PodWiring.MainTable) => PodWiring.Of(
        new PodVeth(new SandboxKey("c1", "eth0"), new PodName("default", "nginx", ""), 9001), Ip.Parse("10.0.0.21"), table, DateTimeOffset.UnixEpoch);
}
