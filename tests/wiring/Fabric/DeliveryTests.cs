using System.Net;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Fabric;

/// <summary>Controls of the fabric that every other test relies on: what it delivers, and above all what it does not.</summary>
public sealed class DeliveryTests : IAsyncLifetime
{
    private static readonly IPAddress Extra = IPAddress.Parse("10.9.0.99");
    private TestVpc _vpc = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _vpc = await TestVpc.StartAsync();

    public ValueTask DisposeAsync() => _vpc.DisposeAsync();

    [Fact]
    public async Task Two_nodes_talk()
    {
        const int bytes = 8_000_000; // Enough for segments of 64 KB, which a wrong checksum or size check would drop.

        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true));
        Assert.Equal(bytes, await _vpc.SendTcpAsync("a", "b", TestVpc.AddressOfB, bytes));
        Assert.All((await _vpc.Fabric.DropCountersAsync(Cancellation)).Values, counters => Assert.Equal(new(0, 0, 0), counters));
    }

    [Fact]
    public async Task Nodes_of_two_subnets_talk_through_their_gateways()
    {
        var address = IPAddress.Parse("10.9.1.30");
        await _vpc.Fabric.AddNodeAsync("i-c", "c", Cancellation);
        await _vpc.Fabric.AttachInterfaceAsync("i-c", "eni-c", "02:00:0a:09:01:1e", 0, IPNetwork.Parse("10.9.1.0/24"), address, Cancellation);

        Assert.True(await _vpc.PingAsync("a", address, expected: true));
    }

    [Fact]
    public async Task A_packet_with_a_foreign_source_is_dropped_and_counted()
    {
        await _vpc.IpAsync("a", $"address add {Extra}/32 dev lo");

        Assert.False(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: false, from: Extra));
        var counters = await _vpc.Fabric.DropCountersAsync(Cancellation);
        Assert.Equal(1, counters["eni-a"].ForeignSource);
        Assert.Equal(0, counters["eni-b"].ForeignSource);

        await _vpc.Fabric.SetHeldAsync("eni-a", [TestVpc.AddressOfA, Extra], Cancellation);
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true, from: Extra));
    }

    [Fact]
    public async Task A_frame_with_a_foreign_mac_is_dropped_and_counted()
    {
        await _vpc.IpAsync("a", "link set eth0 address 02:00:00:00:00:01");

        Assert.False(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: false));
        Assert.NotEqual(0, (await _vpc.Fabric.DropCountersAsync(Cancellation))["eni-a"].ForeignMac);

        await _vpc.IpAsync("a", $"link set eth0 address {TestVpc.MacOfA}");
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true));
    }

    [Fact]
    public async Task An_address_is_not_delivered_to_an_interface_that_does_not_hold_it()
    {
        await _vpc.IpAsync("b", $"address add {Extra}/24 dev eth0"); // B would answer for it, were it asked.

        Assert.False(await _vpc.PingAsync("a", Extra, expected: false));
        Assert.Equal(1, (await _vpc.Fabric.DropCountersAsync(Cancellation))["eni-a"].NotHeld);

        await _vpc.Fabric.SetHeldAsync("eni-b", [TestVpc.AddressOfB, Extra], Cancellation);
        Assert.True(await _vpc.PingAsync("a", Extra, expected: true));
    }

    [Theory]
    [InlineData(true)] // EC2's order: unassigned there, then assigned here.
    [InlineData(false)] // Told the other way round, or with AllowReassignment: the last word counts.
    public async Task A_moved_address_is_delivered_to_its_new_holder_only(bool takenFirst)
    {
        await _vpc.Fabric.AddNodeAsync("i-c", "c", Cancellation);
        await _vpc.Fabric.AttachInterfaceAsync("i-c", "eni-c", "02:00:0a:09:00:1e", 0, TestVpc.Subnet, IPAddress.Parse("10.9.0.30"), Cancellation);
        await _vpc.Fabric.SetHeldAsync("eni-b", [TestVpc.AddressOfB, Extra], Cancellation);
        await _vpc.IpAsync("b", $"address add {Extra}/32 dev lo");
        Assert.True(await _vpc.PingAsync("a", Extra, expected: true));

        if (takenFirst)
        {
            await _vpc.Fabric.SetHeldAsync("eni-b", [TestVpc.AddressOfB], Cancellation);
        }

        await _vpc.Fabric.SetHeldAsync("eni-c", [IPAddress.Parse("10.9.0.30"), Extra], Cancellation);
        await _vpc.Fabric.SetHeldAsync("eni-b", [TestVpc.AddressOfB], Cancellation);

        Assert.False(await _vpc.PingAsync("a", Extra, expected: false)); // B still has it, C has not configured it yet.
        await _vpc.IpAsync("c", $"address add {Extra}/32 dev lo");
        Assert.True(await _vpc.PingAsync("a", Extra, expected: true));
    }

    [Fact]
    public async Task Pods_on_two_nodes_talk_by_addresses_that_their_nodes_do_not_have_themselves()
    {
        IPAddress[] pods = [IPAddress.Parse("10.9.0.11"), IPAddress.Parse("10.9.0.21")];
        await _vpc.Fabric.SetHeldAsync("eni-a", [TestVpc.AddressOfA, pods[0]], Cancellation);
        await _vpc.Fabric.SetHeldAsync("eni-b", [TestVpc.AddressOfB, pods[1]], Cancellation);
        await _vpc.AddPodAsync("a", "poda", pods[0]);
        await _vpc.AddPodAsync("b", "podb", pods[1]);

        Assert.True(await _vpc.PingAsync("poda", pods[1], expected: true));
        Assert.Equal(1_000_000, await _vpc.SendTcpAsync("poda", "podb", pods[1], 1_000_000));
    }

    [Fact]
    public async Task A_second_interface_arrives_unconfigured_and_accepts_its_own_addresses_only()
    {
        var address = IPAddress.Parse("10.9.0.40");
        const string mac = "02:00:0a:09:00:28";
        await _vpc.Fabric.AttachInterfaceAsync("i-a", "eni-a1", mac, 1, TestVpc.Subnet, address, Cancellation);

        var (_, link) = await _vpc.RunAsync("a", "ip", "address", "show", "dev", "eth1");
        Assert.Contains("mtu 9001", link, StringComparison.Ordinal);
        Assert.Contains("state DOWN", link, StringComparison.Ordinal);
        Assert.Contains(mac, link, StringComparison.Ordinal);
        Assert.DoesNotContain("inet", link, StringComparison.Ordinal);

        // Without a rule of its own, what has this source leaves by eth0, which does not hold it.
        await _vpc.IpAsync("a", $"address add {address}/32 dev eth1", "link set eth1 up");
        Assert.False(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: false, from: address));
        Assert.Equal(1, (await _vpc.Fabric.DropCountersAsync(Cancellation))["eni-a"].ForeignSource);

        await _vpc.IpAsync("a", "route add 10.9.0.1 dev eth1 table 2", "route add default via 10.9.0.1 dev eth1 table 2", $"rule add from {address} table 2");
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true, from: address));
        Assert.True(await _vpc.PingAsync("b", address, expected: true));
    }

    [Fact]
    public async Task A_detached_interface_is_gone_and_its_addresses_with_it()
    {
        await _vpc.Fabric.DetachInterfaceAsync("eni-b", Cancellation);

        Assert.False(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: false));
        Assert.Equal(["eni-a"], (await _vpc.Fabric.DropCountersAsync(Cancellation)).Keys);
        Assert.Equal(1, (await _vpc.Fabric.DropCountersAsync(Cancellation))["eni-a"].NotHeld);
        Assert.NotEqual(0, (await _vpc.RunAsync("b", "ip", "link", "show", "eth0")).Exit);

        await _vpc.Fabric.AttachInterfaceAsync("i-b", "eni-b", "02:00:0a:09:00:14", 0, TestVpc.Subnet, TestVpc.AddressOfB, Cancellation);
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true));
    }
}
