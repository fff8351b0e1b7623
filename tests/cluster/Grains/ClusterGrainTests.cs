using System.Text.Json.Nodes;
using AwsVpcCni.Core.Pool;
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

    [Fact]
    public async Task Switches_and_policies_are_of_one_version_and_keep_each_other()
    {
        await using var world = await GrainWorld.StartAsync(new() { WarmIps = 3 });
        var cluster = world.Grains.GetGrain<IClusterGrain>("test");

        Assert.True((await cluster.SwitchAsync(new SwitchChange(0, "subnet-a", SwitchMode.Frozen, "ada", "a fire"))).IsDone);
        Assert.False((await cluster.ChangeAsync(new PolicyChange(0, null, new() { WarmIps = 1 }, "bob", "had not read"))).IsDone);
        await cluster.ChangeAsync(new PolicyChange(1, null, new() { WarmIps = 1 }, "bob", "a test"));
        await cluster.SwitchAsync(new SwitchChange(2, "all", SwitchMode.Hold, "ada", "a review"));
        var read = await cluster.ReadAsync();

        Assert.Equal([("all", SwitchMode.Hold, "a review"), ("subnet-a", SwitchMode.Frozen, "a fire")], read.Switches!.Value.Select(one => (one.Target, one.Mode, one.Why)));
        Assert.Equal((3, 1, 3, "all", "ada"), (read.Version, read.Pool!.WarmIps, read.OfSettings!.WarmIps, read.Last!.Switched, read.Last.Who));
        Assert.Equal("all", Assert.Single((await cluster.SwitchAsync(new SwitchChange(3, "subnet-a", SwitchMode.Normal, "ada", "over"))).Now.Switches!.Value).Target);
    }
}
