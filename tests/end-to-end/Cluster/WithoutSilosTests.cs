using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>A node whose silos are all away serves from its lease, also after a restart of its executor; when they come back all agree.</summary>
public sealed class WithoutSilosTests
{
    private const int First = 10, Warm = 60, PodsARound = 5;
    private static readonly TimeSpan Away = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Off = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan Round = TimeSpan.FromSeconds(1); // At the least: with rests of 5 s about 30 addresses cool, 15 are on pods, and the lease has 70.

    [Fact]
    public async Task For_60_s_pods_come_and_go_from_the_lease_and_then_nobody_disagrees()
    {
        var settings = new ClusterSettings("avcaway")
        {
            Nodes = ["nodea"],
            InstanceType = "m5.24xlarge",
            SubnetCidr = "10.20.0.0/22",
            Silo = ImmutableDictionary<string, string>.Empty
                .Add("Pool__WarmIps", Warm.ToString(CultureInfo.InvariantCulture)).Add("Pool__Cooldown", "00:00:05").Add("Pool__PreferredRest", "00:00:06"),
        };
        await using var cluster = await TestCluster.StartAsync(settings);
        var node = cluster.Nodes[0];
        var pods = new PodTurnover(node);
        await AddAsync("first", First);
        await CrashRoundsTests.AgreeAsync(cluster, pods);
        var lease = 0;
        await Eventually.HoldsAsync("the warm addresses to be drawn again", TimeSpan.FromSeconds(30), async _ =>
            (lease = (await node.StatusAsync()).GetProperty("lease").GetProperty("addresses").GetInt32()) >= First + Warm ? null : $"the lease has {lease} addresses");

        await cluster.Silo.KillAsync();
        var (clock, adds, isRestarted) = (Stopwatch.StartNew(), 0, false);
        var (began, lives) = (new Dictionary<string, DateTimeOffset>(StringComparer.Ordinal), new List<(AddressBooks.Entry Pod, DateTimeOffset From, DateTimeOffset To)>());
        for (var round = 1; clock.Elapsed < Away; round++)
        {
            var ends = clock.Elapsed + Round;
            var old = pods.Told.Take(PodsARound).ToArray();
            foreach (var pod in old.Where(pod => began.ContainsKey(pod.Holder)))
            {
                lives.Add((pod, began[pod.Holder], TimeProvider.System.GetUtcNow()));
            }

            await AddAsync($"r{round}p", PodsARound);
            foreach (var pod in pods.Told)
            {
                began.TryAdd(pod.Holder, TimeProvider.System.GetUtcNow());
            }

            adds += PodsARound;
            await Task.WhenAll(old.Select(pod => pods.DelAsync(pod.Holder, Task.CompletedTask)));
            if (!isRestarted && clock.Elapsed > Away / 2)
            {
                isRestarted = true;
                await node.KillExecutorAsync();
                node.StartExecutor();
                await node.ServableAsync();
            }

            await Task.Delay(ends > clock.Elapsed ? ends - clock.Elapsed : TimeSpan.Zero, TestContext.Current.CancellationToken);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Without a silo for {clock.Elapsed.TotalSeconds:0} s: {adds} ADDs and as many DELs from a lease of {lease}, with one restart of the executor."));
        Assert.True(adds >= 100 && isRestarted, $"{adds} ADDs");
        await cluster.Silo.StartAsync();
        await CrashRoundsTests.AgreeAsync(cluster, pods);
        await AskWhoAsync(cluster, lives);
        await Task.WhenAll(pods.Told.Select(pod => pods.DelAsync(pod.Holder, Task.CompletedTask)));
        await CrashRoundsTests.AgreeAsync(cluster, pods);

        async Task AddAsync(string name, int count)
        {
            var sandboxes = await pods.MakeSandboxesAsync(name, count);
            Assert.Empty((await Task.WhenAll(sandboxes.Select(sandbox => pods.AddAsync(sandbox, Task.CompletedTask)))).OfType<string>());
        }
    }

    /// <summary>`ipam who` knows pods of which no silo has seen anything while they lived. What it is told are ages: its times are off by as long as the call took.</summary>
    private static async Task AskWhoAsync(TestCluster cluster, List<(AddressBooks.Entry Pod, DateTimeOffset From, DateTimeOffset To)> lives)
    {
        Assert.True(lives.Count >= 50, $"{lives.Count} pods have come and gone");
        for (var n = 0; n < lives.Count; n += lives.Count / 10)
        {
            var (pod, from, to) = lives[n];
            using var said = JsonDocument.Parse(await cluster.Silo.IpamAsync("who", pod.Address, "--json"));
            var row = Assert.Single(said.RootElement[0].GetProperty("holders").EnumerateArray(), row => row.GetProperty("sandbox").GetProperty("containerId").GetString() == pod.Holder);
            Assert.InRange(row.GetProperty("since").GetDateTimeOffset(), from - Off, from + Off);
            Assert.InRange(row.GetProperty("released").GetDateTimeOffset(), to - Off, to + Off);
        }
    }
}
