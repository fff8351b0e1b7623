using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Cluster;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.KillPoints;

/// <summary>The executor is killed before and after every system call by which ADD and DEL do something, while pods come and go.</summary>
/// <remarks>In each run at a call of every kind and some more; at all of them with KILL_POINTS=all (`make kill-points`), at some with words of their names.</remarks>
public sealed class KillPointTests
{
    private const int Runtimes = 5, Survivors = 5, MostNth = 3, Some = 44, Load = 10, OnFirst = 3;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Every_call_that_ADD_and_DEL_make_is_a_kill_point_and_every_kill_point_is_a_call()
    {
        await using var cluster = await TestCluster.StartAsync(Settings("avcpoints", "t3.small", warmIps: 1)); // Three interfaces with three addresses for pods each, and not all of them leased.
        var node = cluster.Nodes[0];
        var pods = new PodTurnover(node);
        await using var traced = await TracedExecutor.StartAsync(cluster, node);
        var random = new Random(Seed.Value);
        var round = 0;
        await Eventually.HoldsAsync("every kill point to be seen", Patience, async _ =>
        {
            await pods.TurnOverAsync($"r{++round}", random, 1, OnFirst, Go); // The first interface is full with those that stay.
            foreach (var load in Enum.GetValues<KillLoad>())
            {
                Assert.Null(await TurnOverAsync(pods, $"r{round}l{load:D}", load, OnFirst));
            }

            await CrashRoundsTests.AgreeAsync(cluster, pods);
            return KillPoint.Sites.Except(traced.Calls).ToArray() is { Length: > 0 } missing ? string.Join('\n', missing) : null;
        });
        var unknown = traced.Calls.Distinct().Except([.. KillPoint.Sites, .. KillPoint.AtTimes]).Order(StringComparer.Ordinal).ToArray();
        Assert.True(unknown.Length == 0, $"Calls that are no kill points; say in {nameof(KillPoint)}.cs what they are, or in Syscalls.cs that nobody sees them:\n{string.Join('\n', unknown)}");
    }

    [Fact]
    public async Task Killed_at_any_call_of_ADD_or_DEL_under_load_it_loses_doubles_and_leaves_nothing()
    {
        var random = new Random(Seed.Value);
        await using var cluster = await TestCluster.StartAsync(Settings("avckillpoints", "m5.xlarge", warmIps: 12)); // Interfaces of 14 addresses for pods: those in use, free and cooling are always of two of them.
        var node = cluster.Nodes[0];
        var pods = new PodTurnover(node, () => random.Next(2) == 0);
        var points = Chosen(random);
        Assert.NotEmpty(points);
        Console.WriteLine($"{points.Length} of {KillPoint.All.Length} kill points; {Seed.Variable}={Seed.Value}");
        await pods.TurnOverAsync("first", random, 2 * Survivors, 2 * Survivors, Go);
        var (clock, failed) = (Stopwatch.StartNew(), 0);
        for (var at = 0; at < points.Length; at++)
        {
            try
            {
                failed += await KillAsync(cluster, pods, $"k{at}", points[at], random);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"With {Seed.Variable}={Seed.Value}, killed {points[at]}: {e.Message}", e);
            }
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{points.Length} kills in {clock.Elapsed.TotalSeconds:0} s; {failed} ADDs were under way and failed by them"));
        Assert.True(points.Length < Load || failed >= points.Length, $"Only {failed} ADDs were under way in {points.Length} kills: that is no load.");
        await pods.DelAllAsync();
        await CrashRoundsTests.AgreeAsync(cluster, pods);
        await pods.UnpinAsync();
        var (exitCode, output) = await cluster.CheckCallsAsync();
        Assert.True(exitCode == 0, output);
    }

    private static ClusterSettings Settings(string name, string instanceType, int warmIps) => new(name)
    {
        Nodes = ["nodea"],
        InstanceType = instanceType,
        SubnetCidr = "10.20.0.0/22",
        Silo = ImmutableDictionary<string, string>.Empty
            .Add("Pool__WarmIps", warmIps.ToString(CultureInfo.InvariantCulture)).Add("Pool__Cooldown", "00:00:01").Add("Pool__PreferredRest", "00:00:02"),
    };

