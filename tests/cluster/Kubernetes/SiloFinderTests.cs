using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using AwsVpcCni.KubeEmulator;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Kubernetes;

/// <summary>How an executor finds the silos through the API server.</summary>
public sealed class SiloFinderTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-finder-");
    private readonly ConcurrentQueue<Uri[]> _found = new();
    private readonly FinderTime _time = new();
    private volatile bool _isLost;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_ready_endpoints_of_the_service_are_the_silos()
    {
        await using var cluster = await ClusterAsync();
        using var finder = Finder(cluster);

        await LookOnceAsync(finder);

        Assert.Equal([new Uri("http://10.0.0.4:8440"), new Uri("http://10.0.0.5:8440")], Assert.Single(_found).Order(Comparer<Uri>.Create((one, other) => string.CompareOrdinal(one.Authority, other.Authority))));
        Assert.All(cluster.Api.Calls.Where(call => call.User.EndsWith("executor", StringComparison.Ordinal)), call => Assert.Equal(("list", "endpointslices", "kube-system", 200), (call.Verb, call.Resource, call.Namespace, call.Status)));
    }

    [Fact]
    public async Task The_last_list_serves_while_the_api_server_is_away_and_is_renewed_when_it_is_back()
    {
        await using var cluster = await ClusterAsync();
        using (var first = Finder(cluster))
        {
            await LookOnceAsync(first);
        }

        _found.Clear();
        cluster.Api.GoDown();
        using var second = Finder(cluster);
        await using var run = new Running(second);
        Assert.Equal(2, Assert.Single(_found).Length); // Before anything was waited for.
        await _time.WaitsAsync();
        PutSlice(cluster, "10.0.0.9");
        cluster.Api.ComeUp();
        _isLost = true;

        await _time.PassAsync();

        Assert.Equal("10.0.0.9", Assert.Single(_found.Last()).Host);
    }

    [Fact]
    public async Task It_asks_each_five_minutes_and_within_ten_seconds_when_no_silo_answers()
    {
        await using var cluster = await ClusterAsync();
        using var finder = Finder(cluster);
        await using var run = new Running(finder);
        await _time.WaitsAsync();
        Assert.Equal(1, Looks(cluster));

        Assert.InRange(await UntilLookAsync(cluster), TimeSpan.FromMinutes(3.75), TimeSpan.FromMinutes(5) + TimeSpan.FromSeconds(10));
        _isLost = true;
        Assert.InRange(await UntilLookAsync(cluster), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task It_asks_less_and_less_often_while_no_silo_answers_and_as_before_when_one_has()
    {
        await using var cluster = await ClusterAsync();
        using var finder = Finder(cluster);
        await using var run = new Running(finder);
        await _time.WaitsAsync();
        _isLost = true;
        for (var looks = 0; looks < 5; looks++)
        {
            await UntilLookAsync(cluster);
        }

        Assert.InRange(await UntilLookAsync(cluster), SiloFinder.LongestHurried, SiloFinder.LongestHurried * 2);
        _isLost = false;
        await UntilLookAsync(cluster);
        _isLost = true;
        Assert.InRange(await UntilLookAsync(cluster), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_list_without_a_ready_silo_changes_nothing_and_a_refusal_neither()
    {
        await using var cluster = await ClusterAsync();
        using var finder = Finder(cluster);
        await using var run = new Running(finder);
        await _time.WaitsAsync();
        PutSlice(cluster);
        await UntilLookAsync(cluster);
        cluster.Api.Objects.Remove(ResourceType.Of("rbac.authorization.k8s.io/v1", "ClusterRole")!, null, Cluster.Executors.Replace('/', '-'));
        await UntilLookAsync(cluster);

        Assert.Single(_found);
        Assert.Contains(cluster.Api.Calls, call => call is { Resource: "endpointslices", Status: 403 });
    }

    [Theory]
    [InlineData("one\ntwo", null)] // A token of two lines.
    [InlineData(null, "nonsense")]
    [InlineData(null, "[null]")]
    [InlineData(null, """["no address"]""")]
    public async Task Whatever_is_in_its_files_it_goes_on_and_looks_again(string? token, string? kept)
    {
        await using var cluster = await ClusterAsync();
        var good = await File.ReadAllTextAsync(TokenPath, Cancellation);
        await File.WriteAllTextAsync(TokenPath, token ?? good, Cancellation);
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "silos"), kept ?? "[]", Cancellation);
        using var finder = Finder(cluster);
        await using var run = new Running(finder);
        await _time.WaitsAsync();
        await File.WriteAllTextAsync(TokenPath, good, Cancellation);

        await _time.PassAsync();

        Assert.Equal(2, Assert.Single(_found).Length);
    }

    private static int Looks(Cluster cluster) => cluster.Api.Calls.Count(call => call.Resource == "endpointslices");

    private string TokenPath => Path.Combine(_folder.FullName, "token");

    /// <summary>From a wait to the one after the next look.</summary>
    private async Task<TimeSpan> UntilLookAsync(Cluster cluster)
    {
        var (since, before) = (_time.GetUtcNow(), Looks(cluster));
        while (Looks(cluster) == before)
        {
            Assert.True(_time.GetUtcNow() - since < TimeSpan.FromMinutes(10), "no look within ten minutes");
            await _time.PassAsync();
        }

        return _time.GetUtcNow() - since;
    }

    private async Task LookOnceAsync(SiloFinder finder)
    {
        await using var run = new Running(finder);
        await _time.WaitsAsync();
    }

    private async Task<Cluster> ClusterAsync()
    {
        var cluster = await Cluster.StartAsync();
        cluster.Allow(Cluster.Executors, """[{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["list"]}]""");
        PutSlice(cluster, "10.0.0.4", "10.0.0.5");
        cluster.Api.Put("""{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"other","namespace":"kube-system","labels":{"kubernetes.io/service-name":"other"}},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.6"]}],"ports":[{"name":"node-api","port":8440}]}""");
        await File.WriteAllTextAsync(TokenPath, cluster.Api.Tokens.Issue(Cluster.Executors, lifetime: TimeSpan.FromHours(1)), Cancellation);
        return cluster;
    }

    private static void PutSlice(Cluster cluster, params string[] ready)
    {
        var endpoints = ready.Select(address => (address, isReady: true)).Append(("10.0.0.3", false))
            .Select(endpoint => (JsonNode)new JsonObject { ["addresses"] = new JsonArray(endpoint.Item1), ["conditions"] = new JsonObject { ["ready"] = endpoint.Item2 } });
        cluster.Api.Objects.Put(new JsonObject
        {
            ["apiVersion"] = "discovery.k8s.io/v1", ["kind"] = "EndpointSlice",
            ["metadata"] = new JsonObject { ["name"] = "silo-1", ["namespace"] = "kube-system", ["labels"] = new JsonObject { ["kubernetes.io/service-name"] = "silo" } },
            ["addressType"] = "IPv4", ["endpoints"] = new JsonArray([.. endpoints]),
            ["ports"] = new JsonArray(new JsonObject { ["name"] = "health", ["port"] = 8441 }, new JsonObject { ["name"] = "node-api", ["port"] = 8440 }),
        });
    }

    private SiloFinder Finder(Cluster cluster) => new(
        new SiloServiceSettings("kube-system", "silo", IsTls: false, cluster.Api.Url, TokenPath, ""),
        Path.Combine(_folder.FullName, "silos"), silos => _found.Enqueue([.. silos]), () => _isLost, _time, new Random(1), NullLogger.Instance);

    /// <summary>A finder's loop until the end of a test.</summary>
    private sealed class Running : IAsyncDisposable
    {
        private readonly CancellationTokenSource _end = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        private readonly Task _loop;

        public Running(SiloFinder finder) => _loop = finder.RunAsync(_end.Token);

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            await _loop;
            _end.Dispose();
        }
    }

    /// <summary>Goes on from one of the finder's waits to the next, however long what lies between takes.</summary>
    private sealed class FinderTime() : FakeTimeProvider(TimeProvider.System.GetUtcNow())
    {
        private readonly Channel<TimeSpan> _waits = Channel.CreateUnbounded<TimeSpan>();
        private TimeSpan _wait;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            if (dueTime > SiloFinder.Hurried) // Shorter ones are a look's deadline.
            {
                _waits.Writer.TryWrite(dueTime);
            }

            return timer;
        }

        /// <summary>Until the finder waits.</summary>
        public async Task WaitsAsync() => _wait = await _waits.Reader.ReadAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);

        /// <summary>Its wait goes by, and what it does then, up to the next one.</summary>
        public Task PassAsync()
        {
            Advance(_wait);
            return WaitsAsync();
        }
    }
}
