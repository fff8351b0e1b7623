using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Wiring;

/// <summary>Whose a link without our alias is: what the lease says of a pod is taken for it only with proof.</summary>
public sealed class InventoryTests
{
    private static readonly ClaimedPod Pod = new(new SandboxKey("c1", "eth0"), new PodName("default", "web-0", "uid"), Ip.Parse("10.0.0.21"));
    private static readonly string Name = VethName.Of(Pod.Sandbox, Pod.Pod);

    [Theory]
    [InlineData("eni", "10.0.0.21", "", true)]
    [InlineData("eni", "10.0.0.21", "uplink", true)]
    [InlineData("pod", "10.0.0.21", "", true)] // Of a time of another prefix.
    [InlineData("eni", "10.0.0.22", "", false)] // The next sandbox of the same pod.
    [InlineData("eni", null, "", false)] // One that is being made.
    [InlineData(null, "10.0.0.21", "", false)] // Another program's.
    public void A_claim_has_the_link_of_its_pods_name_that_its_address_is_routed_to(string? prefix, string? routed, string alias, bool isItsOwn)
    {
        var link = new Link(7, prefix is null ? "eni0123456789a" : prefix + Name[3..], Link.Veth, null, 9001, alias, IsUp: true);
        Route[] routes = routed is null ? [] : [new Route(Cidr.Parse($"{routed}/32"), null, PodWiring.MainTable) { Link = 7 }];

        var found = Inventory.Match([link], routes, [], VethName.DefaultPrefix, [Pod]);

        Assert.Equal(isItsOwn ? Pod.Sandbox : null, found.SingleOrDefault()?.Sandbox);
    }
}
