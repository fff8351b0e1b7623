using System.Text;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Wiring;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Wiring;

public sealed class LinkAliasTests
{
    private const string Letters = "abcdefghijklmnopqrstuvwxyz0123456789";

    [Fact]
    public void The_text_is_what_people_and_later_versions_read()
    {
        var alias = new LinkAlias(new SandboxKey("4b5e", "eth0"), Ip.Parse("10.0.0.21"), DateTimeOffset.UnixEpoch.AddMilliseconds(1_787_234_520_000), "default/nginx");
        Assert.Equal("aws-vpc-cni/1 4b5e eth0 10.0.0.21 1787234520000 default/nginx", alias.ToString());
    }

    [Fact]
    public void What_is_written_is_read_back_but_for_the_end_of_a_long_pod_name()
    {
        var aliases = Gen.Select(
            Gen.String[Gen.Char[Letters], 1, CniCall.MaxContainerIdLength], Gen.String[Gen.Char[Letters], 1, 15], Gen.UInt, Gen.Long[0, 4_102_444_800_000],
            Gen.String[Gen.Char[Letters + " /é漢"], 0, 320],
            (container, ifName, address, time, pod) =>
                new LinkAlias(new SandboxKey(container, ifName), new Ip(address, false), DateTimeOffset.FromUnixTimeMilliseconds(time), pod));
        aliases.Sample(alias =>
        {
            var text = alias.ToString();
            Assert.InRange(Encoding.UTF8.GetByteCount(text), 1, 255);
            Assert.True(LinkAlias.TryParse(text, out var read));
            Assert.Equal(alias with { Pod = read.Pod }, read);
            Assert.StartsWith(read.Pod, alias.Pod, StringComparison.Ordinal);
            Assert.True(read.Pod == alias.Pod || Encoding.UTF8.GetByteCount(text) > 255 - 3, "cut without need");
        });
    }

    [Theory]
    [InlineData("")]
    [InlineData("web")]
    [InlineData("calico/1 4b5e eth0 10.0.0.21 1787234520000 default/nginx")]
    [InlineData("aws-vpc-cni/2 4b5e eth0 10.0.0.21 1787234520000 default/nginx")]
    [InlineData("aws-vpc-cni/1  eth0 10.0.0.21 1787234520000 default/nginx")]
    [InlineData("aws-vpc-cni/1 4b5e eth0 10.0.0.300 1787234520000 default/nginx")]
    [InlineData("aws-vpc-cni/1 4b5e eth0 10.0.0.21 9223372036854775807 default/nginx")]
    [InlineData("aws-vpc-cni/1 4b5e eth0 10.0.0.21 -1 default/nginx")]
    [InlineData("aws-vpc-cni/1 4b5e eth0 10.0.0.21 1787234520000")]
    public void What_is_not_ours_is_not_read(string text) => Assert.False(LinkAlias.TryParse(text, out _));

    [Fact]
    public void Any_text_is_refused_or_names_a_sandbox() => Gen.String.Sample(text =>
        !LinkAlias.TryParse("aws-vpc-cni/1 " + text, out var alias) || (alias.Sandbox.ContainerId.Length > 0 && alias.Sandbox.IfName.Length > 0));
}
