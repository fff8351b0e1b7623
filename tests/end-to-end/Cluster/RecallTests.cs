using System.Collections.Immutable;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>A /28: eleven addresses, of which the silo's instance and the nodes have four. Two nodes have a pod each and keep an address ready, and one has an address more that rests after its
/// pod; a third one gets five pods, for which two are left. So it needs all that the others have and no pod of theirs.</summary>
public sealed class RecallTests
{
    private const int Pods = 5;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan Cooldown = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task What_others_keep_ready_goes_to_pods_that_wait_and_what_rests_once_it_has_rested()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcrecall")
        {
            Nodes = ["nodea", "nodeb", "nodec"],
            SubnetCidr = "10.20.1.0/28",
            Silo = ImmutableDictionary<string, string>.Empty.Add("Pool__WarmIps", "1").Add("Pool__MaxEnis", "1").Add("Pool__Cooldown", $"{Cooldown:c}").Add("Pool__PreferredRest", $"{Cooldown + TimeSpan.FromSeconds(1):c}"),
        });
        var (taker, givers) = (new PodTurnover(cluster.Nodes[0]), cluster.Nodes.Skip(1).Select(node => new PodTurnover(node)).ToArray());
        foreach (var giver in givers)
        {
            Assert.Empty(await AddAsync(giver, "first", 1));
        }

        await HoldAsync(2, 2);
        var first = givers[0].Told;
        Assert.Empty(await AddAsync(givers[0], "second", 1));
        await HoldAsync(3, 2);
        var resting = givers[0].Told.Except(first).Single();
        await givers[0].DelAsync(resting.Holder, Task.CompletedTask);
        var (ended, taken) = (TimeProvider.System.GetUtcNow(), (DateTimeOffset?)null);
        var began = ended;
        for (var round = 0; taker.Told.Length < Pods; round++)
        {
            Assert.True(TimeProvider.System.GetUtcNow() - began < Patience, $"{taker.Told.Length} of {Pods} pods have an address after {Patience}");
            await AddAsync(taker, $"r{round}p", Pods - taker.Told.Length); // As kubelet does: another sandbox for a pod that got none.
            taken ??= taker.Told.Any(pod => pod.Address == resting.Address) ? TimeProvider.System.GetUtcNow() : null;
        }

        await HoldAsync(1, 1);
        Assert.NotNull(taken); // There is no other one for the fifth pod.
        Assert.True(taken - ended >= Cooldown, $"{resting.Address} was used again {taken - ended} after its pod had ended.");
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