    /// <summary>In any order: one of every kind under every load that has it and some more, or those whose names have what KILL_POINTS says.</summary>
    private static KillPoint[] Chosen(Random random)
    {
        var all = KillPoint.All.ToArray();
        random.Shuffle(all);
        return Environment.GetEnvironmentVariable("KILL_POINTS") switch
        {
            null or "" => [.. all.DistinctBy(point => (point.Kind, point.Load)).Union(all).Take(Some)],
            "all" => all,
            var words => [.. all.Where(point => point.ToString().Contains(words, StringComparison.Ordinal))],
        };
    }

    /// <summary>A kill while pods come and go, the next executor, and then all must agree.</summary>
    /// <returns>How many ADDs were under way and have failed.</returns>
    private static async Task<int> KillAsync(TestCluster cluster, PodTurnover pods, string name, KillPoint point, Random random)
    {
        var node = cluster.Nodes[0];
        var isRare = point.Site.Contains("store lease.new", StringComparison.Ordinal); // Once in a second or so.
        var (nth, isCollected) = (isRare ? 1 : random.Next(MostNth) + 1, random.Next(2) == 0);
        var (added, clock) = (0, new Stopwatch());
        await using var traced = await TracedExecutor.StartAsync(cluster, node, point, nth);
        var runtimes = Enumerable.Range(0, Runtimes).Select(_ => RunAsync()).ToList();
        using var deadline = new CancellationTokenSource(Patience);
        try
        {
            await traced.EndedAsync(deadline.Token);
        }
        catch (OperationCanceledException e)
        {
            throw new TimeoutException($"not reached for the {nth}. time within {Patience.TotalSeconds} s, while {added} pods came", e);
        }

        clock.Start();
        if (point.Site == "rename store lease.new")
        {
            Assert.Equal(!point.IsAfter, File.Exists(Path.Combine(node.StateFolder, "lease.new"))); // So before is before, and after is after.
        }

        await node.RestartExecutorAsync();
        var refused = (await Task.WhenAll(runtimes)).Sum();

        // As kubelet does: another sandbox for a pod that got none, as long as the node is to have so many. Now nothing is in its way.
        var again = await pods.MakeSandboxesAsync(name + "again", Math.Clamp((2 * Survivors) - pods.Pods, 0, refused));
        Assert.Empty((await Task.WhenAll(again.Select(sandbox => pods.AddAsync(sandbox, Task.CompletedTask)))).OfType<string>());

        // Of a DEL that came while no executor ran the kernel tells when the namespace goes, and the runtime's list before that.
        await (isCollected ? pods.CollectAsync() : pods.UnpinAsync());
        await CrashRoundsTests.AgreeAsync(cluster, pods);
        await pods.CheckAsync();
        await pods.UnpinAsync();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{point}: its call {nth}, while the {added}. pod came; {refused} ADDs failed by it; all agree after {clock.Elapsed.TotalSeconds:0.0} s"));
        return refused;

        // One of the older pods goes and another one comes, until the kill. The number of those that got none.
        async Task<int> RunAsync()
        {
            while (!traced.HasEnded)
            {
                if (await TurnOverAsync(pods, $"{name}p{Interlocked.Increment(ref added)}x", point.Load, Survivors, () => traced.HasEnded) is not null)
                {
                    return 1;
                }
            }

            return 0;
        }
    }

    /// <summary>One of the older pods goes and another one comes, and what the load has beside that.</summary>
    /// <returns>What was said against an ADD that should succeed; null: nothing.</returns>
    private static async Task<string?> TurnOverAsync(PodTurnover pods, string name, KillLoad load, int survivors, Func<bool>? isOver = null)
    {
        if (pods.TakeOld(survivors) is { } old)
        {
            if (load == KillLoad.SameNames)
            {
                return await pods.AddInPlaceOfAsync(old, name);
            }

            await pods.DelAsync(old, Task.CompletedTask);
            if (isOver?.Invoke() is true)
            {
                return null;
            }
        }

        if (load == KillLoad.InVain)
        {
            await pods.AddInVainAsync(name + "v");
        }

        var sandbox = (await pods.MakeSandboxesAsync(name, 1))[0];
        return await (load == KillLoad.SecondNetworks ? pods.AddWithSecondNetworkAsync(sandbox) : pods.AddAsync(sandbox, Task.CompletedTask));
    }

    private static Task Go(Action go)
    {
        go();
        return Task.CompletedTask;
    }
}
