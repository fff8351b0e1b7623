using System.Net;
using System.Text;
using AwsVpcCni.CniProtocol;
using Xunit;

namespace AwsVpcCni.Tests.Unit.CniPlugin;

public sealed class CniResultTests
{
    private static readonly CniResult Pod = new(
        [
            new CniInterface("eni0123456789a", "02:00:00:00:00:0a", Mtu: 9001),
            new CniInterface("eth0", "02:00:00:00:00:0b", "/var/run/netns/cni-1", 9001),
        ],
        [new CniIp(IPNetwork.Parse("10.0.1.5/32"), 1)],
        [new CniRoute(IPNetwork.Parse("169.254.1.1/32")), new CniRoute(IPNetwork.Parse("0.0.0.0/0"), IPAddress.Parse("169.254.1.1"))]);

    [Theory]
    [InlineData(CniVersion.V031, "0.3.1", "\"version\":\"4\",", "")]
    [InlineData(CniVersion.V040, "0.4.0", "\"version\":\"4\",", "")]
    [InlineData(CniVersion.V100, "1.0.0", "", "")]
    [InlineData(CniVersion.V110, "1.1.0", "", ",\"mtu\":9001")]
    public void A_result_has_the_shape_of_the_configs_version(CniVersion version, string text, string family, string mtu) => Assert.Equal(
        $$$"""
        {"cniVersion":"{{{text}}}","interfaces":[{"name":"eni0123456789a","mac":"02:00:00:00:00:0a"{{{mtu}}}},{"name":"eth0","mac":"02:00:00:00:00:0b"{{{mtu}}},"sandbox":"/var/run/netns/cni-1"}],"ips":[{{{{family}}}"interface":1,"address":"10.0.1.5/32"}],"routes":[{"dst":"169.254.1.1/32"},{"dst":"0.0.0.0/0","gw":"169.254.1.1"}],"dns":{}}
        """,
        Encoding.UTF8.GetString(Pod.ToJson(version)));

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"interfaces":null,"ips":null,"routes":null,"dns":null}""")]
    public void Behind_an_empty_result_it_is_as_alone(string previous) =>
        Assert.Equal(Pod.ToJson(CniVersion.V100), Pod.ToJson(CniVersion.V100, PrevResult.Parse(previous, CniVersion.V100)));

    [Fact]
    public void An_IPv6_address_names_its_family_where_families_are_named() =>
        Assert.Contains(
            """{"version":"6","interface":0,"address":"fd00::1/128"}""",
            Encoding.UTF8.GetString((Pod with { Ips = [new CniIp(IPNetwork.Parse("fd00::1/128"), 0)] }).ToJson(CniVersion.V040)),
            StringComparison.Ordinal);

    [Fact]
    public void An_address_on_no_interface_is_a_defect() =>
        Assert.Throws<ArgumentException>(() => (Pod with { Interfaces = [] }).ToJson(CniVersion.V100));

    [Fact]
    public void An_error_is_what_the_specification_says()
    {
        Assert.Equal(
            """{"cniVersion":"0.4.0","code":11,"msg":"wait","details":"for a silo"}""",
            Encoding.UTF8.GetString(new CniError(CniErrorCode.TryAgainLater, "wait", "for a silo").ToJson(CniVersion.V040)));
        Assert.Equal(
            """{"cniVersion":"1.0.0","code":100,"msg":"no"}""",
            Encoding.UTF8.GetString(new CniError(CniErrorCode.WiringFailed, "no").ToJson(version: null)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("254")] // amazon-vpc-cni-k8s keeps a route table's number here; podman refuses that.
    [InlineData("02:00:00:00:00")]
    [InlineData("02-00-00-00-00-0a")]
    [InlineData("02:00:00:00:00:0g")]
    [InlineData("02:00:00:00:00:0a:0b")]
    public void A_mac_that_is_none_is_a_defect(string mac) =>
        Assert.Throws<ArgumentException>(() => (Pod with { Interfaces = [Pod.Interfaces[0], Pod.Interfaces[1] with { Mac = mac }] }).ToJson(CniVersion.V100));
}
