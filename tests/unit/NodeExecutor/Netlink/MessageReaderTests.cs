using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;
using CsCheck;
using Xunit;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Netlink;

public sealed class MessageReaderTests
{
    [Fact]
    public void What_was_written_is_read()
    {
        var message = new MessageWriter(new byte[256]);
        new Route(Cidr.Parse("10.0.0.5/32"), null, 3).Replace(ref message, 7);
        Link.SetAlias(ref message, 9, "web");

        var reader = new MessageReader(message.Written);
        Assert.True(reader.NextMessage(out var header, out var body));
        Assert.Equal(RTM_NEWROUTE, header.Type);
        Assert.Equal(32, body.Read<RouteHeader>().DestinationBits);
        Assert.True(body.NextAttribute(out var type, out var value));
        Assert.Equal((RTA_DST, Ip.Parse("10.0.0.5")), (type, MessageReader.Address(value)));
        Assert.True(body.NextAttribute(out type, out value));
        Assert.Equal((RTA_OIF, 7u), (type, MessageReader.UInt32(value)));
        Assert.True(body.NextAttribute(out type, out value));
        Assert.Equal((RTA_TABLE, 3u), (type, MessageReader.UInt32(value)));
        Assert.False(body.NextAttribute(out _, out _));

        Assert.True(reader.NextMessage(out header, out body));
        Assert.Equal(9, body.Read<LinkHeader>().Index);
        Assert.True(body.NextAttribute(out type, out value));
        Assert.Equal((IFLA_IFALIAS, "web"), (type, MessageReader.Text(value)));
        Assert.False(reader.NextMessage(out _, out _));
    }

    [Fact]
    public void The_flag_bits_of_a_type_are_not_the_type()
    {
        var reader = new MessageReader([4, 0, 0x12, 0x80]); // NLA_F_NESTED
        Assert.True(reader.NextAttribute(out var type, out _));
        Assert.Equal(IFLA_LINKINFO, type);
    }

    [Theory]
    [InlineData(new byte[] { 16, 0, 0, 0 })] // Shorter than a header.
    [InlineData(new byte[] { 15, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 })] // Says less than its own header: would never end.
    [InlineData(new byte[] { 17, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 })] // Says more than there is.
    [InlineData(new byte[] { 255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 })]
    public void A_message_of_a_wrong_length_is_refused(byte[] bytes) =>
        Assert.Throws<InvalidDataException>(() => new MessageReader(bytes).NextMessage(out _, out _));

    [Theory]
    [InlineData(new byte[] { 4, 0, 1 })]
    [InlineData(new byte[] { 3, 0, 1, 0 })]
    [InlineData(new byte[] { 9, 0, 1, 0, 1, 2, 3, 4 })]
    public void An_attribute_of_a_wrong_length_is_refused(byte[] bytes) =>
        Assert.Throws<InvalidDataException>(() => new MessageReader(bytes).NextAttribute(out _, out _));

    /// <summary>Random bytes, and written messages with some bytes changed: each walk ends, within the bytes or with a refusal.</summary>
    [Fact]
    public void No_bytes_make_it_read_outside_or_run_on_for_ever()
    {
        var damaged = Gen.Select(Gen.Int[0, 159], Gen.Byte).Array[1, 6].Select(changes =>
        {
            var bytes = new byte[160];
            var message = new MessageWriter(bytes);
            new Route(Cidr.Parse("10.0.0.5/32"), Ip.Parse("10.0.0.1"), 3).Replace(ref message, 7);
            new Rule(512, null, Ip.Parse("10.0.0.5"), 254).Add(ref message);
            Link.SetAlias(ref message, 9, "web");
            foreach (var (at, value) in changes)
            {
                bytes[at] = value;
            }

            return bytes[..message.Written.Length];
        });

        Gen.OneOf(Gen.Byte.Array[0, 200], damaged).Sample(bytes =>
        {
            try
            {
                Assert.InRange(Walk(bytes), 0, bytes.Length / 4);
            }
            catch (InvalidDataException)
            {
                // The only way to refuse.
            }
        });
    }

    private static int Walk(byte[] bytes)
    {
        var steps = 0;
        var reader = new MessageReader(bytes);
        while (reader.NextMessage(out _, out var body))
        {
            steps++;
            while (body.NextAttribute(out _, out var value))
            {
                steps++;
                MessageReader.Text(value);
                if (value.Length == 4)
                {
                    MessageReader.Address(value);
                }
            }
        }

        return steps;
    }
}
