using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Tests.Cluster.NodeApi;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>Who an executor is by its projected token; and everybody else who would like to be a node.</summary>
public sealed class IdentityTests
{
    private const string OtherNode = "ip-10-0-0-8.eu-west-1.compute.internal";
    private const string OtherInstance = "i-0fedcba9876543210";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_executors_token_reaches_the_grain_of_the_instance_that_its_node_is()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();

        await AcceptedAsync(door, cluster.Token());

        Assert.Equal([Door.Node], door.Calls.Select(call => call.Key).Distinct());
    }

    [Fact]
    public async Task A_key_files_token_serves_beside_it_and_the_clusters_tokens_are_refused_when_kubernetes_is_off()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();
        await AcceptedAsync(door, door.Token(OtherInstance));
        Assert.Equal([OtherInstance], door.Calls.Select(call => call.Key).Distinct());

        await using var without = await Door.OpenAsync();
        await RefusedAsync(without, cluster.Token(), "issuer");
    }

    [Fact]
    public async Task A_token_of_one_node_acts_for_that_node_whatever_it_asks_for()
    {
        await using var cluster = await Cluster.StartAsync();
        cluster.Api.PutNode(OtherNode, OtherInstance);
        await using var door = await cluster.OpenDoorAsync();

        using var reply = await door.SendAsync(HttpMethod.Post, $"node/v1/sync?instance={OtherInstance}&node={OtherNode}", Body(), cluster.Token());

        Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
        Assert.All(door.Calls, call => Assert.Equal(Door.Node, call.Key));
    }

    [Theory]
    [InlineData("expired", "expired")]
    [InlineData("audience", "audience")]
    [InlineData("the API server's audience", "audience")]
    [InlineData("issuer", "issuer")]
    [InlineData("unsigned", "signature")]
    [InlineData("none with a signature", "signature")]
    [InlineData("symmetric", "signature")]
    [InlineData("key", "signature")]
    [InlineData("unknown key", "signature")]
    [InlineData("account", "executors are kube-system/aws-vpc-cni-executor")]
    [InlineData("namespace", "executors are kube-system/aws-vpc-cni-executor")]
    [InlineData("without node", "names no pod with its node's name and UID")]
    [InlineData("node is text", "names no pod with its node's name and UID")]
    [InlineData("unknown node", "the cluster has no node ip-10-0-0-9")]
    [InlineData("another's UID", "is another one now")]
    [InlineData("own claim", "names no pod with its node's name and UID")]
    [InlineData("none", "carries no bearer token")]
    [InlineData("nonsense", "not accepted")]
    public async Task Whoever_is_no_executor_of_a_known_node_is_refused_and_nothing_is_called(string kind, string said)
    {
        await using var cluster = await Cluster.StartAsync();
        var otherUid = cluster.Api.PutNode(OtherNode, OtherInstance);
        await using var door = await cluster.OpenDoorAsync();
        using var forger = RSA.Create(2048);
        using var elsewhere = new TokenIssuer(TimeProvider.System) { Issuer = "https://oidc.eks.elsewhere" };
        var genuine = cluster.Token();
        var claims = JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(genuine.Split('.')[1]))!.AsObject();
        var token = kind switch
        {
            "expired" => cluster.Token(age: TimeSpan.FromMinutes(11)),
            "audience" => cluster.Token(audience: "sts.amazonaws.com"),
            "the API server's audience" => cluster.Token(audience: TokenIssuer.ApiAudience),
            "issuer" => elsewhere.Issue(Cluster.Executors, (Cluster.NodeName, cluster.NodeUid), "aws-vpc-cni").Split('.') is [_, var others, _] ? Signed(cluster, JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(others))!.AsObject()) : "",
            "unsigned" => TokenIssuer.Sign(new JsonObject { ["alg"] = "none" }, claims, null),
            "none with a signature" => TokenIssuer.Sign(new JsonObject { ["alg"] = "none", ["kid"] = "key-1" }, claims, forger),
            // The public key as the secret of an HMAC: the oldest trick.
            "symmetric" => Hmac(cluster, claims),
            "key" => TokenIssuer.Sign(new JsonObject { ["alg"] = "RS256", ["kid"] = "key-1" }, claims, forger),
            "unknown key" => TokenIssuer.Sign(new JsonObject { ["alg"] = "RS256", ["kid"] = "mine" }, claims, forger),
            "account" => cluster.Api.Tokens.Issue("kube-system/default", (Cluster.NodeName, cluster.NodeUid), "aws-vpc-cni"),
            "namespace" => cluster.Api.Tokens.Issue("default/aws-vpc-cni-executor", (Cluster.NodeName, cluster.NodeUid), "aws-vpc-cni"),
            "without node" => cluster.Api.Tokens.Issue(Cluster.Executors, null, "aws-vpc-cni"),
            "node is text" => cluster.Api.Tokens.Issue(Cluster.Executors, null, "aws-vpc-cni", change: all => all["kubernetes.io"]!["node"] = Cluster.NodeName),
            "unknown node" => cluster.Token(node: "ip-10-0-0-9"),
            "another's UID" => cluster.Token(uid: otherUid),
            // An instance id of its own choice counts for nothing: only a key file's token names one.
            "own claim" => cluster.Api.Tokens.Issue(Cluster.Executors, null, "aws-vpc-cni", change: all => all["aws-vpc-cni/instance-id"] = OtherInstance),
            "none" => null,
            _ => "abc",
        };

        await RefusedAsync(door, token, said);
        await AcceptedAsync(door, genuine); // Afterwards too.
    }

    [Fact]
    public async Task A_claim_of_its_own_beside_the_bound_node_changes_nothing()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();

        await AcceptedAsync(door, cluster.Api.Tokens.Issue(Cluster.Executors, (Cluster.NodeName, cluster.NodeUid), "aws-vpc-cni", change: all => all["aws-vpc-cni/instance-id"] = OtherInstance));

        Assert.All(door.Calls, call => Assert.Equal(Door.Node, call.Key));
    }

    [Fact]
    public async Task When_an_instance_is_replaced_under_its_old_node_name_the_old_token_ends_and_the_new_ones_acts_for_the_new_instance()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();
        var old = cluster.Token();
        await AcceptedAsync(door, old); // It is known from here on; what is kept of it must not outlive its node.

        var uid = cluster.Api.PutNode(Cluster.NodeName, OtherInstance);
        await UntilStatusAsync(door, old, HttpStatusCode.Unauthorized);
        door.Calls.Clear();

        await RefusedAsync(door, old, "the instance of the token's node has been replaced");
        await AcceptedAsync(door, cluster.Token(uid: uid));
        Assert.All(door.Calls, call => Assert.Equal(OtherInstance, call.Key));
    }

    [Fact]
    public async Task A_node_that_says_it_is_anothers_instance_gets_nothing_and_the_other_goes_on()
    {
        await using var cluster = await Cluster.StartAsync();
        cluster.Api.Objects.Change(ResourceType.All[0], null, Cluster.NodeName, node =>
        {
            node!["metadata"]!["creationTimestamp"] = "2026-01-01T00:00:00Z";
            return node;
        });
        var uid = cluster.Api.PutNode(OtherNode, Door.Node);
        await using var door = await cluster.OpenDoorAsync();

        await RefusedAsync(door, cluster.Token(OtherNode, uid), $"which node {Cluster.NodeName} has been before");
        await AcceptedAsync(door, cluster.Token());
    }

    [Fact]
    public async Task A_new_signing_key_is_fetched_for_the_first_token_that_bears_it_and_others_unknown_cost_no_more()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();
        await AcceptedAsync(door, cluster.Token());
        var before = Looks(cluster);
        cluster.Api.Tokens.Rotate();
        door.Time.Advance(SigningKeys.LeastBetween);

        await AcceptedAsync(door, cluster.Token());

        Assert.Equal(before + 1, Looks(cluster));
        using var forger = RSA.Create(2048);
        foreach (var number in Enumerable.Range(0, 20))
        {
            await RefusedAsync(door, TokenIssuer.Sign(new JsonObject { ["alg"] = "RS256", ["kid"] = $"mine-{number}" }, new JsonObject { ["iss"] = "x" }, forger), "not accepted");
        }

        Assert.Equal(before + 1, Looks(cluster));
    }

    [Fact]
    public async Task A_withdrawn_key_ends_its_tokens_those_known_too()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();
        var old = cluster.Token();
        await AcceptedAsync(door, old);
        cluster.Api.Tokens.Rotate();
        cluster.Api.Tokens.WithdrawOldKeys();
        await cluster.RenewSilosTokenAsync(); // It ends with its key, too; kubelet renews it.
        var polls = 0;

        await UntilStatusAsync(door, old, HttpStatusCode.Unauthorized, () => door.Time.Advance(polls++ % 100 == 0 ? SigningKeys.Period : TimeSpan.Zero));
    }

    [Fact]
    public async Task While_the_api_server_is_away_known_nodes_go_on()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();
        await AcceptedAsync(door, cluster.Token());

        cluster.Api.GoDown();

        await AcceptedAsync(door, cluster.Token()); // A token that it has not seen yet.
    }

    [Fact]
    public async Task A_silo_that_has_not_reached_the_api_server_yet_says_so_and_does_not_call_the_token_bad()
    {
        await using var cluster = await Cluster.StartAsync();
        cluster.Api.GoDown();
        await using var door = await Door.OpenAsync(_ => cluster.Settings);
        using var reply = await door.SendAsync(HttpMethod.Post, "node/v1/sync", Body(), cluster.Token());

        Assert.Equal(HttpStatusCode.ServiceUnavailable, reply.StatusCode);
        Assert.Contains("API server does not answer this silo", (await reply.Content.ReadFromJsonAsync(NodeJson.Default.NodeProblem, Cancellation))!.Detail, StringComparison.Ordinal);
        Assert.Empty(door.Calls);
    }

    [Fact]
    public async Task An_executor_whose_token_one_silo_does_not_know_asks_the_next_and_gives_up_when_all_have_refused()
    {
        await using var cluster = await Cluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();
        await using var lags = await Door.OpenAsync();
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(path, cluster.Token(), Cancellation);
            var request = new ReleaseRequest(new Stamp(1, 1), new SandboxKey("c1", "eth0"), null, 0);
            using var api = new HttpNodeApi([lags.Url, door.Url], path, null, TimeProvider.System);
            Assert.True((await api.ReleaseAsync(request, Cancellation)).Known);
            Assert.Equal(door.Url.ToString(), api.Silo); // The first to be asked from here on.

            using var alone = new HttpNodeApi([lags.Url], path, null, TimeProvider.System);
            var refused = await Assert.ThrowsAsync<NodeApiException>(() => alone.ReleaseAsync(request, Cancellation));
            Assert.Contains("401", refused.Message, StringComparison.Ordinal);
            Assert.Contains("TokenFile", refused.Message, StringComparison.Ordinal);
            Assert.False(alone.IsLost, "a refusal must not have the API server asked each few seconds");

            await File.WriteAllTextAsync(path, "one\ntwo", Cancellation);
            Assert.Contains("TokenFile", (await Assert.ThrowsAsync<NodeApiException>(() => api.ReleaseAsync(request, Cancellation))).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static int Looks(Cluster cluster) => cluster.Api.Calls.Count(call => call.Resource == "/openid/v1/jwks");

    private static string Signed(Cluster cluster, JsonObject claims) => cluster.Api.Tokens.Issue(Cluster.Executors, (Cluster.NodeName, cluster.NodeUid), "aws-vpc-cni", change: own => own["iss"] = claims["iss"]!.DeepClone());

    private static string Hmac(Cluster cluster, JsonObject claims)
    {
        var text = TokenIssuer.Sign(new JsonObject { ["alg"] = "HS256", ["kid"] = "key-1" }, claims, null).TrimEnd('.');
        var secret = System.Text.Encoding.UTF8.GetBytes(cluster.Api.Tokens.Keys()["keys"]![0]!["n"]!.GetValue<string>());
        return $"{text}.{System.Buffers.Text.Base64Url.EncodeToString(HMACSHA256.HashData(secret, System.Text.Encoding.ASCII.GetBytes(text)))}";
    }

    private static JsonContent Body() => JsonContent.Create(
        new NodeReport { Stamp = new Stamp(1, 1), SettledNumber = 0, LeaseVersion = 0, Leased = [], Claims = [], Waiting = [], Freed = [], Ended = [], InterfacesSetUp = [] }, NodeJson.Default.NodeReport);

    private static async Task UntilStatusAsync(Door door, string token, HttpStatusCode status, Action? meanwhile = null) => await Cluster.UntilAsync(async () =>
    {
        meanwhile?.Invoke();
        using var reply = await door.SendAsync(HttpMethod.Post, "node/v1/sync", Body(), token);
        return reply.StatusCode == status;
    }, $"the status {status}");

    private static async Task AcceptedAsync(Door door, string token)
    {
        using var reply = await door.SendAsync(HttpMethod.Post, "node/v1/sync", Body(), token);
        Assert.True(reply.IsSuccessStatusCode, await reply.Content.ReadAsStringAsync(Cancellation));
    }

    private static async Task RefusedAsync(Door door, string? token, string said)
    {
        var calls = door.Calls.Count;
        foreach (var (method, path) in new[] { (HttpMethod.Post, "assign"), (HttpMethod.Post, "release"), (HttpMethod.Post, "sync"), (HttpMethod.Get, "hints") })
        {
            using var reply = await door.SendAsync(method, $"node/v1/{path}", null, token);
            Assert.Equal(HttpStatusCode.Unauthorized, reply.StatusCode);
            Assert.Contains(said, (await reply.Content.ReadFromJsonAsync(NodeJson.Default.NodeProblem, Cancellation))!.Detail, StringComparison.OrdinalIgnoreCase);
        }

        Assert.Equal(calls, door.Calls.Count);
    }
}
