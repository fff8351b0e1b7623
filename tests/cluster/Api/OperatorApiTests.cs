using System.Net;
using System.Text.Json;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Silo.Views;
using AwsVpcCni.Tests.Cluster.Grains;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Api;

/// <summary>What operators read of the cluster over HTTP, from the real grains: each resource, and what cannot be asked.</summary>
public sealed class OperatorApiTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Subnets_say_what_is_used_and_one_alone_says_the_same()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        await using var door = await OperatorDoor.OpenAsync(world);
        var executor = await ReadyAsync(world, 4);
        await executor.AddedAsync("pod");
        await executor.SyncAsync();
        await UntilAsync(async () => (await world.SubnetAsync()).OnPods == 1, "the ledger hears of the pod");

        var list = await door.ReadAsync("/api/v1/subnets");
        Assert.Equal(["subnet-a", "subnet-b"], list.GetProperty("items").EnumerateArray().Select(subnet => subnet.GetProperty("subnetId").GetString()));
        Assert.Equal(JsonValueKind.Null, list.GetProperty("next").ValueKind);

        var seen = await world.SubnetAsync();
        var one = await door.ReadAsync("/api/v1/subnets/subnet-a");
        Assert.Equal(("10.0.0.0/24", 256, 1, seen.Leased), (one.GetProperty("cidr").GetString(), one.GetProperty("size").GetInt32(), one.GetProperty("onPods").GetInt32(), one.GetProperty("leased").GetInt32()));
        Assert.Equal(seen.Leased, one.GetProperty("holders").GetProperty(executor.Node.GetPrimaryKeyString()).GetInt32());
    }

    [Fact]
    public async Task Of_a_subnet_that_nodes_have_emptied_it_is_told_what_would_help()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 9, MaxEnis = 1, Thrift = false }, cidr: "10.0.0.0/28");
        await using var door = await OperatorDoor.OpenAsync(world);
        world.Launch(); // Eleven addresses: its own one, that of the node, and nine.
        await ReadyAsync(world, 9);
        await UntilAsync(async () => (await world.SubnetAsync()) is { Free: 0, Warm: 9 }, "the ledger to see it");

        var subnets = (await door.ReadAsync("/api/v1/subnets")).GetProperty("items").EnumerateArray().ToDictionary(subnet => subnet.GetProperty("subnetId").GetString()!, subnet => subnet.GetProperty("help"));
        var first = subnets["subnet-a"].EnumerateArray().First();
        Assert.Equal(("LowerTargets", 9), (first.GetProperty("code").GetString(), first.GetProperty("addresses").GetInt32()));
        Assert.Empty(subnets["subnet-b"].EnumerateArray());
    }

    [Fact]
    public async Task Nodes_come_in_pages_each_once()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        await using var door = await OperatorDoor.OpenAsync(world);
        for (var nodes = 0; nodes < 5; nodes++)
        {
            await ReadyAsync(world, 1);
        }

        var views = new ClusterViews(world.Grains, "test", GrainWorld.VpcId, null);
        Assert.Equal(5, (await views.NodeIdsAsync()).Length);
        var (seen, pages) = (new List<string>(), 0);
        for (var path = "/api/v1/nodes?limit=2"; path is not null; pages++)
        {
            var page = await door.ReadAsync(path);
            seen.AddRange(page.GetProperty("items").EnumerateArray().Select(node => node.GetProperty("instanceId").GetString()!));
            path = page.GetProperty("next").GetString();
        }

        Assert.Equal(3, pages);
        Assert.Equal(await views.NodeIdsAsync(), seen);
    }

    [Fact]
    public async Task A_node_is_told_with_its_blocks_as_ipam_tells_it()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await using var door = await OperatorDoor.OpenAsync(world);
        var executor = await ReadyAsync(world, 2);
        var address = await executor.AddedAsync("pod");
        await executor.SyncAsync();

        var node = await door.ReadAsync($"/api/v1/nodes/{executor.Node.GetPrimaryKeyString()}");
        Assert.Equal(("m5.large", 1), (node.GetProperty("summary").GetProperty("instanceType").GetString(), node.GetProperty("summary").GetProperty("onPods").GetInt32()));
        var block = Assert.Single(node.GetProperty("blocks").EnumerateArray(), block => block.GetProperty("stage").GetString() == nameof(BlockStage.OnPod));
        Assert.Equal($"{address}", block.GetProperty("block").GetString());
    }

    [Fact]
    public async Task Who_has_and_had_an_address_is_told_with_its_moment()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { MinimumIps = 1, WarmIps = 0 });
        await using var door = await OperatorDoor.OpenAsync(world);
        var executor = await ReadyAsync(world, 1);
        var address = await executor.AddedAsync("first");
        await executor.SyncAsync();
        world.Time.Shift(TimeSpan.FromMinutes(2));
        var then = world.Time.GetUtcNow().AddMinutes(-1);
        await executor.DeletedAsync("first");
        world.Time.Shift(TimeSpan.FromMinutes(2));

        Assert.Equal(["first"], Pods(await door.ReadAsync($"/api/v1/addresses/{address}?at={then:yyyy-MM-ddTHH:mm:ssZ}")));
        Assert.Equal(["first"], Pods(await door.ReadAsync($"/api/v1/addresses/{address}")));
        Assert.Empty(Pods(await door.ReadAsync($"/api/v1/addresses/{address}?at={world.Time.GetUtcNow():yyyy-MM-ddTHH:mm:ssZ}")));
        Assert.Empty(Pods(await door.ReadAsync("/api/v1/addresses/10.0.0.200"))); // Of the subnet, and never on a pod.

        static string[] Pods(JsonElement answer) => [.. answer.GetProperty("holders").EnumerateArray().Select(row => row.GetProperty("pod").GetProperty("name").GetString()!)];
    }

    [Fact]
    public async Task Waiting_pods_come_with_how_many_there_are_when_only_some_are_asked_for()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0, Provisions = false });
        await using var door = await OperatorDoor.OpenAsync(world);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the interface");
        foreach (var (name, waited) in new[] { ("new", 10), ("old", 200) })
        {
            executor.Waiting.Add(new Waiter(new SandboxKey(name, "eth0"), new PodName("shop", name, ""), executor.NextStamp(), waited));
        }

        await executor.SyncAsync();
        var list = await door.ReadAsync("/api/v1/pods?waiting&limit=1");
        Assert.Equal(2, list.GetProperty("total").GetInt32());
        var longest = Assert.Single(list.GetProperty("items").EnumerateArray());
        Assert.Equal(("old", nameof(ReasonCode.NotProvisioned)), (longest.GetProperty("pod").GetProperty("name").GetString(), longest.GetProperty("why").GetProperty("code").GetString()));
    }

    [Fact]
    public async Task The_budget_is_that_of_the_settings_and_an_edge_without_a_region_has_none()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        await using var door = await OperatorDoor.OpenAsync(world);
        await using var edge = await OperatorDoor.OpenAsync(world, region: null);
        await world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey).TakeAsync(Ec2Action.DeleteNetworkInterface, CallPriority.CleanUp);

        var delete = Assert.Single((await door.ReadAsync("/api/v1/quota")).EnumerateArray(), action => action.GetProperty("action").GetString() == nameof(Ec2Action.DeleteNetworkInterface));
        Assert.Equal((80, 1), (delete.GetProperty("size").GetInt32(), delete.GetProperty("granted").GetProperty(nameof(CallPriority.CleanUp)).GetInt32()));
        Assert.Equal(HttpStatusCode.NotFound, (await edge.Http.GetAsync("/api/v1/quota", Cancellation)).StatusCode);
    }

    [Theory]
    [InlineData("GET", "/api/v1/subnets/subnet-nobody", 404, "no subnet of vpc-0a")]
    [InlineData("GET", "/api/v1/nodes/i-0123456789abcdef0", 404, "has not joined vpc-0a")]
    [InlineData("GET", "/api/v1/addresses/192.168.0.1", 404, "in no subnet of vpc-0a and in no history")]
    [InlineData("GET", "/api/v1/addresses/fd00::1", 404, "in no subnet of vpc-0a")]
    [InlineData("GET", "/api/v1/addresses/10.1", 400, "10.1 is no address such as 10.0.1.17")]
    [InlineData("GET", "/api/v1/addresses/010.0.0.1", 400, "is no address")]
    [InlineData("GET", "/api/v1/addresses/many", 400, "is no address")]
    [InlineData("GET", "/api/v1/addresses/10.0.0.7?at=2999-01-01T00:00:00Z", 400, "has not come yet")]
    [InlineData("GET", "/api/v1/addresses/10.0.0.7?at=noon", 400, "at noon is no time such as")]
    [InlineData("GET", "/api/v1/addresses/10.0.0.7?at=", 400, "is no time such as")]
    [InlineData("GET", "/api/v1/addresses/10.0.0.7?when=now", 400, "when is nothing that /api/v1/addresses/10.0.0.7 takes; it takes at")]
    [InlineData("GET", "/api/v1/nodes?limit=201", 400, "limit is '201'; it must be a whole number from 1 to 200")]
    [InlineData("GET", "/api/v1/nodes?limit=99999999999999999999", 400, "limit is '99999999999999999999'")]
    [InlineData("GET", "/api/v1/nodes?limit=0", 400, "limit is '0'")]
    [InlineData("GET", "/api/v1/subnets?limit=-1", 400, "limit is '-1'")]
    [InlineData("GET", "/api/v1/subnets?limit=1&limit=2", 400, "limit is '1,2'")]
    [InlineData("GET", "/api/v1/pods", 400, "ask for /api/v1/pods?waiting")]
    [InlineData("GET", "/api/v1/pods?waiting=false", 400, "ask for /api/v1/pods?waiting")]
    [InlineData("GET", "/api/v1/quota?region=eu", 400, "it takes no question")]
    [InlineData("GET", "/api/v1/", 404, "/api/v1/ is nothing here")]
    [InlineData("GET", "/api/v2/subnets", 404, "There is /api/v1/subnets")]
    [InlineData("POST", "/api/v1/subnets", 405, "POST is not for /api/v1/subnets")]
    [InlineData("DELETE", "/api/v1/nodes/i-0123456789abcdef0", 405, "only read, by GET")]
    [InlineData("GET", "/v1/wait", 404, "/v1/wait is nothing here. There is /v1/policy, ")]
    [InlineData("GET", "/", 404, "/ is nothing here. There is /v1/policy, ")]
    [InlineData("POST", "/v1/waiting", 405, "POST is not for /v1/waiting: it takes GET.")]
    [InlineData("DELETE", "/v1/nodes/i-0123456789abcdef0/waiting", 405, "it takes GET.")]
    [InlineData("GET", "/v1/switches/all", 405, "GET is not for /v1/switches/all: it takes PUT.")]
    [InlineData("PUT", "/metrics", 405, "it takes GET, HEAD.")]
    public async Task What_cannot_be_asked_is_a_problem_document_that_says_what_to_do(string method, string path, int status, string said)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        await using var door = await OperatorDoor.OpenAsync(world);
        using var request = new HttpRequestMessage(new HttpMethod(method), path);

        using var answer = await door.Http.SendAsync(request, Cancellation);

        Assert.Equal((status, "application/problem+json"), ((int)answer.StatusCode, answer.Content.Headers.ContentType?.MediaType));
        Assert.Equal(status == 405, answer.Content.Headers.Allow.Count > 0);
        using var problem = await JsonDocument.ParseAsync(await answer.Content.ReadAsStreamAsync(Cancellation), default, Cancellation);
        Assert.Equal(status, problem.RootElement.GetProperty("status").GetInt32());
        Assert.Contains(said, problem.RootElement.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_has_an_answer_already_is_told_so_until_it_is_another()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        await using var door = await OperatorDoor.OpenAsync(world);
        var quota = world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey);
        var first = await GetAsync(door, HttpMethod.Get, null);
        var tag = first.Headers.ETag!;
        Assert.False(tag.IsWeak);

        foreach (var held in new[] { $"{tag}", $"W/{tag}", $"\"other\", {tag}", "*" })
        {
            var same = await GetAsync(door, HttpMethod.Get, held);
            Assert.Equal((HttpStatusCode.NotModified, tag, 0), (same.StatusCode, same.Headers.ETag, (await same.Content.ReadAsByteArrayAsync(Cancellation)).Length));
        }

        Assert.Equal(HttpStatusCode.OK, (await GetAsync(door, HttpMethod.Get, "\"other\"")).StatusCode);
        var head = await GetAsync(door, HttpMethod.Head, null);
        Assert.Equal((HttpStatusCode.OK, tag, first.Content.Headers.ContentLength), (head.StatusCode, head.Headers.ETag, head.Content.Headers.ContentLength));

        await quota.TakeAsync(Ec2Action.DeleteNetworkInterface, CallPriority.CleanUp);
        var next = await GetAsync(door, HttpMethod.Get, $"{tag}");
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
        Assert.NotEqual(tag, next.Headers.ETag);
    }

    private static async Task<HttpResponseMessage> GetAsync(OperatorDoor door, HttpMethod method, string? held)
    {
        using var request = new HttpRequestMessage(method, "/api/v1/quota");
        if (held is not null)
        {
            request.Headers.TryAddWithoutValidation("If-None-Match", held);
        }

        return await door.Http.SendAsync(request, Cancellation);
    }

    private static async Task<FakeExecutor> ReadyAsync(GrainWorld world, int addresses)
    {
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == addresses, "leased addresses");
        await executor.SyncAsync(); // Its interface is set up.
        return executor;
    }

    private static async Task UntilAsync(Func<Task<bool>> isSo, string what)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!await isSo())
        {
            Assert.False(patience.IsCancellationRequested, $"waited 20 s for: {what}");
            await Task.Delay(50, Cancellation);
        }
    }
}
