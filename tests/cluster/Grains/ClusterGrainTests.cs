using System.Text.Json.Nodes;
using AwsVpcCni.Grains.Cluster;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

public sealed class ClusterGrainTests
{
    [Fact] // Simulation, seed 14: the activation that was left after a split answered from its memory for ever, and a silo kept the old policy.
    public async Task What_another_activation_has_written_is_what_silos_hear()
    {
        await using var world = await GrainWorld.StartAsync(new());
        var cluster = world.Grains.GetGrain<IClusterGrain>("test");
        await cluster.ChangeAsync(new PolicyChange(0, null, new() { WarmIps = 1 }, "someone", "a test"));
        var (json, etag) = world.Documents.Read("cluster", cluster.GetGrainId());
        var newer = JsonNode.Parse(json!)!;
        newer["version"] = 2;

        world.Documents.Write("cluster", cluster.GetGrainId(), newer.ToJsonString(), etag);

        Assert.Equal(2, (await cluster.ReadAsync()).Version);
    }
}
