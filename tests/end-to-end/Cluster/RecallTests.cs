using System.Collections.Immutable;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>A /28: eleven addresses, of which the silo's instance and the nodes have four. Two nodes have a pod each and keep an address ready; a third one gets five pods, for which three are left.</summary>
public sealed class RecallTests
{
    private const int Pods = 5;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task What_others_keep_ready_goes_to_pods_that_wait()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcrecall")
        {
            Nodes = ["nodea", "nodeb", "nodec"],
            SubnetCidr = "10.20.1.0/28",
            Silo = ImmutableDictionary<string, string>.Empty.Add("Pool__WarmIps", "1").Add("Pool__MaxEnis", "1").Add("Pool__Cooldown", "00:00:05").Add("Pool__PreferredRest", "00:00:06"),
        });
        var (taker, givers) = (new PodTurnover(cluster.Nodes[0]), cluster.Nodes.Skip(1).Select(node => new PodTurnover(node)).ToArray());
        foreach (var giver in givers)
        {
            Assert.Empty(await AddAsync(giver, "first", 1));
        }

        await HoldAsync(2, 2);
        var began = TimeProvider.System.GetUtcNow();
        for (var round = 0; taker.Told.Length < Pods; round++)
        {
            Assert.True(TimeProvider.System.GetUtcNow() - began < Patience, $"{taker.Told.Length} of {Pods} pods have an address after {Patience}");
            await AddAsync(taker, $"r{round}p", Pods - taker.Told.Length); // As kubelet does: another sandbox for a pod that got none.
        }

        await HoldAsync(1, 1);
        string[] used = [.. taker.Told.Concat(givers.SelectMany(giver => giver.Told)).Select(pod => pod.Address)];
        Assert.Equal(used.Length, used.Distinct().Count());

        async Task HoldAsync(params int[] wanted) => await Eventually.HoldsAsync($"the givers to hold {string.Join(" and ", wanted)}", Patience, async _ =>
        {
            var held = await Task.WhenAll(cluster.Nodes.Skip(1).Select(async node => (await node.StatusAsync()).GetProperty("lease").GetProperty("addresses").GetInt32()));
            return held.SequenceEqual(wanted) ? null : $"they hold {string.Join(" and ", held)}";
        });
    }

    private static async Task<string[]> AddAsync(PodTurnover pods, string name, int count)
    {
        var sandboxes = await pods.MakeSandboxesAsync(name, count);
        return [.. (await Task.WhenAll(sandboxes.Select(sandbox => pods.AddAsync(sandbox, Task.CompletedTask)))).OfType<string>()];
    }
}
