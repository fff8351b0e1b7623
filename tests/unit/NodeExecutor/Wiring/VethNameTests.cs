using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Wiring;

public sealed class VethNameTests
{
    [Theory]
    [InlineData("kube-system", "coredns-57ff979f67-qqbdh", 0, "enib5faff8a083")]
    [InlineData("default", "nginx", 0, "enic440f455693")]
    [InlineData("default", "nginx", 1, "enie48ae9c2f34")]
    public void The_names_are_those_of_amazon_vpc_cni_k8s(string podNamespace, string pod, int index, string name) =>
        Assert.Equal(name, VethName.Of(podNamespace, pod, index));

    [Fact]
    public void A_sandbox_of_a_pod_is_named_after_the_pod_not_the_container() =>
        Assert.Equal("enic440f455693", VethName.Of(new SandboxKey("c1", "eth0"), new PodName("default", "nginx", "")));

    [Fact]
    public void What_shares_a_pods_name_but_not_its_interface_or_has_none_gets_a_name_of_its_own()
    {
        var pod = new PodName("default", "nginx", "");
        var none = new PodName("", "", "");
        string[] names =
        [
            VethName.Of(new SandboxKey("c1", "eth0"), pod), VethName.Of(new SandboxKey("c1", "net1"), pod),
            VethName.Of(new SandboxKey("c1", "eth0"), none), VethName.Of(new SandboxKey("c2", "eth0"), none), VethName.Of(new SandboxKey("c2", "net1"), none),
        ];
        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.All(names, name => Assert.Matches("^eni[0-9a-f]{11}$", name));
    }

    [Theory]
    [InlineData("enic440f455693", "eni")]
    [InlineData("podc440f455693", "pod")]
    [InlineData("c440f455693", null)]
    [InlineData("foo", null)]
    [InlineData("a-name-of-hers", null)]
    public void A_prefix_is_read_from_names_of_ours_only(string name, string? prefix) => Assert.Equal(prefix, VethName.PrefixOf(name));
}
