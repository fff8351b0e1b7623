using System.Net.Sockets;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Wiring.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>A second interface in a VPC that drops what leaves by the wrong one, on nodes that check sources strictly.</summary>
public sealed partial class InterfaceSetupTests
{
    [Fact]
    public async Task A_pod_on_it_reaches_pods_and_nodes_and_they_reach_it()
    {
        await AttachAsync();
        await AddPodOfBAsync();
        await _vpc.Fabric.SetHeldAsync("eni-a", [TestVpc.AddressOfA, PodOnFirst], Cancellation);
        Assert.Equal(new ReadyInterface("eth1", IsChanged: true), SetUp());
        await AddPodAsync("pod2", PodOnSecond, PodWiring.TableOf(0, 1));
        await AddPodAsync("pod1", PodOnFirst, PodWiring.MainTable);

        Assert.True(await _vpc.PingAsync("pod2", PodOfB, expected: true));
        Assert.True(await _vpc.PingAsync("podb", PodOnSecond, expected: true));
        Assert.Equal(1_000_000, await _vpc.SendTcpAsync("pod2", "podb", PodOfB, 1_000_000));
        Assert.Equal(1_000_000, await _vpc.SendTcpAsync("podb", "pod2", PodOnSecond, 1_000_000));
        Assert.True(await _vpc.PingAsync("pod2", TestVpc.AddressOfB, expected: true));
        Assert.True(await _vpc.PingAsync("b", PodOnSecond, expected: true));
        Assert.True(await _vpc.PingAsync("a", PodOnSecond, expected: true)); // Its own node: kubelet's probes.
        Assert.True(await _vpc.PingAsync("pod2", TestVpc.AddressOfA, expected: true));
        Assert.True(await _vpc.PingAsync("pod1", PodOnSecond, expected: true)); // Inside the node, between two interfaces' pods.
        Assert.True(await _vpc.PingAsync("pod2", PodOnFirst, expected: true));
        Assert.True(await _vpc.PingAsync("podb", PodOnFirst, expected: true));
        Assert.True(await _vpc.PingAsync("b", Primary, expected: true)); // The interface's own address answers by its own interface,
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true, from: Primary));
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true)); // and the node's by the node's.
        await AssertNothingWasDroppedAsync();

        var (_, strict) = await _vpc.RunAsync("a", "sysctl", "-n", "net.ipv4.conf.eth1.rp_filter");
        Assert.Equal("1", strict.Trim()); // All this under strict checking: left as it was.
    }

    [Fact]
    public async Task A_large_packet_goes_through_undivided()
    {
        await AttachAsync();
        SetUp();
        await AddPodAsync("pod2", PodOnSecond, PodWiring.TableOf(0, 1));

        var (exit, output) = await _vpc.RunAsync("pod2", "ping", "-n", "-q", "-c", "1", "-w", "5", "-M", "do", "-s", "8973", TestVpc.AddressOfB.ToString());
        Assert.True(exit == 0, output);
    }

    [Fact]
    public async Task An_MTU_that_the_device_refuses_leaves_it_ready()
    {
        await AttachAsync();
        await AddPodOfBAsync();
        var ready = OnA(() => InterfaceSetup.Apply(Order, 70_000, Deadline));
        Assert.Equal("eth1", ready?.Name);
        Assert.Contains("set the MTU of eth1 to 70000", ready?.Refused, StringComparison.Ordinal);
        Assert.False(OnA(() => InterfaceSetup.Apply(Order, 70_000, Deadline))!.IsChanged);
        await AddPodAsync("pod2", PodOnSecond, PodWiring.TableOf(0, 1));
        Assert.True(await _vpc.PingAsync("pod2", PodOfB, expected: true));
    }

    [Fact]
    public async Task The_kernel_has_just_what_amazon_vpc_cni_k8s_would_have_made()
    {
        await AttachAsync();
        var before = await SnapshotAsync();
        SetUp();

        var link = Assert.Single(Show("address", "show", "dev", "eth1"));
        Assert.Equal(Mtu, link.GetProperty("mtu").GetInt32());
        Assert.Contains("UP", link.GetProperty("flags").EnumerateArray().Select(flag => flag.GetString()));
        var address = Assert.Single(link.GetProperty("addr_info").EnumerateArray(), address => address.GetProperty("family").GetString() == "inet");
        Assert.Equal(("10.9.0.40", 24), (address.GetProperty("local").GetString(), address.GetProperty("prefixlen").GetInt32()));

        string Describe(JsonElement route) => string.Join(' ', route.EnumerateObject()
            .Where(property => property.Name is "dst" or "gateway" or "dev" or "scope" or "prefsrc").Select(property => $"{property.Name} {property.Value}"));
        Assert.Equal(
            ["dst 10.9.0.1 dev eth1 scope link", "dst default gateway 10.9.0.1 dev eth1 scope global"],
            Show("-4", "route", "show", "table", "2").Select(Describe).Order());
        Assert.Equal(["eth0", "eth0"], Show("-4", "route", "show", "table", "main").Select(route => route.GetProperty("dev").GetString()));
        var rule = Assert.Single(Show("-4", "rule", "show"), rule => rule.GetProperty("priority").GetInt32() == 32765);
        Assert.Equal(("10.9.0.40", "2"), (rule.GetProperty("src").GetString(), rule.GetProperty("table").GetString()));

        // And what was there is there still, but for the link's own state.
        Assert.All(before.LeftOverSince(await SnapshotAsync()), line => Assert.Contains("\"eth1\"", line, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_second_time_changes_nothing_not_even_for_a_moment()
    {
        await AttachAsync();
        await AddPodOfBAsync();
        SetUp();
        await AddPodAsync("pod2", PodOnSecond, PodWiring.TableOf(0, 1));
        var before = await SnapshotAsync();
        using var monitor = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(
            "ip", ["-n", $"{_vpc.Prefix}-a", "monitor", "link", "address", "route", "rule"]) { RedirectStandardOutput = true })!;
        try
        {
            // What the monitor says first is this route of ours, so it listens when the calls begin; and last, so it has said all.
            await WaitForRouteAsync(monitor, "10.99.0.1");
            Assert.Equal(new ReadyInterface("eth1", IsChanged: false), SetUp());
            Assert.Equal(new ReadyInterface("eth1", IsChanged: false), SetUp());
            await _vpc.IpAsync("a", "route add blackhole 10.99.0.2/32");
            Assert.Contains("10.99.0.2", await monitor.StandardOutput.ReadLineAsync(Cancellation), StringComparison.Ordinal);
        }
        finally
        {
            monitor.Kill();
            await monitor.WaitForExitAsync(CancellationToken.None);
        }

        await _vpc.IpAsync("a", "route del blackhole 10.99.0.1/32", "route del blackhole 10.99.0.2/32");
        Assert.Empty((await SnapshotAsync()).LeftOverSince(before));
        Assert.Empty(before.LeftOverSince(await SnapshotAsync()));
    }

    [Fact]
    public async Task Before_it_is_attached_there_is_nothing_to_set_up()
    {
        var before = await SnapshotAsync();
        Assert.Null(SetUp());
        Assert.Empty((await SnapshotAsync()).LeftOverSince(before));

        await AttachAsync();
        Assert.NotNull(SetUp());
    }

    [Fact]
    public async Task The_way_back_leaves_nothing_and_may_be_gone_twice()
    {
        var before = await SnapshotAsync();
        await AttachAsync();
        SetUp();
        Remove();
        Remove();
        Assert.DoesNotContain(Show("-4", "route", "show", "table", "all"), route => route.TryGetProperty("table", out var table) && table.GetString() == "2");
        Assert.DoesNotContain(Show("-4", "rule", "show"), rule => rule.GetProperty("priority").GetInt32() == 32765);
        await _vpc.Fabric.DetachInterfaceAsync(Eni, Cancellation);

        Assert.Empty((await SnapshotAsync()).LeftOverSince(before));
        Assert.Empty(before.LeftOverSince(await SnapshotAsync()));
    }

    [Fact]
    public async Task The_way_back_after_the_link_has_gone_leaves_nothing()
    {
        var before = await SnapshotAsync();
        await AttachAsync();
        SetUp();
        await _vpc.Fabric.DetachInterfaceAsync(Eni, Cancellation);
        Assert.Single((await SnapshotAsync()).LeftOverSince(before)); // The rule: the kernel does not take it with the link.
        Assert.Null(SetUp());
        Remove();

        Assert.Empty((await SnapshotAsync()).LeftOverSince(before));
    }

    [Fact]
    public async Task The_way_back_spares_the_interface_that_has_its_place_by_now()
    {
        await AttachAsync();
        SetUp();
        await _vpc.Fabric.DetachInterfaceAsync(Eni, Cancellation);
        var next = new InterfaceOrder("eni-a2", "02:00:0a:09:00:32", 1, 0, Ip.Parse("10.9.0.50"), Order.SubnetCidr);
        await _vpc.Fabric.AttachInterfaceAsync("i-a", next.EniId, next.Mac, 1, TestVpc.Subnet, next.PrimaryAddress.ToIPAddress(), Cancellation);
        SetUp(next);
        Remove();

        Assert.Equal(new ReadyInterface("eth1", IsChanged: false), SetUp(next));
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true, from: next.PrimaryAddress.ToIPAddress()));
        Assert.Single(Show("-4", "rule", "show"), rule => rule.GetProperty("priority").GetInt32() == 32765);
    }

    /// <summary>Every state in which a killed executor can leave the interface, and what other programs make of one.</summary>
    [Theory]
    [InlineData("link set eth1 up")]
    [InlineData("link set eth1 up", "address add 10.9.0.40/24 dev eth1 noprefixroute")]
    [InlineData("link set eth1 up", "address add 10.9.0.40/24 dev eth1")] // With its subnet's route in table main.
    [InlineData("link set eth1 up", "address add 10.9.0.40/24 dev eth1 noprefixroute", "route add 10.9.0.1 dev eth1 table 2")]
    [InlineData("link set eth1 up", "address add 10.9.0.40/24 dev eth1 noprefixroute", "route add 10.9.0.1 dev eth1 table 2", "route add default via 10.9.0.1 dev eth1 table 2")]
    [InlineData("rule add from 10.9.0.40 lookup 2 priority 32765")]
    [InlineData("rule add from 10.9.0.40 lookup 3 priority 32765")]
    [InlineData("link set eth1 up", "address add 10.9.0.41/24 dev eth1", "address add 10.9.0.40/24 dev eth1", "address add 10.9.0.42/32 dev eth1")] // A DHCP client.
    [InlineData("link set eth1 up", "address add 10.9.0.40/24 dev eth1", "route add default via 10.9.0.1 dev eth1 metric 513")] // systemd-networkd, for an interface that was there before nodeadm.
    [InlineData("address add 10.9.0.40/32 dev eth1", "link set eth1 up mtu 1500")]
    [InlineData("link set eth1 up", "address add 10.9.0.40/24 dev eth1", "route add 10.9.0.77 dev eth1 table 2", "route add default via 10.9.0.77 dev eth1 table 2", "route del 10.9.0.77 dev eth1 table 2")]
    public async Task What_is_half_done_or_done_otherwise_is_completed(params string[] found)
    {
        await AttachAsync();
        await AddPodOfBAsync();
        SetUp();
        var whole = await SnapshotAsync();
        Remove();
        await _vpc.IpAsync("a", "address flush dev eth1", "link set eth1 down");
        await _vpc.IpAsync("a", found);

        Assert.Equal(new ReadyInterface("eth1", IsChanged: true), SetUp());
        Assert.Equal(new ReadyInterface("eth1", IsChanged: false), SetUp());
        var completed = await SnapshotAsync();
        Assert.DoesNotContain(whole.LeftOverSince(completed).Concat(completed.LeftOverSince(whole)),
            line => !line.StartsWith("address", StringComparison.Ordinal)); // An address may keep its flags.
        await AddPodAsync("pod2", PodOnSecond, PodWiring.TableOf(0, 1));
        Assert.True(await _vpc.PingAsync("pod2", PodOfB, expected: true));
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true, from: Primary));
        await AssertNothingWasDroppedAsync();
    }

    [Fact]
    public async Task Without_it_the_VPC_drops_what_the_pod_sends()
    {
        await AttachAsync();
        await AddPodOfBAsync();
        await AddPodAsync("pod2", PodOnSecond, PodWiring.MainTable); // As if the table were not known.

        Assert.False(await _vpc.PingAsync("pod2", PodOfB, expected: false));
        Assert.NotEqual(0, (await _vpc.Fabric.DropCountersAsync(Cancellation))["eni-a"].ForeignSource);
    }

    [Fact]
    public async Task What_comes_in_for_an_address_without_a_pod_is_not_sent_on()
    {
        await AttachAsync();
        await AddPodOfBAsync();
        SetUp();

        Assert.False(await _vpc.PingAsync("podb", PodOnSecond, expected: false));
        await AssertNothingWasDroppedAsync();

        // Why checking is left strict: with loose, the node sends it on by its first interface, with a source that it does not hold.
        await _vpc.RunAsync("a", "sysctl", "-qw", "net.ipv4.conf.eth1.rp_filter=2");
        Assert.False(await _vpc.PingAsync("podb", PodOnSecond, expected: false));
        Assert.NotEqual(0, (await _vpc.Fabric.DropCountersAsync(Cancellation))["eni-a"].ForeignSource);
    }

    [Fact]
    public async Task A_refusal_says_what_and_why()
    {
        await _vpc.IpAsync("a", "link add under0 type veth peer name under1", $"link add eth1 address {Mac} type vxlan id 5 dev under0 dstport 4789");
        using var taken = OnA(() => new UdpClient(4789)); // Of the link, which cannot go up without it.
        var refused = Assert.Throws<WiringException>(() => SetUp());

        Assert.Contains("eni-a1 (02:00:0a:09:00:28, device 1 of card 0) cannot be set up: set eth1 up: Address already in use", refused.Message, StringComparison.Ordinal);
    }
}
