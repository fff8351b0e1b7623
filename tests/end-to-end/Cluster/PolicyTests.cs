using System.Net;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>The policy is changed while pods run: what nodes hold, by EC2, follows, and no pod notices.</summary>
/// <remarks>The tests share a cluster. Each sets its policy first, and takes its pods away. Holdings are as <see cref="EmulatorProcess.HeldAsync"/> writes them.</remarks>
public sealed class PolicyTests(PolicyTests.Running running) : IClassFixture<PolicyTests.Running>
{
    private const string Cooldown = "00:00:01", PreferredRest = "00:00:02"; // Short, so that what is given back is seen soon.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private TestCluster Cluster => running.Cluster;

    private ClusterNode A => Cluster.Nodes[0];

    private ClusterNode B => Cluster.Nodes[1];

    [Fact]
    public async Task Pods_go_on_while_nodes_turn_from_addresses_to_prefixes_and_back()
    {
        await SetAsync(new { warmIps = 2, Cooldown, PreferredRest });
        await HoldAsync("1+2+0", "1+2+0");
        var before = new[] { await A.SnapshotAsync(), await B.SnapshotAsync() };
        var heartbeat = await Heartbeat.StartAsync(A.Cri, B.Cri);

        await SetAsync(new { prefixes = true, warmPrefixes = 1, Cooldown, PreferredRest });
        await HoldAsync("1+1+1", "1+1+1"); // The pods' own addresses stay; the free ones have gone.
        await heartbeat.GoesOnAsync();
        var inPrefixes = await RunAndTalkAsync("in-prefix");
        Assert.Equal((true, true), (await IsInPrefixAsync(inPrefixes.OnA), await IsInPrefixAsync(inPrefixes.OnB)));

        // Another operator, who has read an older version.
        var version = (await Cluster.Silo.Policy.ReadAsync()).GetProperty("version").GetInt64();
        var (status, said) = await Cluster.Silo.Policy.SendAsync(HttpMethod.Put, PolicyDoor.OfCluster, $"\"{version - 1}\"", new { policy = new { warmIps = 9 }, who = "bob", why = "late" });
        Assert.Equal(HttpStatusCode.PreconditionFailed, status);
        Assert.Contains($"version {version}, by a test", said, StringComparison.Ordinal);

        await SetAsync(new { warmIps = 2, Cooldown, PreferredRest });
        await HoldAsync("1+3+1", "1+3+1"); // A prefix with a pod stays.
        await heartbeat.GoesOnAsync();
        var single = await RunAndTalkAsync("single");
        Assert.Equal((false, false), (await IsInPrefixAsync(single.OnA), await IsInPrefixAsync(single.OnB)));
        await A.Cri.StopAndRemoveAsync(inPrefixes.OnA);
        await B.Cri.StopAndRemoveAsync(inPrefixes.OnB);
        await HoldAsync("1+4+0", "1+4+0"); // Two pods and two warm.
        await heartbeat.GoesOnAsync();

        await A.Cri.StopAndRemoveAsync(single.OnA);
        await B.Cri.StopAndRemoveAsync(single.OnB);
        await heartbeat.StopAsync();
        await HoldAsync("1+2+0", "1+2+0");
        await Eventually.HoldsAsync("nothing to be left over", Patience, async _ =>
        {
            string[] left = [.. (await A.SnapshotAsync()).LeftOverSince(before[0]), .. (await B.SnapshotAsync()).LeftOverSince(before[1]), .. await Rows.AssignedAsync(Cluster.Silo)];
            return left.Length == 0 ? null : string.Join('\n', left);
        });
    }

