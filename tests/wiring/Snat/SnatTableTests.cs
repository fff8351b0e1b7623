using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Nftables;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Snat;

/// <summary>The table itself: when it is there, what it says, and how it is replaced.</summary>
public sealed class SnatTableTests
{
    private static readonly HostNetworkSettings Nothing = new() { ExternalSnat = true, NodePorts = false };

    private static string Listed(SnatVpc vpc) => vpc.OnNode(() => Nft.Run("list ruleset"));

    private static string Rules(SnatVpc vpc) => TestNode.Run("ip", "-n", $"{vpc.Vpc.Prefix}-a", "rule");

    [Fact]
    public async Task It_says_what_the_README_says()
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        Assert.Equal(
            """
            table ip aws-vpc-cni {
            	set kept {
            		type ipv4_addr
            		flags interval
            		elements = { 10.9.0.0/16, 100.64.0.0/16 }
            	}

            	chain restore {
            		type filter hook prerouting priority mangle; policy accept;
            		iifname "eth0" fib daddr . iif type local ct mark set ct mark | 0x00000080
            		iifname "eni*" ct mark & 0x00000080 == 0x00000080 meta mark set meta mark | 0x00000080
            	}

            	chain egress {
            		type filter hook prerouting priority dstnat + 10; policy accept;
            		iifname "eni*" ct state new ct status ! confirmed ip daddr != @kept fib daddr type != local ct mark set ct mark | 0x00000080 meta mark set meta mark | 0x00000080
            	}

            	chain translate {
            		type nat hook postrouting priority srcnat + 10; policy accept;
            		ip daddr != @kept fib daddr type != local snat to 10.9.0.10 fully-random
            	}
            }

            """, Listed(vpc));
        Assert.Contains("1024:\tfrom all fwmark 0x80/0x80 lookup main", Rules(vpc), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_is_gone_when_nothing_is_translated_or_marked_and_so_is_its_rule()
    {
        await using var vpc = await SnatVpc.StartAsync();
        var before = Rules(vpc);
        vpc.Apply(new() { ExternalServices = [Cidr.Parse("192.0.2.0/24")], Mark = 0x100 });
        Assert.Contains("1024:\tfrom all fwmark 0x100/0x100 lookup main", Rules(vpc), StringComparison.Ordinal);
        Assert.Contains("1535:\tfrom all to 192.0.2.0/24 lookup main", Rules(vpc), StringComparison.Ordinal);
        vpc.Apply(new() { ExternalServices = [Cidr.Parse("203.0.113.0/24")] });
        Assert.DoesNotContain("0x100", Rules(vpc), StringComparison.Ordinal);
        Assert.DoesNotContain("192.0.2.0", Rules(vpc), StringComparison.Ordinal);

        vpc.Apply(Nothing);
        Assert.Equal(("", before), (Listed(vpc), Rules(vpc)));
    }

    [Fact]
    public async Task Rules_of_other_settings_go_at_the_start_and_what_others_add_later_stays()
    {
        await using var vpc = await SnatVpc.StartAsync();
        string[] others = ["1024:\tfrom all fwmark 0x40/0x40 lookup main", "1535:\tfrom all to 198.51.100.0/24 lookup main"];
        Task AddAsync() => vpc.Vpc.IpAsync("a", "rule add priority 1024 fwmark 0x40/0x40 lookup main", "rule add priority 1535 to 198.51.100.0/24 lookup main");
        await AddAsync();
        vpc.Apply(new());
        Assert.All(others, rule => Assert.DoesNotContain(rule, Rules(vpc), StringComparison.Ordinal));
        await AddAsync();
        vpc.LookAgain();
        Assert.All(others, rule => Assert.Contains(rule, Rules(vpc), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("flush chain ip aws-vpc-cni egress")]
    [InlineData("delete table ip aws-vpc-cni")]
    [InlineData("add rule ip aws-vpc-cni restore drop")]
    [InlineData("delete element ip aws-vpc-cni kept { 100.64.0.0/16 }")]
    public async Task What_others_do_to_it_is_undone_at_the_next_look(string change)
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        var whole = Listed(vpc);
        vpc.OnNode(() => Nft.Run(change));
        Assert.NotEqual(whole, Listed(vpc));
        Assert.True(vpc.LookAgain());
        Assert.Equal(whole, Listed(vpc));
        Assert.False(vpc.LookAgain());
    }

    /// <summary>By packets and not by a listing, which the kernel may begin between a transaction's number and its effect, so that it has a part of each table.</summary>
    [Fact]
    public async Task Connections_that_begin_while_it_is_replaced_meet_one_table_or_the_other()
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        PrimaryFacts[] facts = [SnatVpc.Facts, SnatVpc.Facts with { VpcCidrs = SnatVpc.Facts.VpcCidrs.Add(Cidr.Parse("10.20.0.0/16")) }];
        var isOver = false;
        var asking = Task.Run(async () =>
        {
            List<string?> seen = [];
            while (!Volatile.Read(ref isOver) || seen.Count < 100)
            {
                seen.Add(await vpc.SourceSeenAsync(SnatVpc.Second, "udp", "internet", SnatVpc.Internet));
            }

            return seen;
        });
        try
        {
            for (var replaced = 1; replaced <= 1000; replaced++)
            {
                Assert.True(vpc.LookAgain(facts[replaced % 2]));
            }
        }
        finally
        {
            Volatile.Write(ref isOver, true);
        }

        var all = await asking;
        Assert.All(all, seen => Assert.Equal(SnatVpc.Node.ToString(), seen));
        await vpc.AssertNothingWasDroppedAsync();
    }

    [Fact]
    public async Task A_connection_outlives_replacements()
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        using var ping = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(
            "nsenter", [$"--net={vpc.Vpc.PathOf(SnatVpc.Second)}", "ping", "-n", "-q", "-i", "0.005", "-c", "400", "-W", "2", SnatVpc.Internet.ToString()]) { RedirectStandardOutput = true })!;
        for (var replaced = 0; !ping.HasExited; replaced++)
        {
            vpc.LookAgain(SnatVpc.Facts with { VpcCidrs = [Cidr.Parse("10.9.0.0/16"), new Cidr(Ip.Parse("10.30.0.0") + (replaced % 2 << 8), 24)] });
        }

        var said = await ping.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.Contains("400 received", said, StringComparison.Ordinal);
        await vpc.AssertNothingWasDroppedAsync();
    }

    [Fact]
    public async Task Links_with_another_prefix_are_pods_too()
    {
        await using var vpc = await SnatVpc.StartAsync(new() { VethPrefix = "aws" });
        Assert.Contains("iifname \"aws*\" ct mark", Listed(vpc), StringComparison.Ordinal);
    }
}
