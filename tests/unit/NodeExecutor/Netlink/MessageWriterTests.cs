using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;
using Xunit;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Netlink;

/// <summary>Literal bytes, as a little-endian machine sends them; strace shows the same for `ip`.</summary>
public sealed class MessageWriterTests
{
    [Fact]
    public void A_route_to_a_pod()
    {
        var message = new MessageWriter(new byte[256]);
        new Route(new Cidr(Ip.Parse("10.0.0.5"), 32), null, 254).Replace(ref message, 7);
        AssertBytes(
            "34000000 1800 0005 00000000 00000000" + // 52 bytes, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE
            "02 20 00 00 fe 03 fd 01 00000000" + // AF_INET, /32, table main, boot, link, unicast
            "0800 0100 0a000005" + // RTA_DST
            "0800 0400 07000000" + // RTA_OIF
            "0800 0f00 fe000000", // RTA_TABLE
            message.Written);
    }

    [Fact]
    public void A_rule_to_a_table_above_255()
    {
        var message = new MessageWriter(new byte[256]);
        new Rule(1536, Ip.Parse("10.0.0.5"), null, 10_101).Add(ref message);
        AssertBytes(
            "34000000 2000 0006 00000000 00000000" +
            "02 00 20 00 fc 00 00 01 00000000" + // RT_TABLE_COMPAT, FR_ACT_TO_TBL
            "0800 0200 0a000005 0800 0600 00060000 0800 0f00 75270000",
            message.Written);
    }

    [Fact]
    public void A_value_is_padded_and_the_padding_is_not_in_its_length_but_in_the_messages()
    {
        var message = new MessageWriter(new byte[64]);
        message.Header(RTM_SETLINK, 0, new LinkHeader { Index = 9 });
        message.Attribute(IFLA_IFALIAS, "a"u8);
        AssertBytes(
            "28000000 1300 0000 00000000 00000000 00 00 0000 09000000 00000000 00000000 0500 1400 61000000", message.Written);
    }

    [Fact]
    public void A_nest_is_as_long_as_what_it_holds()
    {
        var message = new MessageWriter(new byte[64]);
        message.Header(RTM_NEWLINK, 0, default(LinkHeader));
        var info = message.Nest(IFLA_LINKINFO);
        message.Attribute(IFLA_INFO_KIND, "veth");
        message.EndNest(info);
        AssertBytes(
            "30000000 1000 0000 00000000 00000000 00000000 00000000 00000000 00000000 1000 1200 0900 0100 76657468 00000000", message.Written);
    }

    [Fact]
    public void Messages_of_a_batch_follow_one_another()
    {
        var message = new MessageWriter(new byte[128]);
        Link.SetUp(ref message, 1);
        Link.Delete(ref message, 2);
        AssertBytes(
            "20000000 1300 0000 00000000 00000000 00000000 01000000 01000000 01000000" +
            "20000000 1100 0000 00000000 00000000 00000000 02000000 00000000 00000000",
            message.Written);
    }

    [Fact]
    public void What_does_not_fit_is_refused_and_not_cut()
    {
        Assert.Throws<InvalidOperationException>(() =>
        {
            var message = new MessageWriter(new byte[40]);
            message.Header(RTM_SETLINK, 0, default(LinkHeader));
            message.Attribute(IFLA_IFALIAS, "abcde"u8);
        });
    }

    [Fact]
    public void What_an_old_buffer_held_is_not_sent()
    {
        var buffer = new byte[64];
        Array.Fill(buffer, (byte)0xff);
        var message = new MessageWriter(buffer);
        message.Header(RTM_SETLINK, 0, default(LinkHeader));
        message.Attribute(IFLA_IFALIAS, "a"u8);
        Assert.DoesNotContain((byte)0xff, message.Written.ToArray());
    }

    private static void AssertBytes(string expected, ReadOnlySpan<byte> actual) =>
        Assert.Equal(expected.Replace(" ", "", StringComparison.Ordinal), Convert.ToHexStringLower(actual));
}
