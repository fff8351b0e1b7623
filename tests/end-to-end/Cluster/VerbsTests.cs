using System.Text;
using System.Text.Json;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>CHECK, STATUS and GC by the shipped plugin, executor and silo.</summary>
public sealed class VerbsTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task CHECK_names_what_is_broken_GC_releases_the_row_of_what_is_not_listed_and_STATUS_knows_an_executor_that_is_away()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcverbs") { Nodes = ["nodea"] });
        var node = cluster.Nodes[0];
        await using var stays = await CniCallOnNode.StartAsync(node, "stays");
        await using var goes = await CniCallOnNode.StartAsync(node, "goes");
        var (kept, left) = (await stays.AddAsync(Config("")), await goes.AddAsync(Config("")));
        Succeeds(kept);
        Succeeds(left);
        Succeeds(await goes.CallAsync("STATUS", Config("")));
        Succeeds(await stays.CallAsync("CHECK", WithResult(kept)));
        Succeeds(await goes.CallAsync("CHECK", WithResult(left)));
        var address = Json(left).GetProperty("ips")[0].GetProperty("address").GetString()!.Split('/')[0];
        await Shell.RunAsync("ip", "-n", node.NetnsName, "rule", "delete", "priority", "512", "to", address);
        Fails(await goes.CallAsync("CHECK", WithResult(left)), 104, $"made it: rule 512: to {address} lookup 254 is missing.");

        Succeeds(await goes.CallAsync("GC", Config($$""","cni.dev/valid-attachments":[{"containerID":"{{stays.ContainerId}}","ifname":"eth0"}]""")));
        await Eventually.HoldsAsync("only the listed sandbox's row to be assigned", Patience, async _ =>
            await Rows.AssignedAsync(cluster.Silo) is var rows && rows.Length == 1 && rows[0].EndsWith(stays.ContainerId, StringComparison.Ordinal) ? null : string.Join('\n', rows));
        Succeeds(await stays.CallAsync("CHECK", WithResult(kept)));
        Fails(await goes.CallAsync("CHECK", WithResult(left)), 104, "the sandbox holds no address on this node");

        await node.StopExecutorAsync();
        Fails(await stays.CallAsync("STATUS", Config("")), 50, "no answer from the node executor");
        Fails(await stays.CallAsync("CHECK", WithResult(kept)), 11, "no answer from the node executor");
        Fails(await stays.CallAsync("GC", Config(""","cni.dev/valid-attachments":[]""")), 11, "no answer from the node executor");
        node.StartExecutor();
        await node.ServableAsync();
        Succeeds(await stays.CallAsync("STATUS", Config("")));
        Succeeds(await stays.CallAsync("CHECK", WithResult(kept)));
        Succeeds(await stays.CallAsync("GC", Config(""","cni.dev/valid-attachments":null"""))); // It knows the network still.
        await Eventually.HoldsAsync("no row to be assigned", Patience, async _ =>
            await Rows.AssignedAsync(cluster.Silo) is { Length: > 0 } rows ? string.Join('\n', rows) : null);
    }

    private static string Config(string keys) => $$"""{"cniVersion":"1.1.0","name":"aws-cni","type":"aws-vpc-cni"{{keys}}}""";

    private static string WithResult(PluginResult add) => Config($$""","prevResult":{{Encoding.UTF8.GetString(add.Stdout)}}""");

    private static JsonElement Json(PluginResult result) => JsonDocument.Parse(result.Stdout).RootElement;

    private static void Succeeds(PluginResult result) => Assert.True(result.ExitCode == 0, Encoding.UTF8.GetString(result.Stdout));

    private static void Fails(PluginResult result, int code, string said)
    {
        Assert.Equal((1, code), (result.ExitCode, Json(result).GetProperty("code").GetInt32()));
        Assert.Contains(said, Json(result).GetProperty("msg").GetString(), StringComparison.Ordinal);
    }
}
