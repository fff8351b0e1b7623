using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Tests.Cluster.Grains;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Api;

/// <summary>The operators' door to what is switched off, over the real grains.</summary>
public sealed class SwitchesApiTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_switched_off_is_listed_and_seen_at_nodes_subnets_and_metrics_until_it_ends()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        await using var door = await OperatorDoor.OpenAsync(world);
        var id = world.Launch();
        await GrainWorld.UntilAsync(await world.JoinAsync(id), orders => orders.Lease.Length == 1, "an address");

        Assert.Equal((HttpStatusCode.OK, ""), await PutAsync(door, "all", "\"0\"", """{"mode":"hold","who":"ada","why":"a review"}"""));
        Assert.Equal((HttpStatusCode.OK, ""), await PutAsync(door, id, "\"1\"", """{"mode":"frozen","who":"ada","why":"a fire"}"""));
        var shown = await door.ReadAsync("/v1/switches");
        Assert.Equal([("all", "Hold", "a review"), (id, "Frozen", "a fire")], shown.GetProperty("switches").EnumerateArray().Select(one => (one.GetProperty("target").GetString()!, one.GetProperty("mode").GetString()!, one.GetProperty("why").GetString()!)));
        Assert.Equal(2, shown.GetProperty("version").GetInt64());

        world.Settings.Switches = (await world.Grains.GetGrain<AwsVpcCni.Grains.Cluster.IClusterGrain>("test").ReadAsync()).Switches!.Value; // As a silo's follower does within five seconds.
        Assert.Equal(("Frozen", "a fire"), Switch((await door.ReadAsync($"/api/v1/nodes/{id}")).GetProperty("summary")));
        Assert.Equal(("Hold", "a review"), Switch(await door.ReadAsync("/api/v1/subnets/subnet-a")));
        var metrics = await door.Http.GetStringAsync("/metrics", Cancellation);
        Assert.Contains("\naws_vpc_cni_switches{scope=\"cluster\",mode=\"Hold\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("\naws_vpc_cni_switches{scope=\"subnet\",mode=\"Frozen\"} 0\n", metrics, StringComparison.Ordinal);
        Assert.Contains("\naws_vpc_cni_switch_age_seconds{scope=\"node\",mode=\"Frozen\"} ", metrics, StringComparison.Ordinal);

        Assert.Equal((HttpStatusCode.OK, ""), await PutAsync(door, id, "\"2\"", """{"mode":"normal","who":"ada","why":"it is out"}"""));
        Assert.Equal("all", Assert.Single((await door.ReadAsync("/v1/switches")).GetProperty("switches").EnumerateArray()).GetProperty("target").GetString());
    }

    [Fact]
    public async Task Strangers_who_are_refused_since_they_are_not_on_loopback_take_no_place_of_the_operators()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        await using var door = await OperatorDoor.OpenAsync(world, readers: 1); // 50 at first, and 50 a second.
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var (refused, tooMany) = (0, new TaskCompletionSource());
        var strangers = Enumerable.Range(0, 60).Select(_ => FloodAsync()).ToArray();
        await tooMany.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancellation);

        for (var asked = 0; asked < 20; asked++)
        {
            using var answer = await door.Http.GetAsync("/v1/switches", Cancellation);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        await ends.CancelAsync();
        await Task.WhenAll(strangers);
        Assert.True(refused > 0);

        async Task FloodAsync()
        {
            while (!ends.IsCancellationRequested)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/switches") { Headers = { { OperatorDoor.CameInAt, "10.0.0.5" } } };
                using var answer = await door.Http.SendAsync(request, Cancellation);
                if (answer.StatusCode == HttpStatusCode.TooManyRequests)
                {
                    tooMany.TrySetResult();
                }
                else
                {
                    Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
                    Interlocked.Increment(ref refused);
                }
            }
        }
    }

    [Theory]
    [InlineData("all", null, """{"mode":"hold","who":"ada","why":"x"}""", HttpStatusCode.PreconditionRequired, "Read it first")]
    [InlineData("all", "\"7\"", """{"mode":"hold","who":"ada","why":"x"}""", HttpStatusCode.PreconditionFailed, "have version 0, by nobody; yours is for 7")]
    [InlineData("all", "\"0\"", """{"mode":"off","who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "mode is off; it must be normal, hold or frozen")]
    [InlineData("all", "\"0\"", """{"mode":"hold","who":"ada"}""", HttpStatusCode.BadRequest, "why must be a text of 1 to 500 characters")]
    [InlineData("all", "\"0\"", """{"mode":"hold","who":"ada","why":"x","until":"noon"}""", HttpStatusCode.BadRequest, "until is not known. Send {")]
    [InlineData("all", "\"0\"", """{"mode":"hold","who":"ada","why":"x","Mode":"frozen"}""", HttpStatusCode.BadRequest, "Mode is in the body twice")]
    [InlineData("all", "\"0\"", "[]", HttpStatusCode.BadRequest, "The body is []; send {")]
    [InlineData("all", "\"0\"", "hold", HttpStatusCode.BadRequest, "no JSON")]
    [InlineData("subnet-z", "\"0\"", """{"mode":"hold","who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "subnet-z is no node and no subnet of vpc-0a")]
    [InlineData("subnet-a", "\"0\"", """{"mode":"normal","who":"ada","why":"x"}""", HttpStatusCode.BadRequest, "subnet-a is not switched off; nothing is")]
    public async Task A_bad_switching_is_refused_and_changes_nothing(string target, string? ifMatch, string body, HttpStatusCode status, string said)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        await using var door = await OperatorDoor.OpenAsync(world);

        var (refused, problem) = await PutAsync(door, target, ifMatch, body);

        Assert.Equal(status, refused);
        Assert.Contains(said, problem, StringComparison.Ordinal);
        Assert.Equal(0, (await door.ReadAsync("/v1/switches")).GetProperty("version").GetInt64());
    }

    [Fact]
    public async Task Elsewhere_than_on_loopback_nothing_is_shown_or_switched()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy());
        await using var door = await OperatorDoor.OpenAsync(world, cameInAt: IPAddress.Parse("10.0.0.5"));

        Assert.Equal(HttpStatusCode.Forbidden, (await door.Http.GetAsync("/v1/switches", Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await PutAsync(door, "all", "\"0\"", """{"mode":"hold","who":"ada","why":"x"}""")).Status);
    }

    private static (string?, string?) Switch(JsonElement seen) => seen.GetProperty("switch") is var one ? (one.GetProperty("mode").GetString(), one.GetProperty("why").GetString()) : default;

    private static async Task<(HttpStatusCode Status, string Problem)> PutAsync(OperatorDoor door, string target, string? ifMatch, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/v1/switches/{target}") { Content = new StringContent(body) };
        if (ifMatch is not null)
        {
            request.Headers.IfMatch.Add(new EntityTagHeaderValue(ifMatch));
        }

        using var answer = await door.Http.SendAsync(request, Cancellation);
        using var document = await JsonDocument.ParseAsync(await answer.Content.ReadAsStreamAsync(Cancellation), default, Cancellation);
        return (answer.StatusCode, answer.IsSuccessStatusCode ? "" : $"{document.RootElement.GetProperty("title")}: {document.RootElement.GetProperty("detail")}");
    }
}
