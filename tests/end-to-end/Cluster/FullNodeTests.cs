using System.Collections.Immutable;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Grpc.Core;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>A node filled to the last address of its last interface, and emptied again.</summary>
public sealed class FullNodeTests
{
    private const int Room = 27; // m5.large: 3 interfaces x (10 - 1); the well-known 29 counts two pods on the host's network.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task A_node_takes_27_pods_on_three_interfaces_refuses_the_28th_and_goes_back_to_its_policy()
    {
        var settings = new ClusterSettings("avcfull")
        {
            // Rests are short, so that the way back is seen within the test.
            Silo = ImmutableDictionary<string, string>.Empty.Add("Pool__WarmIps", "2").Add("Pool__Cooldown", "00:00:02").Add("Pool__PreferredRest", "00:00:04"),
        };
        await using var cluster = await TestCluster.StartAsync(settings);
        var (node, other) = (cluster.Nodes[0], cluster.Nodes[1]);
        var before = await node.SnapshotAsync();
        var server = await other.Cri.RunPodAsync("server", command: ["sh", "-c", "echo reached >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"]);

        var pods = new List<Pod>();
        foreach (var three in Enumerable.Range(0, Room).Chunk(3))
        {
            pods.AddRange(await Task.WhenAll(three.Select(pod => node.Cri.RunPodAsync($"pod{pod}"))));
        }

        Assert.Equal(Room, pods.Select(pod => pod.Address).Distinct().Count());
        var held = (await cluster.Emulator.StateAsync()).Interfaces.Where(eni => eni.Instance == node.InstanceId).ToList();
        Assert.Equal(3, held.Count);
        Assert.All(held, eni => Assert.Equal(9, eni.Addresses.Count(address => pods.Any(pod => pod.Address == address))));
        var books = await AddressBooks.AgreedAsync(cluster, node, [.. pods.Select(pod => new AddressBooks.Entry(pod.Address, pod.Sandbox))]);
        Assert.Equal(["from 2: 9", "from 3: 9", "to main: 27"], books.Rules.GroupBy(rule => rule.Holder, (rule, all) => $"{rule}: {all.Count()}").Order(StringComparer.Ordinal));
        foreach (var pod in pods)
        {
            Assert.Contains("1 packets received", await node.Cri.ExecAsync(pod, "ping", "-c", "1", "-W", "5", "-s", "8000", server.Address), StringComparison.Ordinal);
            Assert.Contains("reached", await node.Cri.ExecAsync(pod, "sh", "-c", $"printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {server.Address} 8080"), StringComparison.Ordinal);
        }

        var refused = await Assert.ThrowsAsync<RpcException>(() => node.Cri.RunPodAsync("pod27", patience: TimeSpan.FromSeconds(10)));
        Assert.Contains("all 27 pod addresses", refused.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("3 interfaces x (10 - 1)", refused.Status.Detail, StringComparison.Ordinal);
        Assert.Contains("m5.large", refused.Status.Detail, StringComparison.Ordinal);

        foreach (var three in pods.Chunk(3))
        {
            await Task.WhenAll(three.Select(node.Cri.StopAndRemoveAsync));
        }

        await Eventually.HoldsAsync("no link, route or rule of a pod to be there", TimeSpan.FromSeconds(60), async _ =>
            await AddressBooks.ReadAsync(cluster, node, []) is var left && left.Links.Length + left.Routes.Length + left.Rules.Length == 0 ? null : string.Join('\n', left.Links.Concat(left.Routes).Concat(left.Rules)));
        await Eventually.HoldsAsync("the node to be back at one interface and two addresses, and nothing to be left over", Patience, async _ =>
        {
            var interfaces = (await cluster.Emulator.StateAsync()).Interfaces.Where(eni => eni.Instance == node.InstanceId || eni.Instance is null).ToList();
            string[] left = [.. (await node.SnapshotAsync()).LeftOverSince(before), .. (await Rows.AssignedAsync(cluster.Silo)).Where(row => row.StartsWith(node.InstanceId, StringComparison.Ordinal))];
            return interfaces.Count == 1 && interfaces[0].Addresses.Count == 1 + 2 && left.Length == 0
                ? null
                : $"{interfaces.Count} interfaces with {string.Join(", ", interfaces.Select(eni => eni.Addresses.Count))} addresses; {string.Join('\n', left)}";
        });
        var (exitCode, output) = await cluster.CheckCallsAsync();
        Assert.True(exitCode == 0, output);
    }
}
