using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Fabric;

/// <summary>Controls of the leftover checker: it finds what was planted, and nothing when nothing was.</summary>
public sealed class NamespaceSnapshotTests : IAsyncLifetime
{
    private TestVpc _vpc = null!;

    public async ValueTask InitializeAsync() => _vpc = await TestVpc.StartAsync();

    public ValueTask DisposeAsync() => _vpc.DisposeAsync();

    [Theory]
    [InlineData("rule add from 10.9.0.77 lookup main priority 512", "rule del priority 512", "rule -4", "10.9.0.77")]
    [InlineData("-6 rule add from fd00::77 lookup main", "-6 rule del from fd00::77", "rule -6", "fd00::77")]
    [InlineData("route add 10.77.0.0/16 dev eth0 table 7", "route flush table 7", "route -4", "\"table\":\"7\"")]
    [InlineData("-6 route add fd77::/64 dev eth0 table 7", "-6 route flush table 7", "route -6", "fd77::/64")]
    [InlineData("address add 10.9.0.77/32 dev lo", "address del 10.9.0.77/32 dev lo", "address lo", "10.9.0.77")]
    [InlineData("neighbour add 10.9.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent", "neighbour del 10.9.0.77 dev eth0", "neighbour -4", "10.9.0.77")]
    [InlineData("neighbour add proxy 10.9.0.77 dev eth0", "neighbour del proxy 10.9.0.77 dev eth0", "neighbour -4", "10.9.0.77")]
    [InlineData("link add eni77 type veth peer name eni78", "link del eni77", "link", "\"eni77\"")]
    public async Task It_finds_what_is_planted_with_ip(string plant, string remove, string kind, string what)
    {
        var before = await SnapshotAsync();

        await _vpc.IpAsync("a", plant);

        Assert.Contains((await SnapshotAsync()).LeftOverSince(before), line =>
            line.StartsWith(kind, StringComparison.Ordinal) && line.Contains(what, StringComparison.Ordinal));

        await _vpc.IpAsync("a", remove);

        Assert.Empty((await SnapshotAsync()).LeftOverSince(before));
    }

    [Fact]
    public async Task It_finds_a_planted_nftables_rule_in_a_chain_that_was_there()
    {
        await NftAsync("add table ip t; add chain ip t c; add rule ip t c ip saddr 10.9.0.1 counter accept");
        var before = await SnapshotAsync();

        await NftAsync("add rule ip t c ip saddr 10.9.0.77 counter accept");

        var left = Assert.Single((await SnapshotAsync()).LeftOverSince(before));
        Assert.StartsWith("nft rule", left, StringComparison.Ordinal);
        Assert.Contains("10.9.0.77", left, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_counts_a_second_rule_like_the_first()
    {
        await NftAsync("add table ip t; add chain ip t c; add rule ip t c counter accept");
        var before = await SnapshotAsync();

        await NftAsync("add rule ip t c counter accept");

        Assert.Single((await SnapshotAsync()).LeftOverSince(before));
    }

    [Fact]
    public async Task Traffic_and_a_link_that_came_and_went_are_no_leftovers()
    {
        await NftAsync("add table ip t; add chain ip t c { type filter hook output priority 0; }; add rule ip t c counter accept");
        var before = await SnapshotAsync();

        await _vpc.IpAsync("a", "link add eni77 type veth peer name eni78", "link del eni77");
        Assert.True(await _vpc.PingAsync("a", TestVpc.AddressOfB, expected: true));

        Assert.Empty((await SnapshotAsync()).LeftOverSince(before));
    }

    private Task<NamespaceSnapshot> SnapshotAsync() => NamespaceSnapshot.TakeAsync($"{_vpc.Prefix}-a", TestContext.Current.CancellationToken);

    private async Task NftAsync(string commands)
    {
        var (exit, output) = await _vpc.RunAsync("a", "nft", commands);
        Assert.True(exit == 0, output);
    }
}
