using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Wiring;

public sealed class PodRoutingTests
{
    private static readonly Route Default = new(Cidr.Parse("0.0.0.0/0"), Ip.Parse("192.168.0.1"), PodWiring.MainTable);

    [Fact]
    public void A_pod_without_a_default_route_gets_one_in_table_main()
    {
        Assert.Equal(0, PodRouting.For("net2", [NextHop(2)])!.Index);
        Assert.Null(PodRouting.First.RuleOf(Ip.Parse("10.0.0.5")));
        Assert.All(PodRouting.First.Routes, route => Assert.Equal(PodWiring.MainTable, route.Table));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2, 1, 2)]
    [InlineData(1, 1, 3)] // A network between two has gone.
    public void Another_one_takes_the_first_free_number_for_next_hop_and_table(int index, params int[] taken)
    {
        var routing = PodRouting.For("net1", [Default, .. taken.Select(NextHop)])!;

        Assert.Equal((index, Ip.Parse("169.254.1.1") + index), (routing.Index, routing.Gateway));
        Assert.Equal(new Rule(1, Ip.Parse("10.0.0.5"), null, index), routing.RuleOf(Ip.Parse("10.0.0.5")));
        Assert.DoesNotContain(routing.Routes, route => route is { Table: PodWiring.MainTable, Via: not null });
    }

    [Theory]
    [InlineData("eth0", true, false, 0)] // Beside another product's default route.
    [InlineData("eth0", true, true, 1)] // An interface of ours was there before it: that one is the default.
    [InlineData("eth0", false, true, 1)]
    [InlineData("net1", false, true, 1)] // The default is on its way, or was taken away: its next hop is another's all the same.
    public void A_next_hop_is_never_given_twice(string ifName, bool hasDefault, bool isFirstTaken, int index) =>
        Assert.Equal(index, PodRouting.For(ifName, [.. hasDefault ? [Default] : Array.Empty<Route>(), .. isFirstTaken ? [NextHop(1)] : Array.Empty<Route>()])!.Index);

    [Fact]
    public void The_numbers_end_before_the_kernels_own_tables()
    {
        Assert.Equal(200, PodRouting.For("net1", [Default, .. Enumerable.Range(1, 200).Select(NextHop)])!.Index);
        Assert.Null(PodRouting.For("net1", [Default, .. Enumerable.Range(1, 201).Select(NextHop)]));
    }

    [Theory]
    [InlineData("169.254.1.1", 0)]
    [InlineData("169.254.1.201", 200)]
    [InlineData("169.254.1.202", null)]
    [InlineData("169.254.1.0", null)]
    [InlineData("10.0.0.1", null)]
    public void A_results_gateway_tells_it(string gateway, int? index) => Assert.Equal(index, PodRouting.Of(Ip.Parse(gateway))?.Index);

    private static Route NextHop(int number) => new(new Cidr(Ip.Parse("169.254.1.0") + number, 32), null, PodWiring.MainTable);
}
