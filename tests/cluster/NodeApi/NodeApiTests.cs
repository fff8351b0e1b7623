using System.Net;
using System.Net.Http.Json;
using System.Net.Security;
using System.Net.ServerSentEvents;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.RegularExpressions;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.Silo.Certificates;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Tests.Cluster.Certificates;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.NodeApi;

/// <summary>The executors' door: who comes in, whose grain is called, and how a refusal reads.</summary>
public sealed class NodeApiTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    internal static NodeReport Report => new()
    {
        Stamp = new Stamp(1, 1), SettledNumber = 0, LeaseVersion = 0, Leased = [], Claims = [], Waiting = [], Freed = [], Ended = [], InterfacesSetUp = [],
    };

    [Fact]
    public async Task Each_call_reaches_the_grain_of_the_token_and_its_reply_comes_back()
    {
        await using var door = await Door.OpenAsync();
        door.Answers[nameof(INodeGrain.AssignAsync)] = () => Task.FromResult<AssignReply>(new AssignReply.Offered(Ip.Parse("10.0.0.9"), "eni-1"));
        var assign = new AssignRequest(new Stamp(1, 2), new SandboxKey("c", "eth0"), new PodName("default", "a", "u"), []);
        var release = new ReleaseRequest(new Stamp(1, 3), new SandboxKey("c", "eth0"), Ip.Parse("10.0.0.9"), 0.5);

        var offered = await ReadAsync(await PostAsync(door, "assign", JsonContent.Create(assign, NodeJson.Default.AssignRequest)), NodeJson.Default.AssignReply);
        var released = await ReadAsync(await PostAsync(door, "release", JsonContent.Create(release, NodeJson.Default.ReleaseRequest)), NodeJson.Default.ReleaseReply);
        var orders = await ReadAsync(await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport)), NodeJson.Default.NodeOrders);

        Assert.Equal(new AssignReply.Offered(Ip.Parse("10.0.0.9"), "eni-1"), offered);
        Assert.True(released.Known);
        Assert.Equal(3, orders.LeaseVersion);
        Assert.Equal([(Door.Node, nameof(INodeGrain.AssignAsync)), (Door.Node, nameof(INodeGrain.ReleaseAsync)), (Door.Node, nameof(INodeGrain.SyncAsync))], door.Calls.Select(call => (call.Key, call.Method)));
        Assert.Equal(release, door.Calls.ElementAt(1).Argument);
    }

    [Fact]
    public async Task A_nodes_token_cannot_sync_another_node_whatever_the_request_says()
    {
        await using var door = await Door.OpenAsync();
        const string Other = "i-0fedcba9876543210";

        using var reply = await door.SendAsync(
            HttpMethod.Post, $"node/v1/sync?instance={Other}&instanceId={Other}&{NodeTokens.InstanceClaim}={Other}", JsonContent.Create(Report, NodeJson.Default.NodeReport), door.Token());

        Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
        Assert.All(door.Calls, call => Assert.Equal(Door.Node, call.Key));
        using var elsewhere = await door.SendAsync(HttpMethod.Post, $"node/v1/{Other}/sync", JsonContent.Create(Report, NodeJson.Default.NodeReport), door.Token());
        Assert.Equal(HttpStatusCode.NotFound, elsewhere.StatusCode);
    }

    [Theory]
    [InlineData("none", "carries no bearer token")]
    [InlineData("nonsense", "not accepted")]
    [InlineData("expired", "expired")]
    [InlineData("audience", "audience")]
    [InlineData("issuer", "issuer")]
    [InlineData("key", "signature")]
    [InlineData("unsigned", "signature")]
    public async Task Without_a_good_token_nothing_is_called_and_the_refusal_says_how_to_get_one(string kind, string said)
    {
        await using var door = await Door.OpenAsync();
        using var otherKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var token = kind switch
        {
            "none" => null,
            "nonsense" => "abc",
            "expired" => door.Token(age: TimeSpan.FromHours(2)),
            "audience" => Signed(door, audience: "sts.amazonaws.com"),
            "issuer" => door.Token(issuer: "somebody"),
            "key" => door.Token(key: otherKey),
            _ => new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor { Issuer = "aws-vpc-cni", Audience = NodeTokens.Audience, Claims = new Dictionary<string, object> { [NodeTokens.InstanceClaim] = Door.Node } }),
        };

        foreach (var (method, path) in new[] { (HttpMethod.Post, "assign"), (HttpMethod.Post, "release"), (HttpMethod.Post, "sync"), (HttpMethod.Get, "hints") })
        {
            using var reply = await door.SendAsync(method, $"node/v1/{path}", null, token);
            var problem = await RefusedAsync(reply, HttpStatusCode.Unauthorized);
            Assert.Contains(said, problem.Detail, StringComparison.OrdinalIgnoreCase);
            Assert.Contains("silo ipam token", problem.Detail, StringComparison.Ordinal);
            Assert.Equal("Bearer", reply.Headers.WwwAuthenticate.ToString());
        }

        Assert.Empty(door.Calls);
    }

    [Theory]
    [InlineData("")]
    [InlineData("node-1")]
    [InlineData("i-0123456789abcdef0 ")]
    public async Task A_token_that_names_no_instance_is_refused(string instance)
    {
        await using var door = await Door.OpenAsync();

        var problem = await RefusedAsync(await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport), Signed(door, instance: instance)), HttpStatusCode.Forbidden);

        Assert.Contains(NodeTokens.InstanceClaim, problem.Detail, StringComparison.Ordinal);
        Assert.Empty(door.Calls);
    }

    [Theory]
    [InlineData("assign", "{", "not the JSON of this call")]
    [InlineData("assign", """{"stamp":{"incarnation":1,"number":1}}""", "missing required")]
    [InlineData("sync", """{"stamp":{"incarnation":1,"number":1}}""", "missing required")]
    [InlineData("assign", "null", "`null`")]
    public async Task A_body_that_is_not_the_call_is_refused(string path, string body, string said)
    {
        await using var door = await Door.OpenAsync();

        var problem = await RefusedAsync(await PostAsync(door, path, new StringContent(body, Encoding.UTF8, "application/json")), HttpStatusCode.BadRequest);

        Assert.Contains(said, problem.Detail, StringComparison.Ordinal);
        Assert.Empty(door.Calls);
    }

    [Fact]
    public async Task A_report_at_all_its_bounds_with_the_longest_names_is_taken()
    {
        await using var door = await Door.OpenAsync();
        var pod = new PodName(new string('n', 63), new string('p', 253), Guid.Empty.ToString());
        static SandboxKey Sandbox(int number) => new($"{number:x64}", "eth0");
        var addresses = Enumerable.Range(0, 1000).Select(number => Ip.Parse($"10.0.{number / 256}.{number % 256}")).ToArray();
        var report = Report with
        {
            Stamp = new Stamp(long.MaxValue, long.MaxValue), SettledNumber = long.MaxValue, LeaseVersion = long.MaxValue, Leased = [.. addresses],
            Claims = [.. addresses.Select((address, number) => new Claim(Sandbox(number), pod, address, $"eni-{number:x17}", new Stamp(1_000_000, long.MaxValue), 1_000_000.123456789))],
            Waiting = [.. Enumerable.Range(0, NodeLease.MaxAdds).Select(number => new Waiter(Sandbox(number), pod, new Stamp(1_000_000, long.MaxValue), 1_000_000.123456789))],
            Freed = [.. addresses.Select(address => new Resting(address, 1_000_000.123456789))],
            Ended = [.. Enumerable.Range(0, NodeLease.MaxEnded).Select(number => new EndedAssignment(Sandbox(number), addresses[0], new Stamp(1_000_000, long.MaxValue - number), 1_000_000.123456789)
            {
                Had = new EndedClaim(pod, new Stamp(1_000_000, long.MaxValue - number), 1_000_000.123456789),
            })],
        };

        using var reply = await PostAsync(door, "sync", JsonContent.Create(report, NodeJson.Default.NodeReport));

        Assert.True(reply.IsSuccessStatusCode, await reply.Content.ReadAsStringAsync(Cancellation));
        Assert.Equal(NodeLease.MaxEnded, Assert.IsType<NodeReport>(Assert.Single(door.Calls, call => call.Method == nameof(INodeGrain.SyncAsync)).Argument).Ended.Length);
    }

    [Theory]
    [InlineData("sync", 12 << 20)]
    [InlineData("assign", 128 << 10)]
    [InlineData("release", 128 << 10)]
    public async Task A_body_above_the_limit_is_refused(string call, int bytes)
    {
        await using var door = await Door.OpenAsync();

        var problem = await RefusedAsync(
            await PostAsync(door, call, new StringContent(new string(' ', bytes + 1), Encoding.UTF8, "application/json")), HttpStatusCode.RequestEntityTooLarge);

        Assert.Contains($"{bytes} bytes", problem.Detail, StringComparison.Ordinal);
        Assert.Empty(door.Calls);
    }

    [Fact]
    public async Task Neither_port_shows_the_routes_of_the_other()
    {
        await using var door = await Door.OpenAsync();
        using var health = new HttpClient { BaseAddress = door.HealthUrl };

        Assert.Equal("ok\n", await health.GetStringAsync("healthz", Cancellation));
        Assert.Equal("ok\n", await health.GetStringAsync("readyz", Cancellation));
        Assert.Equal(HttpStatusCode.NotFound, (await health.PostAsync("node/v1/sync", null, Cancellation)).StatusCode);
        foreach (var path in new[] { "healthz", "readyz", "node/v1/nothing", "node/v1/assign" })
        {
            Assert.Contains("is no call of the node API", (await RefusedAsync(await door.SendAsync(HttpMethod.Get, path, null, door.Token()), HttpStatusCode.NotFound)).Detail, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_port_speaks_http_2_only()
    {
        await using var door = await Door.OpenAsync();

        using var second = await door.SendAsync(HttpMethod.Post, "node/v1/sync", JsonContent.Create(Report, NodeJson.Default.NodeReport), door.Token());
        Assert.Equal((HttpVersion.Version20, HttpStatusCode.OK), (second.Version, second.StatusCode));

        var first = await Record.ExceptionAsync(async () => (await door.SendAsync(HttpMethod.Post, "node/v1/sync", null, door.Token(), HttpVersion.Version11)).EnsureSuccessStatusCode());
        Assert.IsType<HttpRequestException>(first);
    }

    [Fact]
    public async Task With_a_certificate_the_port_speaks_tls_only()
    {
        await using var door = await Door.OpenAsync(folder =>
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var now = TimeProvider.System.GetUtcNow();
            using var certificate = new CertificateRequest("CN=silo", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddMinutes(-5), now.AddHours(1));
            File.WriteAllText(Path.Combine(folder, "tls.crt"), certificate.ExportCertificatePem());
            File.WriteAllText(Path.Combine(folder, "tls.key"), key.ExportPkcs8PrivateKeyPem());
            return [("NodeApi:CertificatePath", Path.Combine(folder, "tls.crt")), ("NodeApi:KeyPath", Path.Combine(folder, "tls.key"))];
        });

        Assert.Equal("https", door.Url.Scheme);
        using var reply = await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport));
        Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
        using var plain = new HttpRequestMessage(HttpMethod.Get, $"http://{door.Url.Authority}/node/v1/hints") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        await Assert.ThrowsAsync<HttpRequestException>(() => door.Http.SendAsync(plain, Cancellation));
    }

    [Fact]
    public async Task A_certificate_that_is_renewed_is_shown_with_its_chain_without_a_restart_and_a_bad_one_is_not()
    {
        using var root = new TestAuthority("root");
        using var issuer = new TestAuthority("issuer", signedBy: root);
        TestSecret secret = null!;
        await using var door = await Door.OpenAsync(folder =>
        {
            secret = new TestSecret(folder).With(Chained("first"), root.Pem);
            return [("NodeApi:CertificatePath", secret.PathOf("tls.crt")), ("NodeApi:KeyPath", secret.PathOf("tls.key"))];
        });
        Assert.Equal("CN=first", await ShownAsync());

        secret.With((Chained("second").Certificate, Chained("second").Key), root.Pem); // Two pairs, that is.
        await LookAsync();
        Assert.Equal("CN=first", await ShownAsync());

        secret.With(Chained("over", hours: -1), root.Pem);
        await LookAsync();
        Assert.Equal("CN=first", await ShownAsync());

        secret.With(Chained("third"), root.Pem);
        var began = TimeProvider.System.GetTimestamp();
        for (var shown = ""; shown != "CN=third"; shown = await ShownAsync())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Patience, $"it still shows {shown}");
            await LookAsync();
        }

        (string Certificate, string Key) Chained(string name, double hours = 1)
        {
            var (certificate, key) = issuer.Issue(name, TestAuthority.BothWays, hours);
            return (certificate + issuer.Pem, key);
        }

        Task LookAsync()
        {
            door.Time.Advance(FileFollower.Period);
            return Task.Delay(TimeSpan.FromMilliseconds(100), Cancellation); // The look is on another thread.
        }

        // To one who knows the root alone, as an executor does: the issuer's must come with it.
        async Task<string?> ShownAsync()
        {
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", door.Url.Port, Cancellation);
            await using var stream = new SslStream(client.GetStream());
            using var trusted = X509Certificate2.CreateFromPem(root.Pem);
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, CustomTrustStore = { trusted } };
            await stream.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = "silo", ApplicationProtocols = [SslApplicationProtocol.Http2], CertificateChainPolicy = policy,
                    RemoteCertificateValidationCallback = (_, _, _, errors) => errors is SslPolicyErrors.RemoteCertificateNameMismatch,
                }, Cancellation);
            Assert.Equal(SslApplicationProtocol.Http2, stream.NegotiatedApplicationProtocol);
            return stream.RemoteCertificate?.Subject;
        }
    }

    [Fact]
    public async Task A_grain_that_does_not_answer_in_time_is_a_refusal_that_says_what_to_do()
    {
        await using var door = await Door.OpenAsync();
        var called = new TaskCompletionSource();
        door.Answers[nameof(INodeGrain.SyncAsync)] = () =>
        {
            called.SetResult();
            return new TaskCompletionSource<NodeOrders>().Task;
        };
        var waiting = PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport));
        await called.Task.WaitAsync(Patience, Cancellation);
        door.Time.Advance(TimeSpan.FromMilliseconds(1499));
        Assert.False(waiting.IsCompleted);

        door.Time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Contains("send it again with the same number", (await RefusedAsync(await waiting, HttpStatusCode.GatewayTimeout)).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_grain_that_fails_is_a_refusal_with_its_words()
    {
        await using var door = await Door.OpenAsync();
        door.Answers[nameof(INodeGrain.SyncAsync)] = () => Task.FromException<NodeOrders>(new InvalidOperationException("the disk is full"));

        Assert.Contains("the disk is full", (await RefusedAsync(await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport)), HttpStatusCode.ServiceUnavailable)).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_calls_too_often_spends_its_own_share_only()
    {
        await using var door = await Door.OpenAsync(_ => [("NodeApi:CallsPerSecond", "1")]);
        var statuses = new List<HttpStatusCode>();
        foreach (var _ in Enumerable.Range(0, 6))
        {
            using var reply = await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport));
            statuses.Add(reply.StatusCode);
        }

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK], statuses.Take(2)); // The burst.
        Assert.Contains(HttpStatusCode.TooManyRequests, statuses);
        using var other = await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport), door.Token("i-0fedcba9876543210"));
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
    }

    [Fact]
    public async Task What_is_refused_is_counted_by_its_reason()
    {
        await using var door = await Door.OpenAsync(_ => [("NodeApi:CallsPerSecond", "1")]);
        foreach (var (token, times) in new (string?, int)[] { (null, 1), (door.Token(age: TimeSpan.FromHours(2)), 2), (door.Token(issuer: "somebody"), 3), ("abc", 1), (Signed(door, instance: "node-1"), 5) })
        {
            foreach (var _ in Enumerable.Range(0, times))
            {
                using var refused = await door.SendAsync(HttpMethod.Post, "node/v1/sync", JsonContent.Create(Report, NodeJson.Default.NodeReport), token);
            }
        }

        using var unreadable = await PostAsync(door, "sync", new StringContent("{"), door.Token("i-00000001"));
        using var large = await PostAsync(door, "assign", new ByteArrayContent(new byte[(128 << 10) + 1]), door.Token("i-00000001"));
        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.RequestEntityTooLarge), (unreadable.StatusCode, large.StatusCode));
        using var other = await PostAsync(door, "sweep.all", new StringContent("{"), door.Token("i-00000001"));
        Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
        var hurried = 0;
        while (hurried == 0)
        {
            using var reply = await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport));
            hurried += reply.StatusCode == HttpStatusCode.TooManyRequests ? 1 : 0;
        }

        Assert.Equal("BadToken 4, ExpiredToken 2, NoNode 5, NoSuchCall 1, NoToken 1, NotKnownYet 0, TooLarge 1, TooMany 1, TooManyConnections 0, Unreadable 1", string.Join(", ", Regex.Matches(door.Metrics(), """refused_node_calls_total\{reason="(\w+)"\} (\d+)""").Select(one => $"{one.Groups[1]} {one.Groups[2]}")));
    }

    [Fact]
    public async Task A_node_has_two_syncs_under_way_at_most_and_its_other_calls_and_other_nodes_go_on()
    {
        await using var door = await Door.OpenAsync();
        var answer = new TaskCompletionSource<NodeOrders>(TaskCreationOptions.RunContinuationsAsynchronously);
        door.Answers[nameof(INodeGrain.SyncAsync)] = () => answer.Task;
        Task<HttpResponseMessage> SyncAsync(string? token = null) => PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport), token);

        Task<HttpResponseMessage>[] two = [SyncAsync(), SyncAsync()];
        await UntilAsync(() => door.Calls.Count == 2);
        var problem = await RefusedAsync(await SyncAsync(), HttpStatusCode.TooManyRequests);
        Assert.Contains("2 syncs or 1100 other calls of it are under way", problem.Detail, StringComparison.Ordinal);
        using var assigned = await PostAsync(door, "assign", JsonContent.Create(new AssignRequest(new Stamp(1, 2), new SandboxKey("c", "eth0"), new PodName("default", "a", "u"), []), NodeJson.Default.AssignRequest));
        Assert.Equal(HttpStatusCode.OK, assigned.StatusCode);
        var others = SyncAsync(door.Token("i-0fedcba9876543210"));
        await UntilAsync(() => door.Calls.Any(call => call.Key == "i-0fedcba9876543210"));

        answer.SetResult(new NodeOrders { Answers = new Stamp(1, 1), Incarnation = 1, LeaseVersion = 3, Lease = [], GiveUp = [], Interfaces = [], Policy = new NodePolicy(30, 120) });
        foreach (var reply in await Task.WhenAll([.. two, others]))
        {
            Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
            await reply.Content.ReadAsStringAsync(Cancellation); // Its end comes when the permit is back.
            reply.Dispose();
        }

        using var next = await SyncAsync();
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
    }

    [Fact]
    public async Task A_hint_of_the_grain_comes_down_the_stream_and_a_sync_registers_the_stream_again()
    {
        await using var door = await Door.OpenAsync();
        await using var hints = await ListenAsync(door);
        Assert.Equal("sync", await hints.NextAsync()); // At once: what happened before is news too.
        var registered = Assert.Single(door.Calls);
        Assert.Equal((Door.Node, nameof(INodeGrain.SubscribeAsync)), (registered.Key, registered.Method));

        await ((INodeHints)registered.Argument!).SyncNowAsync();
        Assert.Equal("sync", await hints.NextAsync());

        (await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport))).Dispose();
        Assert.Equal([registered.Argument, registered.Argument], door.Calls.Where(call => call.Method == nameof(INodeGrain.SubscribeAsync)).Select(call => call.Argument));
    }

    [Fact]
    public async Task A_stream_whose_grain_fails_stays_and_the_next_sync_registers_it()
    {
        await using var door = await Door.OpenAsync();
        door.Answers[nameof(INodeGrain.SubscribeAsync)] = () => Task.FromException(new TimeoutException("the store is busy"));
        await using var hints = await ListenAsync(door);
        Assert.Equal("sync", await hints.NextAsync());

        door.Answers.Clear();
        (await PostAsync(door, "sync", JsonContent.Create(Report, NodeJson.Default.NodeReport))).Dispose();
        await ((INodeHints)door.Calls.Last(call => call.Method == nameof(INodeGrain.SubscribeAsync)).Argument!).SyncNowAsync();
        Assert.Equal("sync", await hints.NextAsync());
    }

    [Fact]
    public async Task A_newer_stream_of_a_node_ends_the_older_one()
    {
        await using var door = await Door.OpenAsync();
        await using var older = await ListenAsync(door);
        await older.NextAsync();
        await using var newer = await ListenAsync(door);
        await newer.NextAsync();

        Assert.Null(await older.NextAsync());
        await ((INodeHints)door.Calls.Last().Argument!).SyncNowAsync();
        Assert.Equal("sync", await newer.NextAsync());
    }

    [Fact]
    public async Task A_silo_that_stops_ends_its_streams()
    {
        await using var door = await Door.OpenAsync();
        await using var hints = await ListenAsync(door);
        await hints.NextAsync();

        await door.StopAsync().WaitAsync(Patience, Cancellation);

        Assert.Null(await hints.NextAsync());
    }

    private static Task<HttpResponseMessage> PostAsync(Door door, string path, HttpContent body, string? token = null) =>
        door.SendAsync(HttpMethod.Post, $"node/v1/{path}", body, token ?? door.Token());

    private static async Task<T> ReadAsync<T>(HttpResponseMessage reply, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        using (reply)
        {
            Assert.True(reply.IsSuccessStatusCode, await reply.Content.ReadAsStringAsync(Cancellation));
            return (await reply.Content.ReadFromJsonAsync(type, Cancellation))!;
        }
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        patience.CancelAfter(Patience);
        while (!holds())
        {
            await Task.Delay(10, patience.Token);
        }
    }

    private static async Task<NodeProblem> RefusedAsync(HttpResponseMessage reply, HttpStatusCode status)
    {
        using (reply)
        {
            Assert.Equal(status, reply.StatusCode);
            Assert.Equal("application/problem+json", reply.Content.Headers.ContentType?.MediaType);
            var problem = (await reply.Content.ReadFromJsonAsync(NodeJson.Default.NodeProblem, Cancellation))!;
            Assert.Equal((int)status, problem.Status);
            return problem;
        }
    }

    private static string Signed(Door door, string audience = NodeTokens.Audience, string instance = Door.Node) =>
        new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = "aws-vpc-cni",
            Audience = audience,
            Claims = new Dictionary<string, object> { [NodeTokens.InstanceClaim] = instance },
            Expires = TimeProvider.System.GetUtcNow().AddHours(1).UtcDateTime,
            SigningCredentials = new SigningCredentials(new ECDsaSecurityKey(door.Key), SecurityAlgorithms.EcdsaSha256),
        });

    private static async Task<Hints> ListenAsync(Door door)
    {
        var reply = await door.SendAsync(HttpMethod.Get, "node/v1/hints", null, door.Token());
        Assert.Equal((HttpStatusCode.OK, "text/event-stream"), (reply.StatusCode, reply.Content.Headers.ContentType?.MediaType));
        return new Hints(reply, SseParser.Create(await reply.Content.ReadAsStreamAsync(Cancellation)).EnumerateAsync(Cancellation).GetAsyncEnumerator(Cancellation));
    }

    private sealed class Hints(HttpResponseMessage reply, IAsyncEnumerator<SseItem<string>> items) : IAsyncDisposable
    {
        /// <summary>Null when the stream has ended.</summary>
        public async Task<string?> NextAsync() => await items.MoveNextAsync().AsTask().WaitAsync(Patience, Cancellation) ? items.Current.Data : null;

        public async ValueTask DisposeAsync()
        {
            await items.DisposeAsync();
            reply.Dispose();
        }
    }
}
