using System.Collections.Immutable;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;
using Entry = AwsVpcCni.Tests.EndToEnd.Cluster.AddressBooks.Entry;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Prefix mode: more pods than an m5.large has secondary addresses, and a pod behind a secondary interface's prefix.</summary>
public sealed class PrefixTests
{
    private const int Pods = 50, PrefixSize = 16;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task An_m5_large_runs_50_pods_on_whole_prefixes_by_five_calls_and_all_are_reached_from_a_secondary_interface()
    {
        var settings = new ClusterSettings("avcprefix")
        {
            // A t3.micro has 2 interfaces with one slot each: its 17th pod is behind the second one.
            InstanceTypes = ImmutableDictionary<string, string>.Empty.Add("nodeb", "t3.micro"),
            Silo = ImmutableDictionary<string, string>.Empty.Add("ENABLE_PREFIX_DELEGATION", "true").Add("IP_COOLDOWN_PERIOD", "2").Add("Pool__PreferredRest", "00:00:04"),
        };
        await using var cluster = await TestCluster.StartAsync(settings);
        var (node, other) = (cluster.Nodes[0], cluster.Nodes[1]);
        var before = new[] { await node.SnapshotAsync(), await other.SnapshotAsync() };

        var pods = new List<Pod>();
        foreach (var some in Enumerable.Range(0, Pods).Chunk(5))
        {
            // Every fifth has a page that says its name; the others are there to be pinged, and cost half.
            pods.AddRange(await Task.WhenAll(some.Select(pod => pod % 5 > 0
                ? node.Cri.RunSandboxAsync($"pod{pod}")
                : node.Cri.RunPodAsync($"pod{pod}", command: ["sh", "-c", $"echo pod{pod} >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"]))));
        }

        var fillers = new PodTurnover(other);
        foreach (var filler in await fillers.MakeSandboxesAsync("filler", PrefixSize))
        {
            Assert.Null(await fillers.AddAsync(filler, Task.CompletedTask));
        }

        var client = await other.Cri.RunPodAsync("client");
        Assert.Equal(Pods, pods.Select(pod => pod.Address).Distinct().Count());
        await AddressBooks.AgreedAsync(cluster, node, [.. pods.Select(pod => new Entry(pod.Address, pod.Sandbox))]);
        var books = await AddressBooks.AgreedAsync(cluster, other, fillers.Told.Add(new Entry(client.Address, client.Sandbox)));
        Assert.Equal(["to main", "from 2"], books.Rules.Where(rule => rule.Address == client.Address).Select(rule => rule.Holder).OrderDescending());
        Assert.Equal(1, books.Devices[Assert.Single(books.Ec2, held => held.Address == client.Address).Holder]);
        Assert.Empty(await UnreachedAsync(other.Cri, client, pods, "ping -c 1 -W 5 -s 8000 $1"));
        Assert.Empty(await UnreachedAsync(other.Cri, client, pods.Where(pod => pod.Container.Length > 0), "printf 'GET /index.html HTTP/1.0\r\n\r\n' | nc -w 5 $1 8080 | grep -qx $2"));

        // 50 pods, and 16 addresses or more ready.
        await Eventually.HoldsAsync("five prefixes on the node's one interface", Patience, async _ => await cluster.Emulator.HeldAsync(node) is var held && held == "1+0+5" ? null : held);
        var calls = await cluster.Emulator.CallsAsync();
        var interfaces = (await cluster.Emulator.StateAsync()).Interfaces;
        var ofNode = interfaces.Single(eni => eni.Instance == node.InstanceId).Id;
        var draws = calls.Where(call => call.Action == "AssignPrivateIpAddresses").ToList();
        Assert.All(draws, draw => Assert.Contains("Ipv4Prefix.1", draw.Parameters.Keys));
        Assert.All(draws, draw => Assert.Null(draw.Error));
        Assert.InRange(draws.Count(draw => draw.Parameters["NetworkInterfaceId"] == ofNode), 1, 5);
        Assert.Equal(["AttachNetworkInterface", "CreateNetworkInterface", "ModifyNetworkInterfaceAttribute"], // The other node's second interface.
            calls.Where(call => !call.IsRead).Select(call => call.Action).Where(action => action != "AssignPrivateIpAddresses").Order());
        Console.WriteLine($"{settings.Name}: {calls.Length} EC2 calls, of which {draws.Count(draw => draw.Parameters["NetworkInterfaceId"] == ofNode)} draw for {Pods} pods");

        foreach (var some in pods.Chunk(10))
        {
            await Task.WhenAll(some.Select(node.Cri.StopAndRemoveAsync));
        }

        await other.Cri.StopAndRemoveAsync(client);
        foreach (var filler in fillers.Told)
        {
            await fillers.DelAsync(filler.Holder, Task.CompletedTask);
        }

        await Eventually.HoldsAsync("one interface and one prefix a node, and nothing to be left over", Patience, async _ =>
        {
            var held = (await cluster.Emulator.HeldAsync(node), await cluster.Emulator.HeldAsync(other), (await cluster.Emulator.StateAsync()).Interfaces.Count(eni => eni.Instance is null));
            string[] left = [.. (await node.SnapshotAsync()).LeftOverSince(before[0]), .. (await other.SnapshotAsync()).LeftOverSince(before[1]), .. await Rows.AssignedAsync(cluster.Silo)];
            return held == ("1+0+1", "1+0+1", 0) && left.Length == 0 ? null : $"{held} {string.Join('\n', left)}";
        });
        var (exitCode, output) = await cluster.CheckCallsAsync();
        Assert.True(exitCode == 0, output);
    }

    /// <summary>Pods that a pod does not get to, one a line.</summary>
    /// <param name="how">A shell command for address $1 and name $2.</param>
    private static Task<string> UnreachedAsync(Cri cri, Pod from, IEnumerable<Pod> pods, string how) =>
        cri.ExecAsync(from, ["sh", "-c", $"while [ $# -gt 0 ]; do {how} >/dev/null || echo $1 $2; shift 2; done", "sh", .. pods.SelectMany(pod => new[] { pod.Address, pod.Name })]);
}
