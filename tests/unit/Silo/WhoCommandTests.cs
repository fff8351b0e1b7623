using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Silo.Cli;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Silo;

public sealed class WhoCommandTests
{
    private static readonly DateTimeOffset Then = new(2026, 11, 29, 14, 2, 0, TimeSpan.Zero);

    private static readonly AddressRow Row = new()
    {
        NodeId = "i-1", Address = Ip.Parse("10.0.1.17"), Sandbox = new SandboxKey("sandbox", "eth0"), Pod = new PodName("shop", "web", "uid"), Stamp = new Stamp(1, 2), Since = Then,
    };

    [Fact]
    public void Nobody_is_said_only_where_no_node_may_know_of_somebody()
    {
        Assert.Equal(["No pod of a node of ours."], Lines(new AddressHolders("subnet-1", [], [])));
        Assert.Equal(["No pod of a node of ours."], Lines(new AddressHolders("subnet-1", [])));
        Assert.Equal(
            ["Not known: whether a pod of i-1 has or had it; its grain has had no report since 2026-11-29T14:02:00.000Z.", "Not known: whether a pod of i-2 has it; its grain does not answer, or is on a silo of the build before."],
            Lines(new AddressHolders("subnet-1", [], [new NotHeard("i-1", Then), new NotHeard("i-2", null)])));
    }

    [Fact]
    public void A_node_that_may_know_more_stands_under_the_table()
    {
        var lines = Lines(new AddressHolders("subnet-1", [Row], [new NotHeard("i-1", Then)]));
        Assert.Equal(3, lines.Length);
        Assert.Contains("shop/web", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("Not known: whether a pod of i-1", lines[2], StringComparison.Ordinal);
    }

    private static string[] Lines(AddressHolders answer)
    {
        using var output = new StringWriter();
        WhoCommand.Show([answer], output);
        return output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