    [Fact]
    public async Task Nodes_go_to_each_target_that_is_set_by_an_operator_or_by_the_settings_file()
    {
        var pod = await A.Cri.RunPodAsync("busy");

        await SetAsync(new { warmIps = 3, Cooldown, PreferredRest });
        await HoldAsync("1+4+0", "1+3+0"); // One is on the pod.
        await SetAsync(new { warmEnis = 1, Cooldown, PreferredRest });
        await HoldAsync("2+18+0", "1+9+0"); // Whole interfaces: with a pod on the first one, that is not free.
        await SetAsync(new { warmEnis = 2, Cooldown, PreferredRest });
        await HoldAsync("3+27+0", "2+18+0");
        await SetAsync(new { warmIps = 1, minimumIps = 5, Cooldown, PreferredRest });
        await HoldAsync("1+5+0", "1+5+0");
        await SetAsync(new { prefixes = true, warmPrefixes = 2, Cooldown, PreferredRest });
        await HoldAsync("1+1+2", "1+0+2");
        await SetAsync(new { prefixes = true, warmPrefixes = 1, Cooldown, PreferredRest });
        await HoldAsync("1+1+1", "1+0+1");

        await SetAsync(null);
        await HoldAsync("1+3+0", "1+2+0");
        await File.WriteAllTextAsync(Cluster.Silo.SettingsFile, Running.File(warmIps: "4"), TestContext.Current.CancellationToken);
        await HoldAsync("1+5+0", "1+4+0");
        await File.WriteAllTextAsync(Cluster.Silo.SettingsFile, Running.File(warmIps: "-4"), TestContext.Current.CancellationToken);
        await Eventually.HoldsAsync("the silo to refuse the file", Patience, async cancellation =>
            (await File.ReadAllLinesAsync(Cluster.Silo.LogFile, cancellation)).Any(line => line.Contains("[2902]", StringComparison.Ordinal) && line.Contains("WarmIps", StringComparison.Ordinal)) ? null : Cluster.Silo.Daemon!.LogEnd(3));
        Assert.Equal(4, (await Cluster.Silo.Policy.ReadAsync()).GetProperty("policy").GetProperty("warmIps").GetInt32());
        await File.WriteAllTextAsync(Cluster.Silo.SettingsFile, Running.File(warmIps: "1"), TestContext.Current.CancellationToken);
        await HoldAsync("1+2+0", "1+1+0");
        await A.Cri.StopAndRemoveAsync(pod);
    }

    [Fact]
    public async Task What_operators_freeze_by_ipam_stays_as_it_is_until_they_end_it_and_the_policy_that_they_set_is_followed()
    {
        await File.WriteAllTextAsync(Cluster.Silo.SettingsFile, Running.File(warmIps: "2"), TestContext.Current.CancellationToken); // Another test may have left something else.
        await SetAsync(new { warmIps = 2, Cooldown, PreferredRest });
        await HoldAsync("1+2+0", "1+2+0");
        await Cluster.Silo.IpamAsync("frozen", "--node", A.InstanceId, "--who", "ada", "--why", "a review");
        Assert.Matches("warmIps +3", await Cluster.Silo.IpamAsync("policy", "set", "warmIps=3", "--who", "ada", "--why", "more"));
        await HoldAsync("1+2+0", "1+3+0");
        Assert.Matches($"{A.InstanceId} +frozen", await Cluster.Silo.IpamAsync("switches"));
        Assert.Contains($"{A.InstanceId} is frozen, by ada at ", await Cluster.Silo.IpamAsync("nodes"), StringComparison.Ordinal);

        Assert.Contains("Nothing is switched off.", await Cluster.Silo.IpamAsync("normal", "--node", A.InstanceId, "--why", "it is over"), StringComparison.Ordinal);
        await HoldAsync("1+3+0", "1+3+0");
        Assert.Contains("set by operators for all nodes", await Cluster.Silo.IpamAsync("policy", "get"), StringComparison.Ordinal);
        Assert.Contains("set by the silos' settings", await Cluster.Silo.IpamAsync("policy", "unset", "--why", "it is over"), StringComparison.Ordinal);
        await HoldAsync("1+2+0", "1+2+0");
    }

    private async Task<(Pod OnA, Pod OnB)> RunAndTalkAsync(string name)
    {
        var (a, b) = (await A.Cri.RunPodAsync("a-" + name), await B.Cri.RunPodAsync("b-" + name));
        Assert.Contains("1 packets received", await A.Cri.ExecAsync(a, "ping", "-c", "1", "-W", "5", b.Address), StringComparison.Ordinal);
        return (a, b);
    }

    private async Task<bool> IsInPrefixAsync(Pod pod) =>
        (await Cluster.Emulator.StateAsync()).Interfaces.Any(eni => eni.Prefixes.Any(prefix => IPNetwork.Parse(prefix).Contains(IPAddress.Parse(pod.Address))));

    private Task SetAsync(object? policy) => Cluster.Silo.Policy.SetAsync(policy);

    private Task HoldAsync(string a, string b) => Eventually.HoldsAsync($"the nodes to hold {a} and {b}", Patience, async _ =>
        (await Cluster.Emulator.HeldAsync(A), await Cluster.Emulator.HeldAsync(B)) is var held && held == (a, b) ? null : $"{held}");

    /// <summary>The cluster of these tests.</summary>
    public sealed class Running : IAsyncLifetime
    {
        internal TestCluster Cluster { get; private set; } = null!;

        /// <summary>The silo's own settings: what holds when no operator has said otherwise.</summary>
        internal static string File(string warmIps) => $$"""
            { "Pool": { "WarmIps": {{warmIps}}, "Cooldown": "{{Cooldown}}", "PreferredRest": "{{PreferredRest}}" } }
            """;

        public async ValueTask InitializeAsync() => Cluster = await TestCluster.StartAsync(new ClusterSettings("avcpolicy") { SiloFile = File(warmIps: "2") });

        public ValueTask DisposeAsync() => Cluster.DisposeAsync();
    }
}
