using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Addressing;

public sealed class BlockTests
{
    [Theory]
    [InlineData("10.0.0.9", 1, "10.0.0.9", "10.0.0.9")]
    [InlineData("10.0.0.16/28", 16, "10.0.0.16", "10.0.0.31")]
    public void A_block_is_its_text_and_its_addresses(string text, int size, string first, string last)
    {
        var block = JsonSerializer.Deserialize<Block>($"\"{text}\"");

        Assert.Equal(size, block.Size);
        Assert.Equal([first, last], [block.Addresses.First().ToString(), block.Addresses.Last().ToString()]);
        Assert.Equal($"\"{text}\"", JsonSerializer.Serialize(block));
        Assert.Equal(block.IsPrefix, Block.PrefixOf(block.Addresses.Last()) == block);
        Assert.All(block.Addresses, address => Assert.True(block.Contains(address)));
        Assert.False(block.Contains(Ip.Parse(last) + 1));
        Assert.False(block.Contains(Ip.Parse(first) + -1));
    }

    [Theory]
    [InlineData("10.0.0.17/28")]
    [InlineData("10.0.0.0/27")]
    [InlineData("ten")]
    [InlineData("")]
    public void Anything_else_is_no_block(string text) => Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Block>($"\"{text}\""));
}
