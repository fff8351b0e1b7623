using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Images;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>The API server goes away under a cluster that was installed from the chart, and halfway through the silo's container is killed and started again.</summary>
/// <remarks>The silo that comes up then knows neither keys nor nodes, so it lets no executor in: pods live on their nodes' leases until the API server is back.
/// For <c>API_AWAY_SECONDS</c> (40), since each second is one of `make test`.</remarks>
public sealed class ApiServerAwayTests
{
    private const string Tag = "test";
    private const string NotKnownYet = "not been read yet: the API server does not answer this silo"; // What a silo tells executors that it cannot check.
    private const string Accounts = "system:serviceaccount:kube-system:";
    private static readonly TimeSpan Away = TimeSpan.FromSeconds(int.Parse(Environment.GetEnvironmentVariable("API_AWAY_SECONDS") ?? "40", CultureInfo.InvariantCulture));
    private static readonly TimeSpan BetweenPods = TimeSpan.FromSeconds(5); // A node's 12 addresses rest for 30 s each.
    private static readonly TimeSpan ComesBack = TimeSpan.FromSeconds(90); // Watches wait for up to 30 s, executors for up to 10.

    [Fact]
    public async Task Pods_come_and_go_while_the_API_server_is_away_and_the_silo_restarts_and_each_list_is_read_once_after_it()
    {
        await ShippedImage.MadeOrSkipAsync();
        var chart = await Helm.RenderOrSkipAsync(Tag);
        await using var cluster = await ChartCluster.StartAsync("avcaway", ["nodea", "nodeb"], Tag);
        cluster.PrepareAsTheGuideSays(chart);
        await cluster.InstallAsync(chart);
        await Task.WhenAll(cluster.Nodes.Select(cluster.NodeReadyAsync));
        var pod = await cluster.Nodes[1].Cri.RunPodAsync("pod");
        var pings = await Pings.StartAsync(cluster.Nodes[0].Cri, pod.Address);

        cluster.Api.GoDown();
        var turnovers = cluster.Nodes.Select(node => TurnOverAsync(node, Away)).ToArray();
        await Task.Delay(Away / 2, TestContext.Current.CancellationToken);
        await cluster.SilosNode.Kubelet.RestartAsync(cluster.Silos[cluster.SilosNode.Name], "silo");
        var turned = await Task.WhenAll(turnovers);
        Assert.All(turned, one => Assert.True(one.Pods >= Away / BetweenPods / 2, $"only {one.Pods} pods"));
        foreach (var node in cluster.Nodes)
        {
            await Eventually.HoldsAsync($"the silo to tell {node.Name} why", ComesBack, async _ => await StatusAsync(cluster, node) is var status && status.Contains(NotKnownYet, StringComparison.Ordinal) ? null : status);
        }

        cluster.Api.Calls.Clear();
        cluster.Api.ComeUp();
        var began = TimeProvider.System.GetTimestamp();
        foreach (var node in cluster.Nodes)
        {
            await Eventually.HoldsAsync($"the silo to know the ends of all pods of {node.Name}", ComesBack, async _ =>
                await StatusAsync(cluster, node) is var status && status.Contains("the silo knows of every end", StringComparison.Ordinal) && !status.Contains(NotKnownYet, StringComparison.Ordinal) ? null : status);
            await node.Cri.RunPodAsync("afterwards");
        }

        await pings.GoesOnAsync();
        var (sent, answered) = await pings.EndAsync();
        Assert.InRange(sent - answered, 0, 1);
        var lists = cluster.Api.Calls.Where(call => call.Verb is "list" && call.User.StartsWith(Accounts, StringComparison.Ordinal)).GroupBy(call => $"{call.User[Accounts.Length..]} {call.Resource}").ToDictionary(group => group.Key, group => group.Count());
        TestContext.Current.SendDiagnosticMessage("away {0} s: {1} pods came and went, the longest ADD took {2:F2} s; lists afterwards: {3}; calls in all {4}",
            Away.TotalSeconds, turned.Sum(one => one.Pods), turned.Max(one => one.Longest).TotalSeconds, string.Join(", ", lists.Select(one => $"{one.Key} {one.Value}")), cluster.Api.Calls.Count);
        Assert.Contains(lists.Keys, list => list.EndsWith("nodes", StringComparison.Ordinal));
        var looks = cluster.Nodes.Length * (1 + (int)(TimeProvider.System.GetElapsedTime(began).TotalSeconds / 5)); // Executors share an account, and each looks for silos each 5 s while none answers.
        Assert.All(lists, one => Assert.True(one.Value <= (one.Key.EndsWith("endpointslices", StringComparison.Ordinal) ? looks : 1), $"{one.Key} was listed {one.Value} times"));
    }

    /// <summary>Pods come and go on a node, one at a time.</summary>
    private static async Task<(int Pods, TimeSpan Longest)> TurnOverAsync(ChartNode node, TimeSpan duration)
    {
        var (began, longest, pods) = (TimeProvider.System.GetTimestamp(), TimeSpan.Zero, 0);
        for (; TimeProvider.System.GetElapsedTime(began) < duration; pods++)
        {
            var asked = TimeProvider.System.GetTimestamp();
            var pod = await node.Cri.RunSandboxAsync($"away-{pods}");
            longest = TimeProvider.System.GetElapsedTime(asked) is var took && took > longest ? took : longest;
            await node.Cri.StopAndRemoveAsync(pod);
            await Task.Delay(BetweenPods, TestContext.Current.CancellationToken);
        }

        return (pods, longest);
    }

    private static async Task<string> StatusAsync(ChartCluster cluster, ChartNode node) =>
        (await node.Kubelet.ExecAsync(cluster.Executors[node.Name], "executor", TimeSpan.FromSeconds(20), "/app/node-executor", "status")).Output;
}
