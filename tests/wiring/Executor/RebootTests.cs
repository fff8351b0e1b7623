using System.Diagnostics;
using System.Text.RegularExpressions;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Nftables;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>The machine starts anew: its disk has all of before, its kernel nothing.</summary>
public sealed partial class RebootTests
{
    private static readonly TimeSpan Cooldown = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Pods_of_before_are_ended_all_addresses_rest_and_the_second_interface_comes_back()
    {
        await using var node = await ExecutorNode.StartAsync();
        node.Silo.Policy = new NodePolicy((int)Cooldown.TotalSeconds, 0);
        node.Silo.Second = SecondInterfaceTests.Second;
        SecondInterfaceTests.Attach(node);
        var both = SecondInterfaceTests.BothAsync(node);
        var executor = await node.RunAsync();
        await both;
        await executor.SaysAsync("This node can serve");
        var laid = Laid(node);
        Assert.Contains("32765:\tfrom 10.0.0.60 lookup 2", laid, StringComparison.Ordinal);
        string[] pods = [node.AddPod("p1"), node.AddPod("p2")];
        var first = await AddAsync(node, "c1", pods[0], isOnSecond: false);
        var second = await AddAsync(node, "c2", pods[1], isOnSecond: true);
        Assert.Contains($"1536:\tfrom {second.Address} lookup 2", node.Ip("rule"), StringComparison.Ordinal);

        await executor.KillAsync();
        foreach (var pod in pods)
        {
            node.DeletePod(pod);
        }

        Forget(node);
        var lines = await File.ReadAllLinesAsync(node.LeaseFile, TestContext.Current.CancellationToken);
        lines[0] = OtherVersionTests.Line(BootId().Replace(lines[0][9..], "\"bootId\":\"another\"")).TrimEnd();
        await File.WriteAllTextAsync(node.LeaseFile, string.Concat(lines.Select(line => line + "\n")), TestContext.Current.CancellationToken);
        var report = node.Silo.ReportAsync(_ => true);
        both = SecondInterfaceTests.BothAsync(node);
        var began = Stopwatch.GetTimestamp();
        executor = await node.RunAsync();

        var told = await report;
        Assert.Empty(told.Claims);
        Assert.Equal([("c1", first.Address), ("c2", second.Address)], told.Ended.Select(ended => (ended.Sandbox.ContainerId, ended.Address.ToString()!)).Order());
        Assert.Equal([.. node.Silo.Lease, .. node.Silo.OnSecond], told.Freed.Select(resting => resting.Address)); // Of a claim the file may not know.
        Assert.All(told.Freed, resting => Assert.InRange(resting.FreedSeconds, 0, Stopwatch.GetElapsedTime(began).TotalSeconds));
        await both;
        await executor.SaysAsync("This node can serve");
        Assert.Equal(laid, Laid(node));
        Assert.Equal(new PluginAnswer(0, ""), await PluginClient.DelAsync(node.Socket, "c1")); // As the runtime does, whose list of sandboxes is on the disk, too.

        var next = await AddAsync(node, "c3", node.AddPod("p3"), isOnSecond: false);
        Assert.True(Stopwatch.GetElapsedTime(began) >= Cooldown, $"{next.Address} has been given before its rest");
        Assert.Equal(second.Address, (await AddAsync(node, "c4", node.AddPod("p4"), isOnSecond: true)).Address);
        Assert.Contains($"1536:\tfrom {second.Address} lookup 2", node.Ip("rule"), StringComparison.Ordinal);
        await PluginClient.DelAsync(node.Socket, "c3");
        await PluginClient.DelAsync(node.Socket, "c4");
        await node.SettleAsync(_ => Laid(node) == laid);
    }

    private static async Task<PluginAnswer> AddAsync(ExecutorNode node, string container, string pod, bool isOnSecond)
    {
        if (isOnSecond && node.Silo.OnSecond.IsEmpty)
        {
            (node.Silo.OnSecond, node.Silo.Version) = ([SecondInterfaceTests.OnSecond], 2);
        }

        node.Silo.OffersSecond = isOnSecond;
        var add = await PluginClient.AddAsync(node.Socket, container, pod, pod: "web-" + container);
        node.Ping(add.Address);
        return add;
    }

    /// <summary>What a boot leaves of the node's network: new links, with what the kernel gives each.</summary>
    private static void Forget(ExecutorNode node)
    {
        NetworkNamespace.Run(TestNode.Path(node.Name), () => Nft.Run("flush ruleset"));
        node.Ip("link", "delete", "ens5");
        node.Ip("link", "delete", "ens6");
        node.Ip("rule", "flush");
        node.Ip("rule", "add", "priority", "32766", "lookup", "main");
        node.Ip("rule", "add", "priority", "32767", "lookup", "default");
        node.Ip("link", "add", "ens5", "address", node.Silo.Mac, "type", "veth", "peer", "name", "ens5peer");
        SecondInterfaceTests.Attach(node);
        Assert.Equal("", node.Ip("route", "show", "table", "all", "type", "unicast"));
    }

    /// <summary>The node's rules, the interfaces' routes and what they are themselves.</summary>
    private static string Laid(ExecutorNode node) => string.Join('\n',
        node.Ip("-4", "rule"), node.Ip("route"), node.Ip("route", "show", "table", "2"), node.Ip("-4", "-br", "address", "show", "dev", "ens6"),
        Mtu().Match(node.Ip("link", "show", "ens6")).Value, NetworkNamespace.Run(TestNode.Path(node.Name), () => Nft.Run("list ruleset")),
        NetworkNamespace.Run(TestNode.Path(node.Name), () => File.ReadAllText("/proc/sys/net/ipv4/conf/ens5/rp_filter")));

    [GeneratedRegex("\"bootId\":\"[^\"]+\"")]
    private static partial Regex BootId();

    [GeneratedRegex("mtu [0-9]+")]
    private static partial Regex Mtu();
}
