using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.VpcEmulator.Control;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Two clusters in one subnet, and interfaces on a node that a hand has made: each silo keeps to its own.</summary>
public sealed class NeighbourTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static readonly ImmutableDictionary<string, string> Silo = ImmutableDictionary<string, string>.Empty
        .Add("WARM_IP_TARGET", "2").Add("Pool__Cooldown", "00:00:01").Add("Pool__PreferredRest", "00:00:02");

    [Fact]
    public async Task A_silo_touches_neither_the_other_clusters_interfaces_nor_those_made_by_hand()
    {
        var (unmanaged, untagged) = ("", "");
        var settings = new ClusterSettings("avctwo") { Silo = Silo, Neighbour = new ClusterSettings("avctwo") { Number = 1, Nodes = ["nodec"], Silo = Silo } };
        settings = settings with
        {
            BeforeJoins = async emulator => unmanaged = await emulator.AttachByHandAsync(settings.InstanceIdOf(0), 1, "node.k8s.amazonaws.com/no_manage"),
        };
        await using var cluster = await TestCluster.StartAsync(settings);
        var (neighbour, emulator) = (cluster.Neighbour!, cluster.Emulator);
        var (a, b, c) = (cluster.Nodes[0], cluster.Nodes[1], neighbour.Nodes[0]);
        untagged = await emulator.AttachByHandAsync(a.InstanceId, 2, tag: null);
        var byHand = await ShownAsync(emulator, eni => eni.Id == unmanaged || eni.Id == untagged);
        Assert.Equal(2, byHand.Count);

        // Both want the same free addresses of the subnet at once. Node a has no room for an interface more, whatever its silo thinks.
        await Task.WhenAll(new[] { cluster, neighbour }.Select(one => one.Silo.Policy.SetAsync(new { minimumIps = 12, cooldown = "00:00:01", preferredRest = "00:00:02" })));
        await Eventually.HoldsAsync("the nodes to be as full as they get", Patience, async _ =>
        {
            var held = (await emulator.HeldAsync(a), await emulator.HeldAsync(b), await emulator.HeldAsync(c), (await emulator.StateAsync()).Interfaces.Count(eni => eni.Instance is null));
            return held == ("3+13+0", "2+12+0", "2+12+0", 0) ? null : $"{held}"; // Node a: 9, and 4 on what was made by hand.
        });
        var heartbeat = await Heartbeat.StartAsync(a.Cri, b.Cri);
        var pods = await Task.WhenAll(a.Cri.RunPodAsync("a"), b.Cri.RunPodAsync("b"), c.Cri.RunPodAsync("c"), c.Cri.RunPodAsync("d"));
        Assert.Equal(6, pods.Append(heartbeat.Server).Append(heartbeat.Client).Select(pod => pod.Address).Distinct().Count());
        Assert.Contains("1 packets received", await a.Cri.ExecAsync(pods[0], "ping", "-c", "1", "-W", "5", pods[2].Address), StringComparison.Ordinal);
        Assert.Equal(byHand, await ShownAsync(emulator, eni => eni.Id == unmanaged || eni.Id == untagged));
        Assert.DoesNotMatch("eth[12]", await Shell.RunAsync("ip", "-n", a.NetnsName, "-brief", "-4", "address", "show")); // Its executor has not set them up.
        Assert.Contains(c.InstanceId, await neighbour.Silo.IpamAsync("nodes"), StringComparison.Ordinal);
        Assert.DoesNotContain(c.InstanceId, await cluster.Silo.IpamAsync("nodes"), StringComparison.Ordinal);

        var ours = (await emulator.StateAsync()).Interfaces.Where(eni => eni.Instance == a.InstanceId || eni.Instance == b.InstanceId).Select(eni => eni.Id).ToHashSet();
        var theirs = (await emulator.StateAsync()).Interfaces.Where(eni => eni.Instance == c.InstanceId).Select(eni => eni.Id).ToHashSet();
        var before = await ShownAsync(emulator, eni => ours.Contains(eni.Id));
        await neighbour.DisposeAsync(); // Its pods, its executor, its silo,
        await emulator.TerminateAsync(c.InstanceId); // its machines.
        await emulator.TerminateAsync(settings.Neighbour.InstanceIdOf(0xffff));
        await Eventually.HoldsAsync("the neighbour's interfaces to be gone", Patience, async _ =>
            (await emulator.StateAsync()).Interfaces.Count(eni => theirs.Contains(eni.Id)) is var left and > 0 ? $"{left}" : null);
        await heartbeat.GoesOnAsync();
        Assert.Equal(before, await ShownAsync(emulator, eni => ours.Contains(eni.Id)));
        Assert.Equal(4, (await Rows.AssignedAsync(cluster.Silo)).Length);
        await b.Cri.RunPodAsync("after");

        var calls = await emulator.CallsAsync();
        var (ourCalls, theirCalls) = (Touched(calls, settings.ClusterName), Touched(calls, settings.Neighbour.ClusterName));
        Assert.Empty(ourCalls.Intersect(theirCalls));
        Assert.Empty(ourCalls.Intersect(theirs.Append(c.InstanceId).Append(unmanaged).Append(untagged)));
        Assert.Empty(theirCalls.Except(theirs).Except([c.InstanceId]));
        foreach (var one in new[] { cluster, neighbour })
        {
            var (exitCode, output) = await one.CheckCallsAsync();
            Assert.True(exitCode == 0, output);
        }
    }

    /// <summary>Interfaces and instances that a caller has changed, or tried to.</summary>
    private static HashSet<string> Touched(IEnumerable<CallEntry> calls, string caller)
    {
        var changes = calls.Where(call => call.Caller == caller && !call.IsRead).ToList();
        Assert.NotEmpty(changes);
        return [.. changes.SelectMany(call => call.Parameters.Where(parameter => parameter.Key is "NetworkInterfaceId" or "InstanceId").Select(parameter => parameter.Value))];
    }

    /// <summary>All that EC2 shows of some interfaces, a text each.</summary>
    private static async Task<List<string>> ShownAsync(EmulatorProcess emulator, Func<InterfaceView, bool> which) =>
        [.. (await emulator.StateAsync()).Interfaces.Where(which).Select(eni => JsonSerializer.Serialize(eni, JsonSerializerOptions.Web))];
}
