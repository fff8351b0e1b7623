using System.Collections.Immutable;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Silo.Api;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Views;
using AwsVpcCni.Tests.Cluster.Grains;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Api;

/// <summary>The operators' door to the policy, over the real grains.</summary>
public sealed class PolicyApiTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_change_names_the_version_it_has_read_and_the_nodes_follow()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await using var door = await DoorAsync(world);
        using var http = Client(door);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 addresses");
        Assert.Equal((0, "settings", 2), await ShownAsync(http, "/v1/policy"));

        var changed = await SendAsync(http, HttpMethod.Put, "/v1/policy", "\"0\"", new { policy = new { warmIps = 5 }, who = "ada", why = "a test" });
        Assert.Equal((HttpStatusCode.OK, "\"1\""), (changed.StatusCode, changed.Headers.ETag?.Tag));
        Assert.Equal((1, "cluster", 5), await ShownAsync(http, "/v1/policy"));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 5, "5 addresses");

        var late = await SendAsync(http, HttpMethod.Put, "/v1/policy", "\"0\"", new { policy = new { warmIps = 9 }, who = "bob", why = "had not read" });
        Assert.Equal(HttpStatusCode.PreconditionFailed, late.StatusCode);
        Assert.Contains("version 1, by ada", await late.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_may_have_a_policy_of_its_own_until_it_is_taken_away()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await using var door = await DoorAsync(world);
        using var http = Client(door);
        var (own, other) = (world.Launch(), world.Launch());
        var (first, second) = (await world.JoinAsync(own), await world.JoinAsync(other));

        await SendAsync(http, HttpMethod.Put, $"/v1/nodes/{own}/policy", "\"0\"", new { policy = new { minimumIps = 7 }, who = "ada", why = "a busy node" });
        await GrainWorld.UntilAsync(first, orders => orders.Lease.Length == 7, "its own 7");
        await GrainWorld.UntilAsync(second, orders => orders.Lease.Length == 2, "the cluster's 2");

        await SendAsync(http, HttpMethod.Delete, $"/v1/nodes/{own}/policy", "\"1\"", new { who = "ada", why = "it is quiet now" });
        await GrainWorld.UntilAsync(first, orders => orders.Lease.Length == 2, "the cluster's 2");
        Assert.Equal((2, "settings", 2), await ShownAsync(http, $"/v1/nodes/{own}/policy"));
    }

    [Fact]
    public async Task Nodes_with_a_label_may_have_a_policy_of_their_own_until_it_is_taken_away()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var (own, other, nodes) = (world.Launch(), world.Launch(), new NodeTable());
        nodes.Reset([Node("n1", own, "gpu"), Node("n2", other, "cpu")]);
        await using var door = await DoorAsync(world, nodes: nodes);
        using var http = Client(door);
        var (first, second) = (await world.JoinAsync(own), await world.JoinAsync(other));

        await SendAsync(http, HttpMethod.Put, "/v1/policy?label=example.com/pool=gpu", "\"0\"", new { policy = new { minimumIps = 7, warmIps = 1 }, who = "ada", why = "busy nodes" });
        await GrainWorld.UntilAsync(first, orders => orders.Lease.Length == 7, "the label's 7");
        await GrainWorld.UntilAsync(second, orders => orders.Lease.Length == 2, "the cluster's 2");
        Assert.Equal((1, "label", 1), await ShownAsync(http, $"/v1/nodes/{own}/policy"));
        Assert.Equal((1, "label", 1), await ShownAsync(http, "/v1/policy?label=example.com/pool=gpu"));
        Assert.Equal((1, "settings", 2), await ShownAsync(http, $"/v1/nodes/{other}/policy"));
        Assert.Contains("\"labels\":[\"example.com/pool=gpu\"]", await http.GetStringAsync("/v1/policy", Cancellation), StringComparison.Ordinal);

        nodes.Put(Node("n2", other, "gpu"));
        await GrainWorld.UntilAsync(second, orders => orders.Lease.Length == 7, "the label's 7, which it bears now");

        var refused = await SendAsync(http, HttpMethod.Put, "/v1/policy?label=pool", "\"1\"", new { policy = new { warmIps = 3 }, who = "ada", why = "x" });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("pool is no label with its value", await refused.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);

        await SendAsync(http, HttpMethod.Delete, "/v1/policy?label=example.com/pool=gpu", "\"1\"", new { who = "ada", why = "it is quiet now" });
        await GrainWorld.UntilAsync(first, orders => orders.Lease.Length == 2, "the cluster's 2");
        Assert.Equal((2, "settings", 2), await ShownAsync(http, $"/v1/nodes/{own}/policy"));

        static KnownNode Node(string name, string instance, string pool) => new(name, $"uid-{name}", instance, null, ImmutableSortedDictionary<string, string>.Empty.Add("example.com/pool", pool));
    }

    [Fact]
    public async Task Settings_that_change_are_followed_at_once_each_time_and_bad_ones_are_passed_over()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await using var door = await DoorAsync(world);
        using var http = Client(door);

        // The follower begins on the thread pool: a change that it takes up shows that it has.
        door.Configuration["Pool:WarmIps"] = "3";
        ((IConfigurationRoot)door.Configuration).Reload();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (world.Settings.Pool.WarmIps != 3)
        {
            await Task.Delay(20, patience.Token);
        }

        // More than one: who hears of a change first is another each time, the options' own monitor or the follower.
        foreach (var (written, holds) in new[] { ("4", 4), ("5", 5), ("-1", 5), ("many", 5), ("7", 7) })
        {
            door.Configuration["Pool:WarmIps"] = written;
            Record.Exception(((IConfigurationRoot)door.Configuration).Reload); // The options' own monitor throws at a bad value.
            Assert.Equal(holds, world.Settings.Pool.WarmIps);
            Assert.Equal((0, "settings", holds), await ShownAsync(http, "/v1/policy"));
        }
    }

    [Theory]
    [InlineData(null, """{"policy":{"warmIps":2},"who":"ada","why":"x"}""", HttpStatusCode.PreconditionRequired, "Read it first")]
    [InlineData("\"old\"", """{"policy":{"warmIps":2},"who":"ada","why":"x"}""", HttpStatusCode.PreconditionFailed, "If-Match is \"old\". Read it first")]
    [InlineData("\"7\"", """{"policy":{"warmIps":2},"who":"ada","why":"x"}""", HttpStatusCode.PreconditionFailed, "The policy has version 0, by nobody; yours is for 7")]
    [InlineData("\"0\"", """{"policy":{"warmIps":-1},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "Pool:WarmIps is -1; it must be a whole number from 0 to 1024")]
    [InlineData("\"0\"", """{"policy":{"warmIps":"two"},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "policy.warmIps is \"two\"; it must be a whole number from 0 to 1024")]
    [InlineData("\"0\"", """{"policy":{"cooldown":5,"prefixes":"yes"},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "policy.cooldown is 5; it must be a time such as \"00:00:30\". policy.prefixes is \"yes\"; it must be true or false.")]
    [InlineData("\"0\"", """{"policy":{"warmIp":2},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "policy.warmIp is no setting; a policy has warmEnis, warmIps, ")]
    [InlineData("\"0\"", """{"policy":{"subnets":null},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "policy.subnets is null; it must be a list of subnet ids")]
    [InlineData("\"0\"", """{"policy":{"subnets":[null]},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "Pool:Subnets has ''")]
    [InlineData("\"0\"", """{"policy":{"additionalTags":{"team":null}},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "Pool:AdditionalTags has 'team'=''")]
    [InlineData("\"0\"", """{"policy":{"warmIps":2},"who":"ada"}""", HttpStatusCode.BadRequest, "why must be a text of 1 to 500 characters. Send {")]
    [InlineData("\"0\"", """{"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "policy must be an object. Send {")]
    [InlineData("\"0\"", """{"policy":{"warmIps":2,"WarmIps":3},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "policy.WarmIps is in the body twice")]
    [InlineData("\"0\"", """{"policy":{"warmIps":3},"who":"ada","why":"x","Policy":{"warmIps":-1}}""", HttpStatusCode.BadRequest, "Policy is in the body twice")]
    [InlineData("\"0\"", """{"policy":{"warmIps":3},"who":"ada","who":"","why":"x"}""", HttpStatusCode.BadRequest, "who is in the body twice")]
    [InlineData("\"0\"", """{"policy":{"additionalTags":{"team":"a","Team":"b","team":"c"}},"who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "policy.additionalTags.team is in the body twice")]
    [InlineData("\"0\"", "[]", HttpStatusCode.BadRequest, "The body is []; send {")]
    [InlineData("\"0\"", "many", HttpStatusCode.BadRequest, "no JSON")]
    [InlineData("\"0\"", """{"policy":{"warmIps":2},"who":"\ud800","why":"x"}""", HttpStatusCode.BadRequest, "no JSON")]
    public async Task A_bad_change_is_refused_and_changes_nothing(string? ifMatch, string body, HttpStatusCode status, string said)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await using var door = await DoorAsync(world);
        using var http = Client(door);

        using var content = new StringContent(body, new MediaTypeHeaderValue("application/json"));
        var refused = await SendAsync(http, HttpMethod.Put, "/v1/policy", ifMatch, content);

        Assert.Equal(status, refused.StatusCode);
        using var problem = await JsonDocument.ParseAsync(await refused.Content.ReadAsStreamAsync(Cancellation), default, Cancellation);
        Assert.Contains(said, $"{problem.RootElement.GetProperty("title")}: {problem.RootElement.GetProperty("detail")}", StringComparison.Ordinal);
        Assert.Equal((0, "settings", 2), await ShownAsync(http, "/v1/policy"));
    }

    [Fact]
    public async Task A_form_as_curl_calls_it_is_read_and_a_node_that_none_can_be_is_refused()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await using var door = await DoorAsync(world);
        using var http = Client(door);

        using var form = new StringContent("""{"policy":{"warmIps":3},"who":"ada","why":"x"}""", new MediaTypeHeaderValue("application/x-www-form-urlencoded"));
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(http, HttpMethod.Put, "/v1/policy", "\"0\"", form)).StatusCode);
        var refused = await SendAsync(http, HttpMethod.Put, "/v1/nodes/nodea/policy", "\"1\"", new { policy = new { warmIps = 3 }, who = "ada", why = "x" });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("nodea is no instance id", await refused.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task More_policies_of_nodes_and_labels_than_the_bound_are_refused_and_those_there_are_can_be_changed()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await using var door = await DoorAsync(world);
        using var http = Client(door);
        var cluster = world.Grains.GetGrain<IClusterGrain>("test");
        for (var node = 0; node < PolicyBound.Most; node++)
        {
            await cluster.ChangeAsync(new PolicyChange(node, $"i-{node:x8}", new() { WarmIps = 1 }, "ada", "a test"));
        }

        var refused = await SendAsync(http, HttpMethod.Put, "/v1/nodes/i-ffffffff/policy", "\"200\"", new { policy = new { warmIps = 3 }, who = "ada", why = "x" });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("200 nodes and labels have a policy of their own, and more are not kept. Take away those", await refused.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        await Assert.ThrowsAsync<BadQuestionException>(() => new ClusterViews(world.Grains, "test", GrainWorld.VpcId, null).ChangePolicyAsync(new PolicyChange(200, "label:a=b", new() { WarmIps = 3 }, "ada", "x"))); // `ipam`.
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(http, HttpMethod.Put, "/v1/nodes/i-00000000/policy", "\"200\"", new { policy = new { warmIps = 3 }, who = "ada", why = "x" })).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(http, HttpMethod.Delete, "/v1/nodes/i-00000000/policy", "\"201\"", new { who = "ada", why = "x" })).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(http, HttpMethod.Put, "/v1/nodes/i-ffffffff/policy", "\"202\"", new { policy = new { warmIps = 3 }, who = "ada", why = "x" })).StatusCode);
    }

    [Theory]
    [InlineData("10.0.0.5", HttpStatusCode.Forbidden)]
    [InlineData("fd00::5", HttpStatusCode.Forbidden)]
    [InlineData("::1", HttpStatusCode.OK)]
    [InlineData("::ffff:127.0.0.1", HttpStatusCode.OK)]
    public async Task Only_on_loopback_is_the_policy_shown_or_changed(string cameInAt, HttpStatusCode status)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        await using var door = await DoorAsync(world, IPAddress.Parse(cameInAt));
        using var http = Client(door);

        Assert.Equal(status, (await http.GetAsync("/v1/policy", Cancellation)).StatusCode);
        Assert.Equal(status, (await SendAsync(http, HttpMethod.Put, "/v1/policy", "\"0\"", new { policy = new { warmIps = 3 }, who = "ada", why = "x" })).StatusCode);
        Assert.Equal(status, (await SendAsync(http, HttpMethod.Delete, "/v1/nodes/i-0123456789abcdef0/policy", "\"1\"", new { who = "ada", why = "x" })).StatusCode);
        Assert.Equal(status == HttpStatusCode.OK ? 3 : 2, world.Settings.Pool.WarmIps);
    }

    private static async Task<WebApplication> DoorAsync(GrainWorld world, IPAddress? cameInAt = null, NodeTable? nodes = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection([new("Pool:WarmIps", "2")]);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton<IValidateOptions<PoolOptions>, PoolOptionsValidator>().AddOptions<PoolOptions>().BindConfiguration("Pool").ValidateOnStart();
        builder.Services.AddSingleton(world.Grains).AddSingleton(world.Settings).AddSingleton<TimeProvider>(world.Time).AddPolicies().AddOperatorApi().AddSingleton<PolicyApi.Caller>();
        if (nodes is not null)
        {
            builder.Services.AddSingleton(new NodePolicies(nodes, new EniConfigTable(), Options.Create(new KubernetesOptions { Enabled = true })));
        }

        var door = builder.Build();
        door.Use(next => context =>
        {
            context.Connection.LocalIpAddress = cameInAt ?? context.Connection.LocalIpAddress;
            return next(context);
        });
        door.MapPolicy();
        await door.StartAsync(Cancellation);
        return door;
    }

    private static HttpClient Client(WebApplication door) => new() { BaseAddress = new Uri(door.Urls.Single()) };

    private static Task<HttpResponseMessage> SendAsync(HttpClient http, HttpMethod method, string path, string? ifMatch, object body) =>
        SendAsync(http, method, path, ifMatch, JsonContent.Create(body));

    private static async Task<HttpResponseMessage> SendAsync(HttpClient http, HttpMethod method, string path, string? ifMatch, HttpContent body)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body };
        if (ifMatch is not null)
        {
            request.Headers.IfMatch.Add(new EntityTagHeaderValue(ifMatch));
        }

        return await http.SendAsync(request, Cancellation);
    }

    private static async Task<(int Version, string Source, int WarmIps)> ShownAsync(HttpClient http, string path)
    {
        using var shown = await JsonDocument.ParseAsync(await http.GetStreamAsync(path, Cancellation), default, Cancellation);
        var root = shown.RootElement;
        return (root.GetProperty("version").GetInt32(), root.GetProperty("source").GetString()!, root.GetProperty("policy").GetProperty("warmIps").GetInt32());
    }
}
