using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>Silo, executor or both are killed while pods come and go; after each round all that keep account of addresses agree.</summary>
/// <remarks>The pool is warm for a round's pods at its start, and is drawn full again meanwhile: EC2 calls are under way at a kill, too.
/// Rests are short, so that an address comes back to pods within a few rounds.</remarks>
public sealed class CrashRoundsTests
{
    private const int Rounds = 20, RoundsThatMustHit = 15, PodsARound = 20, Survivors = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(45);

    [Fact]
    public Task Silo_killed_in_20_rounds() => RunAsync("avccrashsilo", killsSilo: true, killsExecutor: false);

    [Fact]
    public Task Executor_killed_in_20_rounds() => RunAsync("avccrashexec", killsSilo: false, killsExecutor: true);

    [Fact]
    public Task Silo_and_executor_killed_in_20_rounds() => RunAsync("avccrashboth", killsSilo: true, killsExecutor: true);

    private static async Task RunAsync(string name, bool killsSilo, bool killsExecutor)
    {
        var random = new Random(Seed.Value);
        var settings = new ClusterSettings(name)
        {
            Nodes = ["nodea"],
            InstanceType = "m5.24xlarge", // Interfaces of 49 addresses for pods: 50 to 92 in use, free and cooling are always two of them.
            SubnetCidr = "10.20.0.0/22",
            Silo = ImmutableDictionary<string, string>.Empty
                .Add("Pool__WarmIps", "22").Add("Pool__Cooldown", "00:00:01").Add("Pool__PreferredRest", "00:00:02"),
        };
        await using var cluster = await TestCluster.StartAsync(settings);
        var node = cluster.Nodes[0];
        var pods = new PodTurnover(node);
        Say($"{name}: {Seed.Variable}={Seed.Value}");
        try
        {
            await pods.TurnOverAsync("first", random, Survivors, Survivors, Undisturbed);
            await AgreeAsync(cluster, pods);
            await pods.TurnOverAsync("second", random, PodsARound, Survivors, Undisturbed);
            await AgreeAsync(cluster, pods);

            var hits = 0;
            for (var round = 1; round <= Rounds; round++)
            {
                hits += await KillInRoundAsync(cluster, pods, round, random, killsSilo, killsExecutor) > 0 ? 1 : 0;
            }

            Assert.True(hits >= RoundsThatMustHit, $"Only in {hits} of {Rounds} rounds something was in flight at the kill.");
            await PlantedFaultsAreSeenAsync(cluster, pods);
            await Task.WhenAll(pods.Told.Select(pod => pods.DelAsync(pod.Holder, Task.CompletedTask)));
            await AgreeAsync(cluster, pods);
            var (exitCode, output) = await cluster.CheckCallsAsync();
            Assert.True(exitCode == 0, output);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"With {Seed.Variable}={Seed.Value}: {e.Message}", e);
        }
    }

    /// <returns>How many plugins were running at the kill.</returns>
    private static async Task<int> KillInRoundAsync(TestCluster cluster, PodTurnover pods, int round, Random random, bool killsSilo, bool killsExecutor)
    {
        var node = cluster.Nodes[0];
        // Counted by what has ended, not by the clock: rounds differ in speed, and so does a machine from minute to minute.
        var answers = random.Next(1, (2 * PodsARound) - 4);
        var inFlight = (Adds: 0, Dels: 0);
        var clock = new Stopwatch();
        var restarted = TimeSpan.Zero;
        var refused = await pods.TurnOverAsync("r" + round.ToString("00", CultureInfo.InvariantCulture), random, PodsARound, Survivors, KillAndRestartAsync);
        var ended = clock.Elapsed;
        await AgreeAsync(cluster, pods);
        Say(string.Create(CultureInfo.InvariantCulture,
            $"round {round,2}: killed after {answers,2} answers with {inFlight.Adds,2} ADDs and {inFlight.Dels,2} DELs in flight; {refused.Length,2} ADDs refused, {pods.Told.Length} pods; back after {restarted.TotalSeconds:0.0} s, all ended after {ended.TotalSeconds:0.0} s, all agree after {clock.Elapsed.TotalSeconds:0.0} s"));
        return inFlight.Adds + inFlight.Dels;

        async Task KillAndRestartAsync(Action go)
        {
            var killed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            pods.AfterEnds(answers, () =>
            {
                inFlight = pods.InFlight;
                (killsSilo ? cluster.Silo.Daemon : null)?.Id.Signal(ProcessId.SigKill);
                (killsExecutor ? node.Executor : null)?.Id.Signal(ProcessId.SigKill);
                killed.SetResult();
            });
            go();
            await killed.Task.WaitAsync(Patience);
            clock.Start();
            await Task.WhenAll(killsSilo ? RestartSiloAsync(cluster.Silo) : Task.CompletedTask, killsExecutor ? node.RestartExecutorAsync() : Task.CompletedTask);
            restarted = clock.Elapsed;
        }

        static async Task RestartSiloAsync(SiloProcess silo)
        {
            await silo.KillAsync(); // Collects it.
            await silo.StartAsync();
        }
    }

    private static Task Undisturbed(Action go)
    {
        go();
        return Task.CompletedTask;
    }

    internal static async Task AgreeAsync(TestCluster cluster, PodTurnover pods)
    {
        // The last to follow, and the cheapest to ask; reading all would take from the silo's start what it needs.
        var told = pods.Told.Select(pod => $"{cluster.Nodes[0].InstanceId} {pod.Address} {pod.Holder}").ToHashSet();
        await Eventually.HoldsAsync("the store's rows to be those of the pods", Patience, async _ =>
            (await Rows.AssignedAsync(cluster.Silo)) is var rows && told.SetEquals(rows) ? null : string.Join('\n', told.Except(rows).Concat(rows.Except(told))));
        await Eventually.HoldsAsync("kernel, lease, store and EC2 to agree on every address", Patience, async _ =>
            (await AddressBooks.ReadAsync(cluster, cluster.Nodes[0], pods.Sandboxes)).Wrong(pods.Told) is { Count: > 0 } wrong ? string.Join('\n', wrong) : null);
    }

    /// <summary>What agreed until now does not after three hands in the kernel: an address lost, one on two pods, a rule left over.</summary>
    private static async Task PlantedFaultsAreSeenAsync(TestCluster cluster, PodTurnover pods)
    {
        const string Stray = "10.99.0.250"; // In no subnet, so on no pod.
        var node = cluster.Nodes[0];
        var told = pods.Told;
        var netns = pods.Sandboxes.ToDictionary(sandbox => sandbox.ContainerId, sandbox => sandbox.Netns, StringComparer.Ordinal);
        await Shell.RunAsync("ip", "-n", netns[told[0].Holder], "address", "delete", told[0].Address + "/32", "dev", "eth0");
        await Shell.RunAsync("ip", "-n", netns[told[1].Holder], "address", "add", told[2].Address + "/32", "dev", "eth0");
        await Shell.RunAsync("ip", "-n", node.NetnsName, "rule", "add", "to", Stray, "lookup", "main", "priority", "512");

        string[] planted = [$"{told[0].Address}: {told[0].Holder} lost from pods", $"{told[2].Address}: on two pods", $"{Stray}: to main left over in rules"];
        // The pool moves on meanwhile: what is on its way back to EC2 is in one book and not yet in the other.
        await Eventually.HoldsAsync("the three planted faults, and no other, to be seen", Patience, async _ =>
            (await AddressBooks.ReadAsync(cluster, node, pods.Sandboxes)).Wrong(told) is var wrong && wrong.Count == planted.Length
                && planted.All(fault => wrong.Any(line => line.StartsWith(fault, StringComparison.Ordinal))) ? null : string.Join('\n', wrong));
        await Shell.RunAsync("ip", "-n", node.NetnsName, "rule", "delete", "to", Stray, "lookup", "main", "priority", "512");
    }

    private static void Say(string text) => Console.WriteLine(text);
}
