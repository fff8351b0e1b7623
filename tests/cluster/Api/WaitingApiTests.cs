using System.Net;
using System.Text.Json;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Tests.Cluster.Grains;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Api;

/// <summary>The operators' list of pods that wait, over the real grains.</summary>
public sealed class WaitingApiTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Waiting_pods_are_listed_for_a_node_and_for_all_with_code_and_text()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0, Provisions = false });
        await using var door = await OperatorDoor.OpenAsync(world);
        var http = door.Http;
        string[] ids = [world.Launch(), world.Launch()];
        foreach (var id in ids)
        {
            var executor = await world.JoinAsync(id);
            await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the interface");
            executor.Waiting.Add(new Waiter(new SandboxKey("c1", "eth0"), new PodName("shop", $"cart-{id}", ""), executor.NextStamp(), id == ids[0] ? 10 : 200));
            await executor.SyncAsync();
        }

        Assert.Equal([("shop", $"cart-{ids[1]}", "NotProvisioned"), ("shop", $"cart-{ids[0]}", "NotProvisioned")], await ListedAsync(http, "/v1/waiting")); // The longest first.
        Assert.Equal([("shop", $"cart-{ids[0]}", "NotProvisioned")], await ListedAsync(http, $"/v1/nodes/{ids[0]}/waiting"));
    }

    [Fact]
    public async Task A_node_that_never_joined_is_not_found()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        await using var door = await OperatorDoor.OpenAsync(world);
        var http = door.Http;

        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/v1/nodes/i-nobody/waiting", Cancellation)).StatusCode);
    }

    private static async Task<(string Namespace, string Name, string Code)[]> ListedAsync(HttpClient http, string path)
    {
        using var shown = await JsonDocument.ParseAsync(await http.GetStreamAsync(path, Cancellation), default, Cancellation);
        return [.. shown.RootElement.EnumerateArray().Select(one => (
            one.GetProperty("pod").GetProperty("namespace").GetString()!, one.GetProperty("pod").GetProperty("name").GetString()!, one.GetProperty("why").GetProperty("code").GetString()!))];
    }
}
