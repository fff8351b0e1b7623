using System.Collections.Immutable;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.Silo.Kubernetes;
using AwsVpcCni.Tests.Cluster.Kubernetes;
using AwsVpcCni.Tests.Cluster.NodeApi;
using k8s;
using k8s.Models;
using Xunit;
using KubeCluster = AwsVpcCni.Tests.Cluster.Kubernetes.Cluster;

namespace AwsVpcCni.Tests.Cluster.Api;

/// <summary>Who is let in on the health port of a silo with Kubernetes, on loopback as everywhere: an emulated API server says whose a token is and what he may do.</summary>
public sealed class ReviewsTests
{
    private const string Reader = "monitoring/prometheus";
    private const string Reading = """[{"nonResourceURLs":["/aws-vpc-cni/*","/metrics"],"verbs":["get"]}]""";
    private const string Change = """{"policy":{"warmIps":2},"who":"ada","why":"a test"}""";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "/api/v1/subnets")]
    [InlineData("GET", "/api/v1/nodes")]
    [InlineData("GET", "/API/V1/nodes")]
    [InlineData("GET", "/api/v1/addresses/10.0.0.4")]
    [InlineData("GET", "/api/v1/nothing")]
    [InlineData("GET", "/v1/waiting")]
    [InlineData("GET", "/v1/nodes/i-0123456789abcdef0/waiting")]
    [InlineData("GET", "/v1/policy")]
    [InlineData("PUT", "/v1/policy")]
    [InlineData("DELETE", "/v1/nodes/i-0123456789abcdef0/policy")]
    [InlineData("GET", "/v1/switches")]
    [InlineData("PUT", "/v1/switches/all")]
    [InlineData("GET", "/metrics")]
    public async Task Without_a_token_nothing_but_health_is_answered(string method, string path)
    {
        await using var cluster = await KubeCluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();
        using var http = Client(door);

        await RefusedAsync(await AskAsync(http, path, null, method), HttpStatusCode.Unauthorized, "Send Authorization: Bearer TOKEN");
        using var basic = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { Authorization = new AuthenticationHeaderValue("Basic", "YTpi") } };
        await RefusedAsync(await http.SendAsync(basic, Cancellation), HttpStatusCode.Unauthorized, "Send Authorization: Bearer TOKEN");

        Assert.Empty(door.Calls);
        Assert.Equal(0, Asked(cluster, "tokenreviews"));
        Assert.Equal("ok\n", await http.GetStringAsync("/healthz", Cancellation));
        Assert.NotEqual(HttpStatusCode.Unauthorized, (await http.GetAsync("/readyz", Cancellation)).StatusCode);
    }

    [Theory]
    [InlineData("expired", "expired")]
    [InlineData("an executor's", "audience")]
    [InlineData("another cluster's", "signature")]
    [InlineData("nonsense", "no token")]
    public async Task Whom_the_api_server_does_not_know_is_refused(string kind, string said)
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, Reading);
        cluster.Allow(KubeCluster.Executors, Reading);
        await using var door = await cluster.OpenDoorAsync();
        using var http = Client(door);
        using var elsewhere = new TokenIssuer(TimeProvider.System);
        var token = kind switch
        {
            "expired" => cluster.Api.Tokens.Issue(Reader, age: TimeSpan.FromMinutes(11)),
            "an executor's" => cluster.Token(),
            "another cluster's" => elsewhere.Issue(Reader),
            _ => "abc",
        };

        var refused = await AskAsync(http, "/api/v1/nodes", token);

        Assert.Equal("error=\"invalid_token\"", Assert.Single(refused.Headers.WwwAuthenticate).Parameter);
        await RefusedAsync(refused, HttpStatusCode.Unauthorized, said);
        Assert.Empty(door.Calls);
        Assert.Equal(0, Asked(cluster, "subjectaccessreviews"));
    }

    /// <summary>By system:discovery every account may get <c>/api/*</c> of the API server, which is how ours begins, too.</summary>
    [Fact]
    public async Task An_account_without_rights_reads_nothing_here_though_it_may_get_such_a_path_of_the_api_server()
    {
        await using var cluster = await KubeCluster.StartAsync();
        await using var door = await cluster.OpenDoorAsync();
        using var http = Client(door);
        using var admin = KubeApiTests.Client(cluster.Api);
        var groups = new[] { "system:serviceaccounts", "system:authenticated" };
        var there = await admin.AuthorizationV1.CreateSubjectAccessReviewAsync(new V1SubjectAccessReview
        {
            Spec = new V1SubjectAccessReviewSpec { User = "system:serviceaccount:default:default", Groups = groups, NonResourceAttributes = new V1NonResourceAttributes { Verb = "get", Path = "/api/v1/nodes" } },
        }, cancellationToken: Cancellation);
        Assert.True(there.Status.Allowed);

        await RefusedAsync(await AskAsync(http, "/api/v1/nodes", cluster.Api.Tokens.Issue("default/default")), HttpStatusCode.Forbidden,
            "system:serviceaccount:default:default may not get /aws-vpc-cni/api/v1/nodes", "nonResourceURLs: [/aws-vpc-cni/api/v1/nodes], verbs: [get]");
        await RefusedAsync(await AskAsync(http, "/metrics", cluster.Api.Tokens.Issue("default/default")), HttpStatusCode.Forbidden, "may not get /metrics");

        Assert.Empty(door.Calls);
    }

    [Fact]
    public async Task A_reader_reads_all_and_changes_nothing()
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, Reading);
        await using var door = await OpenAsync(cluster);
        using var http = Client(door);
        var (token, changed) = (cluster.Api.Tokens.Issue(Reader), false);
        door.Answers[nameof(IClusterGrain.ChangeAsync)] = door.Answers[nameof(IClusterGrain.SwitchAsync)] = () =>
        {
            changed = true;
            return Task.FromResult(new PolicyReply(true, Policies()));
        };

        foreach (var path in new[] { "/api/v1/nodes", "/metrics", "/v1/policy", "/v1/switches" })
        {
            Assert.Equal((path, HttpStatusCode.OK), (path, (await AskAsync(http, path, token)).StatusCode));
        }

        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token, "HEAD")).StatusCode);
        await RefusedAsync(await AskAsync(http, "/v1/policy", token, "PUT", Change), HttpStatusCode.Forbidden, "may not put /aws-vpc-cni/v1/policy");
        await RefusedAsync(await AskAsync(http, "/v1/policy", token, "DELETE", Change), HttpStatusCode.Forbidden, "may not delete /aws-vpc-cni/v1/policy");
        await RefusedAsync(await AskAsync(http, "/v1/switches/all", token, "PUT", """{"mode":"hold","who":"ada","why":"a test"}"""), HttpStatusCode.Forbidden, "may not put /aws-vpc-cni/v1/switches/all");
        Assert.False(changed);

        cluster.Allow("ops/ada", """[{"nonResourceURLs":["/aws-vpc-cni/v1/policy"],"verbs":["get","put"]}]""");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/v1/policy", cluster.Api.Tokens.Issue("ops/ada"), "PUT", Change)).StatusCode);
        Assert.True(changed);
    }

    [Fact]
    public async Task An_answer_holds_for_ten_seconds_and_no_longer()
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, Reading);
        await using var door = await OpenAsync(cluster);
        using var http = Client(door);
        var token = cluster.Api.Tokens.Issue(Reader);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);
        door.Time.Advance(AccessReviews.Age / 2);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/metrics", token)).StatusCode); // The right is of now, the token's of before.
        Assert.Equal((1, 2), (Asked(cluster, "tokenreviews"), Asked(cluster, "subjectaccessreviews")));

        cluster.Allow(Reader, "[]");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);
        door.Time.Advance(AccessReviews.Age);
        Assert.Equal(HttpStatusCode.Forbidden, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);
        cluster.Allow(Reader, Reading);
        Assert.Equal(HttpStatusCode.Forbidden, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);
        door.Time.Advance(AccessReviews.Age);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);
    }

    [Fact]
    public async Task A_token_that_was_withdrawn_ends_within_ten_seconds_whatever_was_asked_last()
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, Reading);
        await using var door = await OpenAsync(cluster);
        using var http = Client(door);
        var token = cluster.Api.Tokens.Issue(Reader);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);
        cluster.Api.Tokens.Rotate();
        cluster.Api.Tokens.WithdrawOldKeys();
        await cluster.RenewSilosTokenAsync();
        door.Time.Advance(AccessReviews.Age - TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/metrics", token)).StatusCode);

        door.Time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(http, "/metrics", token)).StatusCode); // Its right is from a second ago.
    }

    [Fact]
    public async Task While_the_api_server_is_away_whom_it_has_not_just_spoken_for_gets_503_and_nothing_changes()
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, """[{"nonResourceURLs":["/aws-vpc-cni/*"],"verbs":["get","put"]}]""");
        await using var door = await OpenAsync(cluster);
        using var http = Client(door);
        var (token, changed) = (cluster.Api.Tokens.Issue(Reader), false);
        door.Answers[nameof(IClusterGrain.ChangeAsync)] = () =>
        {
            changed = true;
            return Task.FromResult(new PolicyReply(true, Policies()));
        };
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);

        cluster.Api.GoDown();
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);
        var refused = await AskAsync(http, "/v1/policy", token, "PUT", Change);
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter?.Delta);
        await RefusedAsync(refused, HttpStatusCode.ServiceUnavailable, "event 3521");
        door.Time.Advance(AccessReviews.Age);
        await RefusedAsync(await AskAsync(http, "/api/v1/nodes", token), HttpStatusCode.ServiceUnavailable, "Nothing was read or changed");
        Assert.False(changed);

        cluster.Api.ComeUp();
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/v1/policy", token, "PUT", Change)).StatusCode); // That it was away is not kept.
    }

    [Fact]
    public async Task An_api_server_that_does_not_answer_is_waited_for_five_seconds()
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, Reading);
        await using var door = await OpenAsync(cluster);
        using var http = Client(door);
        var never = new TaskCompletionSource();
        cluster.Api.Reviewing = never.Task;

        var asked = AskAsync(http, "/api/v1/nodes", cluster.Api.Tokens.Issue(Reader));
        await KubeCluster.UntilAsync(() => Task.FromResult(Asked(cluster, "tokenreviews") == 1), "the question");
        door.Time.Advance(AccessReviews.Deadline - TimeSpan.FromMilliseconds(1));
        Assert.False(asked.IsCompleted);
        door.Time.Advance(TimeSpan.FromMilliseconds(1));

        await RefusedAsync(await asked.WaitAsync(Patience, Cancellation), HttpStatusCode.ServiceUnavailable, "event 3521");
    }

    [Theory]
    [InlineData("""[{"apiGroups":[""],"resources":["nodes"],"verbs":["list","watch"]}]""")]
    [InlineData("""[{"apiGroups":[""],"resources":["nodes"],"verbs":["list","watch"]},{"apiGroups":["authentication.k8s.io"],"resources":["tokenreviews"],"verbs":["create"]}]""")]
    public async Task A_silo_that_may_not_ask_lets_nobody_in(string rights)
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, Reading);
        cluster.Allow(KubeCluster.Silo, rights);
        await using var door = await OpenAsync(cluster);
        using var http = Client(door);

        await RefusedAsync(await AskAsync(http, "/api/v1/nodes", cluster.Api.Tokens.Issue(Reader)), HttpStatusCode.ServiceUnavailable, "event 3521");
    }

    [Fact]
    public async Task A_flood_of_bad_tokens_is_none_at_the_api_server_and_others_are_served()
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, Reading);
        await using var door = await OpenAsync(cluster);
        using var http = Client(door);
        var token = cluster.Api.Tokens.Issue(Reader);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token)).StatusCode);
        var (held, before) = (new TaskCompletionSource(), Asked(cluster, "tokenreviews"));
        cluster.Api.Reviewing = held.Task;

        using var flooder = Client(door, "127.0.0.2");
        const int taken = ReviewTurns.AtOnceOfOne * (1 + ReviewTurns.WaitingForEach);
        var asked = Enumerable.Range(0, taken + 7).Select(number => AskAsync(flooder, "/api/v1/nodes", $"bad-{number}")).ToList();
        for (var refused = 0; refused < 7; refused++)
        {
            var early = await Task.WhenAny(asked).WaitAsync(Patience, Cancellation);
            asked.Remove(early);
            Assert.Equal(TimeSpan.FromSeconds(1), (await early).Headers.RetryAfter?.Delta);
            await RefusedAsync(await early, HttpStatusCode.TooManyRequests, "Ask again in a second");
        }

        await KubeCluster.UntilAsync(() => Task.FromResult(Asked(cluster, "tokenreviews") - before == ReviewTurns.AtOnceOfOne), "as many of one are asked as may be");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", token).WaitAsync(Patience, Cancellation)).StatusCode); // Who is known goes on.
        var honest = AskAsync(http, "/api/v1/nodes", cluster.Api.Tokens.Issue(Reader, age: TimeSpan.FromSeconds(1))); // And who is not yet has turns of his own.
        await KubeCluster.UntilAsync(() => Task.FromResult(Asked(cluster, "tokenreviews") - before == ReviewTurns.AtOnceOfOne + 1), "another's question is asked meanwhile");

        using var others = new Many(Enumerable.Range(3, 8).Select(last => Client(door, $"127.0.0.{last}")));
        asked.AddRange(others.Clients.SelectMany((client, at) => Enumerable.Range(0, 6).Select(number => AskAsync(client, "/api/v1/nodes", $"bad-{at}-{number}"))));
        await KubeCluster.UntilAsync(() => Task.FromResult(Asked(cluster, "tokenreviews") - before == ReviewTurns.AtOnce), "as many are asked as may be");
        held.SetResult();

        Assert.All(await Task.WhenAll(asked).WaitAsync(Patience, Cancellation), answer => Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode));
        Assert.Equal(HttpStatusCode.OK, (await honest.WaitAsync(Patience, Cancellation)).StatusCode);
        Assert.Equal(ReviewTurns.AtOnce, cluster.Api.MostReviewsAtOnce);
        var metrics = await (await AskAsync(http, "/metrics", token)).Content.ReadAsStringAsync(Cancellation);
        Assert.Contains($"aws_vpc_cni_refused_requests_total{{answer=\"401\"}} {asked.Count}\n", metrics, StringComparison.Ordinal);
        Assert.Contains("aws_vpc_cni_refused_requests_total{answer=\"429\"} 7\n", metrics, StringComparison.Ordinal);
        Assert.Contains("aws_vpc_cni_refused_requests_total{answer=\"403\"} 0\n", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_an_audience_of_its_own_the_api_servers_tokens_open_nothing_here()
    {
        await using var cluster = await KubeCluster.StartAsync();
        cluster.Allow(Reader, Reading);
        await using var door = await OpenAsync(cluster, ("Http:Audience", "aws-vpc-cni-operators"));
        using var http = Client(door);

        await RefusedAsync(await AskAsync(http, "/api/v1/nodes", cluster.Api.Tokens.Issue(Reader)), HttpStatusCode.Unauthorized, "audience");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/api/v1/nodes", cluster.Api.Tokens.Issue(Reader, audience: "aws-vpc-cni-operators"))).StatusCode);
    }

    [Fact]
    public async Task Metrics_can_be_open_by_themselves_and_all_of_it_where_reviews_are_off()
    {
        await using var cluster = await KubeCluster.StartAsync();
        await using var metrics = await OpenAsync(cluster, ("Http:MetricsAreOpen", "true"));
        using var http = Client(metrics);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(http, "/metrics", null)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(http, "/api/v1/nodes", null)).StatusCode);

        await using var all = await OpenAsync(cluster, ("Http:Reviews", "false"));
        using var free = Client(all);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(free, "/api/v1/nodes", null)).StatusCode);
        Assert.Equal(0, Asked(cluster, "tokenreviews"));
    }

    private static ClusterPolicies Policies() => new(1, null, ImmutableSortedDictionary<string, PoolPolicy>.Empty, null, []);

    /// <summary>Whose grains have nothing to tell.</summary>
    private static async Task<Door> OpenAsync(KubeCluster cluster, params (string Name, string Value)[] more)
    {
        var door = await cluster.OpenDoorAsync(more);
        door.Answers[nameof(IVpcGrain.NodesAsync)] = door.Answers[nameof(IVpcGrain.SubnetsAsync)] = () => Task.FromResult<ImmutableArray<string>>([]);
        door.Answers[nameof(IEc2QuotaGrain.SummarizeAsync)] = () => Task.FromResult<ImmutableArray<ActionBudget>>([]);
        return door;
    }

    private static int Asked(KubeCluster cluster, string reviews) => cluster.Api.Calls.Count(call => call.Resource == reviews && call.User.EndsWith(":aws-vpc-cni-silo", StringComparison.Ordinal));

    private static async Task<HttpResponseMessage> AskAsync(HttpClient http, string path, string? token, string method = "GET", string? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        if (body is not null)
        {
            request.Headers.TryAddWithoutValidation("If-Match", "\"0\"");
        }

        return await http.SendAsync(request, Cancellation);
    }

    private static async Task RefusedAsync(HttpResponseMessage answer, HttpStatusCode status, params string[] said)
    {
        var text = await answer.Content.ReadAsStringAsync(Cancellation);
        Assert.Equal((status, "application/problem+json"), (answer.StatusCode, answer.Content.Headers.ContentType?.MediaType));
        using var problem = JsonDocument.Parse(text);
        Assert.All(said, part => Assert.Contains(part, problem.RootElement.GetProperty("detail").GetString(), StringComparison.Ordinal));
        Assert.Equal(status == HttpStatusCode.Unauthorized ? ["Bearer"] : [], answer.Headers.WwwAuthenticate.Select(way => way.Scheme));
    }

    /// <param name="from">An address of loopback.</param>
    private static HttpClient Client(Door door, string from = "127.0.0.1") => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
            await socket.ConnectAsync(IPAddress.Loopback, door.HealthUrl.Port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    }) { BaseAddress = door.HealthUrl };

    private sealed class Many(IEnumerable<HttpClient> clients) : IDisposable
    {
        public IReadOnlyList<HttpClient> Clients { get; } = [.. clients];

        public void Dispose()
        {
            foreach (var client in Clients)
            {
                client.Dispose();
            }
        }
    }
}
