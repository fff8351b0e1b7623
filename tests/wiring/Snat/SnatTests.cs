using System.Net;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Nftables;
using AwsVpcCni.Tests.Wiring.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Snat;

/// <summary>Which source what pods send has where it arrives: TCP, UDP and ICMP, by both interfaces.</summary>
public sealed class SnatTests
{
    private static readonly string[] Pods = [SnatVpc.First, SnatVpc.Second];

    /// <summary>What keeps its source under every setting: node b and the VPC's second range, and the pods among themselves.</summary>
    private static IEnumerable<(string, string, IPAddress, IPAddress)> WithinTheVpc() =>
    [
        .. Pods.Select(pod => (pod, "b", TestVpc.AddressOfB, SnatVpc.AddressOf(pod))),
        .. Pods.Select(pod => (pod, "secondcidr", SnatVpc.SecondCidr, SnatVpc.AddressOf(pod))),
        (SnatVpc.First, SnatVpc.Second, SnatVpc.AddressOf(SnatVpc.Second), SnatVpc.AddressOf(SnatVpc.First)),
        (SnatVpc.Second, SnatVpc.First, SnatVpc.AddressOf(SnatVpc.First), SnatVpc.AddressOf(SnatVpc.Second)),
    ];

    private static IEnumerable<(string, string, IPAddress, IPAddress)> ToInternet(Func<string, IPAddress> source) =>
        Pods.Select(pod => (pod, "internet", SnatVpc.Internet, source(pod)));

    private static IEnumerable<(string, string, IPAddress, IPAddress)> ToPeer(Func<string, IPAddress> source) =>
        Pods.Select(pod => (pod, "peer", SnatVpc.Peer, source(pod)));

    [Fact]
    public async Task Out_of_the_VPC_the_source_is_the_nodes_address()
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        await vpc.AssertSourcesAsync([.. ToInternet(_ => SnatVpc.Node), .. ToPeer(_ => SnatVpc.Node), .. WithinTheVpc()]);
    }

    [Fact]
    public async Task With_external_SNAT_it_is_the_pods_own()
    {
        await using var vpc = await SnatVpc.StartAsync(new() { ExternalSnat = true });
        await vpc.AssertSourcesAsync([.. ToInternet(SnatVpc.AddressOf), .. ToPeer(SnatVpc.AddressOf), .. WithinTheVpc()]);
    }

    [Fact]
    public async Task To_an_excluded_range_it_is_the_pods_own()
    {
        await using var vpc = await SnatVpc.StartAsync(new() { SnatExclusions = [Cidr.Parse("10.20.0.0/16"), Cidr.Parse("10.20.0.0/24"), Cidr.Parse("10.0.0.0/8")] });
        await vpc.AssertSourcesAsync([.. ToInternet(_ => SnatVpc.Node), .. ToPeer(SnatVpc.AddressOf), .. WithinTheVpc()]);
    }

    [Fact]
    public async Task With_everything_excluded_nothing_is_translated()
    {
        await using var vpc = await SnatVpc.StartAsync(new() { SnatExclusions = [Cidr.Parse("0.0.0.0/0")] });
        await vpc.AssertSourcesAsync([.. ToInternet(SnatVpc.AddressOf), .. ToPeer(SnatVpc.AddressOf), .. WithinTheVpc()]);
    }

    [Theory]
    [InlineData(SnatPorts.FullyRandom, " fully-random")]
    [InlineData(SnatPorts.Random, " random")]
    [InlineData(SnatPorts.Kept, "")]
    public async Task Ports_may_be_chosen_otherwise(object ports, string rule)
    {
        await using var vpc = await SnatVpc.StartAsync(new() { SnatPorts = (SnatPorts)ports });
        Assert.Contains($"snat to {SnatVpc.Node}{rule}\n", vpc.OnNode(() => Nft.Run("list ruleset")), StringComparison.Ordinal);
        await vpc.AssertSourcesAsync(ToInternet(_ => SnatVpc.Node));
    }

    [Fact]
    public async Task Without_the_table_a_pod_on_a_second_interface_shows_its_own_address()
    {
        await using var vpc = await SnatVpc.StartAsync();
        await vpc.AssertSourcesAsync(ToInternet(SnatVpc.AddressOf)); // So that the tests above show the table's work.
    }

    [Fact]
    public async Task A_range_that_the_VPC_gets_at_run_time_keeps_sources_from_the_next_look_on()
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        await vpc.AssertSourcesAsync(ToPeer(_ => SnatVpc.Node));
        Assert.False(vpc.LookAgain());

        Assert.True(vpc.LookAgain(SnatVpc.Facts with { VpcCidrs = SnatVpc.Facts.VpcCidrs.Add(Cidr.Parse("10.20.0.0/16")) }));
        await vpc.AssertSourcesAsync([.. ToPeer(SnatVpc.AddressOf), .. ToInternet(_ => SnatVpc.Node), .. WithinTheVpc()]);

        Assert.True(vpc.LookAgain());
        await vpc.AssertSourcesAsync(ToPeer(_ => SnatVpc.Node));
    }

    [Fact]
    public async Task An_external_service_is_reached_by_the_primary_interface_from_every_pod()
    {
        await using var vpc = await SnatVpc.StartAsync(new() { ExternalServices = [Cidr.Parse("10.20.0.0/16")], NodePorts = false });
        await vpc.AssertSourcesAsync([.. ToPeer(_ => SnatVpc.Node), .. WithinTheVpc()]);
        var veth = TestNode.Pod(SnatVpc.Second, "10.9.0.41", SnatVpc.Second).HostVeth;
        async Task<string> WayAsync(IPAddress to) => (await vpc.Vpc.RunAsync("a", "ip", "route", "get", to.ToString(), "from", "10.9.0.41", "iif", veth)).Output;
        Assert.Contains("dev eth0", await WayAsync(SnatVpc.Peer), StringComparison.Ordinal); // By rule 1535: this packet has no mark.
        Assert.Contains("dev eth1", await WayAsync(SnatVpc.Internet), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Marks_of_others_survive_in_packets_and_connections()
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        await vpc.NftAsync("a", """
            table ip others {
              counter both { }
              counter lost { }
              chain before { type filter hook prerouting priority -170; iifname "eni*" ct mark set ct mark | 0x1001; iifname "eni*" meta mark set meta mark | 0x4002; }
              chain after { type filter hook postrouting priority 300;
                oifname "eth0" iifname "eni*" meta mark 0x4082 ct mark 0x1081 counter name both
                oifname "eth0" iifname "eni*" meta mark != 0x4082 counter name lost
                oifname "eth0" iifname "eni*" ct mark != 0x1081 counter name lost
              }
            }
            """);
        await vpc.AssertSourcesAsync(ToInternet(_ => SnatVpc.Node));
        var (_, counters) = await vpc.Vpc.RunAsync("a", "nft", "list", "counters", "table", "ip", "others");
        Assert.Contains("counter lost {\n\t\tpackets 0 ", counters, StringComparison.Ordinal);
        Assert.DoesNotContain("counter both {\n\t\tpackets 0 ", counters, StringComparison.Ordinal);
    }
}
