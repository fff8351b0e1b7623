using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The plugin is killed at any instant of an ADD: the DEL that a runtime sends then leaves nothing.</summary>
public sealed class PluginKillTests
{
    private const int Kills = 50, MostTries = 200, WarmUps = 10, Measured = 15;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Nothing_is_left_of_an_ADD_whose_plugin_is_killed_at_50_instants()
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
        var usual = await MeasureAsync(node);
        await NothingLeftAsync(cluster, []);
        var before = await node.SnapshotAsync();
        var (kills, had, tries) = (0, 0, 0);
        while (kills < Kills)
        {
            Assert.True(++tries <= MostTries, $"Only {kills} of {MostTries} plugins were killed before their end.");
            var instant = usual * random.NextDouble();
            var sandbox = await CniCallOnNode.StartAsync(node, $"kill{tries}");
            var killed = await AddAndKillAsync(sandbox, instant);
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
        Assert.Empty((await node.SnapshotAsync()).LeftOverSince(before));
        var (exitCode, output) = await cluster.CheckCallsAsync();
        Assert.True(exitCode == 0, output);
    }

    /// <returns>From the plugin's having its configuration to its end: the median.</returns>
    private static async Task<TimeSpan> MeasureAsync(ClusterNode node)
    {
        List<TimeSpan> times = [];
        for (var add = 0; add < WarmUps + Measured; add++)
        {
            await using var sandbox = await CniCallOnNode.StartAsync(node, $"measured{add}");
            using var plugin = sandbox.Begin("ADD");
            var began = Stopwatch.GetTimestamp();
            await plugin.GiveAsync(Encoding.UTF8.GetBytes(CniCallOnNode.Config));
            var added = await plugin.ResultAsync();
            times.Add(Stopwatch.GetElapsedTime(began));
            Assert.True(added.ExitCode == 0, Encoding.UTF8.GetString(added.Stdout));
            await sandbox.DelAsync();
        }

        return times.Skip(WarmUps).Order().ElementAt(Measured / 2);
    }

    private static async Task<PluginResult> AddAndKillAsync(CniCallOnNode sandbox, TimeSpan instant)
    {
        using var plugin = sandbox.Begin("ADD");
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
