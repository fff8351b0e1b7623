using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The plugin is killed at any instant of an ADD or a DEL: the DEL that a runtime sends then leaves nothing.</summary>
public sealed class PluginKillTests
{
    private const int Kills = 50, MostTries = 200, AtOnce = 10, WarmUps = 10, Measured = 15;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Nothing_is_left_of_an_ADD_or_a_DEL_whose_plugin_is_killed_at_50_instants()
    {
        var random = new Random(Seed.Value);
        var settings = new ClusterSettings("avcpluginkill")
        {
            Nodes = ["nodea"],
            InstanceType = "m5.24xlarge",
            Silo = ImmutableDictionary<string, string>.Empty.Add("Pool__WarmIps", "8").Add("Pool__Cooldown", "00:00:01").Add("Pool__PreferredRest", "00:00:02"),
        };
        await using var cluster = await TestCluster.StartAsync(settings);
        var node = cluster.Nodes[0];
        Console.WriteLine($"{settings.Name}: {Seed.Variable}={Seed.Value}");
        var (usual, usualDel) = await MeasureAsync(node);
        await NothingLeftAsync(cluster, []);
        var before = await node.SnapshotAsync();
        var (kills, had, tries) = (0, 0, 0);
        while (kills < Kills)
        {
            Assert.True(++tries <= MostTries, $"Only {kills} of {MostTries} plugins were killed before their end.");
            var instant = usual * random.NextDouble();
            var sandbox = await CniCallOnNode.StartAsync(node, $"kill{tries}");
            var killed = await CallAndKillAsync(sandbox, "ADD", instant);
            var deleted = await sandbox.DelAsync();
            try
            {
                Assert.True(deleted.ExitCode == 0, Encoding.UTF8.GetString(deleted.Stdout));
                await NothingLeftAsync(cluster, [sandbox]); // While its namespace is still there: the DEL has done it, and not the namespace's end.
            }
            catch (Exception e)
            {
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                    $"With {Seed.Variable}={Seed.Value}, try {tries}, after {instant.TotalMilliseconds:0.00} of {usual.TotalMilliseconds:0.00} ms: {e.Message}"), e);
            }

            await sandbox.DisposeAsync();
            if (killed.ExitCode == 128 + ProcessId.SigKill) // Otherwise it had ended already: an ADD and a DEL like any other.
            {
                kills++;
                had += await HadAddressAsync(node, sandbox.ContainerId) ? 1 : 0;
            }
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"an ADD takes {usual.TotalMilliseconds:0.0} ms; {kills} of {tries} plugins were killed before their end, and {had} of these sandboxes had an address when their DEL came"));
        await KillDelsAsync(cluster, random, usualDel);
        Assert.Empty((await node.SnapshotAsync()).LeftOverSince(before));
        var (exitCode, output) = await cluster.CheckCallsAsync();
        Assert.True(exitCode == 0, output);
    }

    /// <summary>Several pods at a time, whose DELs are killed one after the other and then asked for again.</summary>
    private static async Task KillDelsAsync(TestCluster cluster, Random random, TimeSpan usual)
    {
        var node = cluster.Nodes[0];
        var (kills, done, tries) = (0, 0, 0);
        while (kills < Kills)
        {
            Assert.True(tries <= MostTries, $"Only {kills} of {tries} plugins were killed before their end.");
            var pods = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => CniCallOnNode.StartAsync(node, $"del{Interlocked.Increment(ref tries)}")));
            Assert.All(await Task.WhenAll(pods.Select(pod => pod.AddAsync())), added => Assert.True(added.ExitCode == 0, Encoding.UTF8.GetString(added.Stdout)));
            List<CniCallOnNode> killed = [];
            foreach (var pod in pods)
            {
                if ((await CallAndKillAsync(pod, "DEL", usual * random.NextDouble())).ExitCode == 128 + ProcessId.SigKill)
                {
                    killed.Add(pod);
                }

                var again = await pod.DelAsync();
                Assert.True(again.ExitCode == 0, Encoding.UTF8.GetString(again.Stdout));
            }

            await NothingLeftAsync(cluster, pods);
            var log = await File.ReadAllTextAsync(node.Executor!.LogFile);
            kills += killed.Count;
            done += killed.Count(pod => log.Contains($" 3232 DEL sandbox {pod.Holder}/eth0: had no address", StringComparison.Ordinal)); // The one that came again.
            await Task.WhenAll(pods.Select(pod => pod.DisposeAsync().AsTask()));
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"a DEL takes {usual.TotalMilliseconds:0.0} ms; {kills} of {tries} plugins were killed before their end, and {done} of these DELs were carried out all the same"));
    }

    /// <returns>From the plugin's having its configuration to its end: the medians.</returns>
    private static async Task<(TimeSpan Add, TimeSpan Del)> MeasureAsync(ClusterNode node)
    {
        List<TimeSpan> adds = [], dels = [];
        for (var round = 0; round < WarmUps + Measured; round++)
        {
            await using var sandbox = await CniCallOnNode.StartAsync(node, $"measured{round}");
            adds.Add(await TimeAsync(sandbox, "ADD"));
            dels.Add(await TimeAsync(sandbox, "DEL"));
        }

        return (adds.Skip(WarmUps).Order().ElementAt(Measured / 2), dels.Skip(WarmUps).Order().ElementAt(Measured / 2));
    }

    private static async Task<TimeSpan> TimeAsync(CniCallOnNode sandbox, string command)
    {
        using var plugin = sandbox.Begin(command);
        var began = Stopwatch.GetTimestamp();
        await plugin.GiveAsync(Encoding.UTF8.GetBytes(CniCallOnNode.Config));
        var result = await plugin.ResultAsync();
        Assert.True(result.ExitCode == 0, Encoding.UTF8.GetString(result.Stdout));
        return Stopwatch.GetElapsedTime(began);
    }

    private static async Task<PluginResult> CallAndKillAsync(CniCallOnNode sandbox, string command, TimeSpan instant)
    {
        using var plugin = sandbox.Begin(command);
        var began = Stopwatch.GetTimestamp();
        await plugin.GiveAsync(Encoding.UTF8.GetBytes(CniCallOnNode.Config));
        while (Stopwatch.GetElapsedTime(began) < instant)
        {
            // A timer is not as exact as the instants are near to each other.
        }

        plugin.Kill();
        return await plugin.ResultAsync();
    }

    /// <summary>By the executor's log (event 3231).</summary>
    private static async Task<bool> HadAddressAsync(ClusterNode node, string containerId) =>
        (await File.ReadAllLinesAsync(node.Executor!.LogFile)).Any(line => line.Contains(" 3231 DEL ", StringComparison.Ordinal) && line.Contains($"sandbox {containerId}/eth0: had 10.", StringComparison.Ordinal));

    private static Task NothingLeftAsync(TestCluster cluster, IReadOnlyCollection<CniCallOnNode> sandboxes) =>
        Eventually.HoldsAsync("nothing to be left of the sandbox in kernel, lease, store and EC2", Patience, async _ =>
            (await AddressBooks.ReadAsync(cluster, cluster.Nodes[0], sandboxes)).Wrong([]) is { Count: > 0 } wrong ? string.Join('\n', wrong) : null);
}
