using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>What another version of the executor has left on the node: its lease file's lines, its list, and the pods that it wired.</summary>
/// <remarks>Its files only: programs of other versions are not kept. The kernel's half, links' aliases, has been of one version so far.</remarks>
public sealed class OtherVersionTests
{
    private const string OlderKeys = ",\"vethPrefix\":\"eni\""; // As a runtime calls that has loaded the older list.

    /// <summary>The first versions wrote no network into a claim, those after them no MAC, and such a list; nobody has written a "later" yet.</summary>
    [Theory]
    [InlineData(",\"network\":\"aws-cni\",\"hostMac\":\"[0-9a-f:]{17}\"", "")]
    [InlineData(",\"hostMac\":\"[0-9a-f:]{17}\"", "")]
    [InlineData(",\"network\":\"aws-cni\"", ",\"network\":\"aws-cni\",\"later\":{\"a\":[1]}")]
    public async Task Its_pods_are_served_on_and_torn_down(string ours, string others)
    {
        await using var node = await ExecutorNode.StartAsync();
        var executor = await node.RunAsync();
        await executor.SaysAsync("This node can serve");
        var before = node.Snapshot();
        var pod = node.AddPod("p1");
        var add = await PluginClient.AddAsync(node.Socket, "c1", pod);
        await executor.TerminateAsync();
        var lines = await File.ReadAllLinesAsync(node.LeaseFile, TestContext.Current.CancellationToken);
        Assert.Contains(lines, line => Regex.IsMatch(line, ours));
        await File.WriteAllTextAsync(node.LeaseFile, string.Concat(lines.Select(line => Line(Regex.Replace(line[9..], ours, others)))), TestContext.Current.CancellationToken);
        var list = await File.ReadAllTextAsync(node.Conflist, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(node.Conflist, list.Replace("\"plugins\"", "\"disableCheck\": true,\n  \"plugins\"", StringComparison.Ordinal), TestContext.Current.CancellationToken);

        var reported = node.Silo.ReportAsync(report => report.Claims.Length == 1);
        await (await node.RunAsync()).SaysAsync("This node can serve");
        var claim = (await reported).Claims.Single();
        Assert.Equal((add.Address, "c1"), (claim.Address.ToString(), claim.Sandbox.ContainerId));
        Assert.False(File.Exists(node.LeaseFile + ".aside"));
        Assert.Equal(list, await File.ReadAllTextAsync(node.Conflist, TestContext.Current.CancellationToken));
        node.Ping(add.Address);
        Assert.Equal(new PluginAnswer(0, ""), await CniChecks.CheckAsync(node, "c1", pod, CniChecks.ConfigWith(add.Output, keys: OlderKeys)));
        Assert.NotEqual(add.Address, (await PluginClient.AddAsync(node.Socket, "c2", node.AddPod("p2"))).Address);

        await PluginClient.DelAsync(node.Socket, "c1", pod, CniChecks.ConfigWith(add.Output, keys: OlderKeys));
        await PluginClient.DelAsync(node.Socket, "c2");
        await node.SettleAsync(before);
    }

    /// <summary>As the lease file has it: CRC-32C, a blank, JSON.</summary>
    internal static string Line(string json) =>
        string.Create(CultureInfo.InvariantCulture, $"{~Encoding.UTF8.GetBytes(json).Aggregate(uint.MaxValue, BitOperations.Crc32C):x8} {json}\n");
}
