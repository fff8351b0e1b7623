using AwsVpcCni.Core.Addressing;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Addressing;

public sealed class IpTests
{
    private static readonly Gen<Ip> V4 = Gen.UInt.Select(bits => new Ip(bits, false));
    private static readonly Gen<Ip> V6 = Gen.Select(Gen.ULong, Gen.ULong, (high, low) => new Ip(new UInt128(high, low), true));

    [Fact]
    public void Text_and_the_runtimes_type_keep_the_address() =>
        Gen.OneOf(V4, V6).Sample(ip => Ip.Parse(ip.ToString()) == ip && Ip.From(ip.ToIPAddress()) == ip);

    [Theory]
    [InlineData("10.0.0.9", "10.0.0.10")]
    [InlineData("9.255.255.255", "10.0.0.0")]
    [InlineData("255.255.255.255", "::1")]
    public void Addresses_sort_as_numbers_and_IPv4_first(string lower, string higher) =>
        Assert.True(Ip.Parse(lower).CompareTo(Ip.Parse(higher)) < 0);

    [Theory]
    [InlineData("10.0.0.0/16", "10.0.255.255", true)]
    [InlineData("10.0.0.0/16", "10.1.0.0", false)]
    [InlineData("0.0.0.0/0", "1.2.3.4", true)]
    [InlineData("::/0", "fe80::1", true)]
    [InlineData("10.0.0.0/16", "::1", false)]
    public void A_range_contains_what_shares_its_bits(string cidr, string ip, bool contained) =>
        Assert.Equal(contained, Cidr.Parse(cidr).Contains(Ip.Parse(ip)));

    [Theory]
    [InlineData("10.0.0.1/16")]
    [InlineData("10.0.0.0/33")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("10.0.0.0")]
    [InlineData("x/8")]
    [InlineData("")]
    public void What_is_no_range_is_refused(string text) => Assert.False(Cidr.TryParse(text, out _));
}
