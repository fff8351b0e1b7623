using System.Collections.Concurrent;
using System.Text.Json.Nodes;
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
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    private volatile bool _isLost;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_ready_endpoints_of_the_service_are_the_silos()
    {
        await using var cluster = await ClusterAsync();
        using var finder = Finder(cluster);

        await finder.StartAsync(Cancellation);

        Assert.Equal([new Uri("http://10.0.0.4:8440"), new Uri("http://10.0.0.5:8440")], Assert.Single(_found).Order(Comparer<Uri>.Create((one, other) => string.CompareOrdinal(one.Authority, other.Authority))));
        Assert.All(cluster.Api.Calls.Where(call => call.User.EndsWith("executor", StringComparison.Ordinal)), call => Assert.Equal(("list", "endpointslices", "kube-system", 200), (call.Verb, call.Resource, call.Namespace, call.Status)));
    }

    [Fact]
    public async Task The_last_list_serves_while_the_api_server_is_away_and_is_renewed_when_it_is_back()
    {
        await using var cluster = await ClusterAsync();
        using (var first = Finder(cluster))
        {
            await first.StartAsync(Cancellation);
        }

        _found.Clear();
        cluster.Api.GoDown();
        using var second = Finder(cluster);
        await second.StartAsync(Cancellation);
        Assert.Equal(2, Assert.Single(_found).Length);
        PutSlice(cluster, "10.0.0.9");
        cluster.Api.ComeUp();

        using var end = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var running = second.RunAsync(end.Token);
        await Cluster.UntilAsync(() => Task.FromResult(_found.Any(list => list is [{ Host: "10.0.0.9" }])), "the new list");
        await end.CancelAsync();
        await running;
    }

    [Fact]
    public async Task It_asks_each_five_minutes_and_within_ten_seconds_when_no_silo_answers()
    {
        await using var cluster = await ClusterAsync();
        using var finder = Finder(cluster);
        await finder.StartAsync(Cancellation);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var running = finder.RunAsync(end.Token);
        await Cluster.UntilAsync(() => Task.FromResult(Looks(cluster) == 2), "the first look of the loop");
        await PassAsync(TimeSpan.FromMinutes(3));
        Assert.Equal(2, Looks(cluster)); // The next one is due after 3:45 at the earliest.
        await UntilAsync(() => Looks(cluster) == 3, TimeSpan.FromSeconds(30));

        _isLost = true;
        var since = _time.GetUtcNow();
        await UntilAsync(() => Looks(cluster) == 4, TimeSpan.FromSeconds(1));
        Assert.True(_time.GetUtcNow() - since > TimeSpan.FromSeconds(4), "sooner than five seconds");
        await end.CancelAsync();
        await running;
    }

    [Fact]
    public async Task A_list_without_a_ready_silo_changes_nothing_and_a_refusal_neither()
    {
        await using var cluster = await ClusterAsync();
        using var finder = Finder(cluster);
        await finder.StartAsync(Cancellation);
        PutSlice(cluster);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var running = finder.RunAsync(end.Token);
        await Cluster.UntilAsync(() => Task.FromResult(Looks(cluster) == 2), "a look");
        cluster.Api.Objects.Remove(ResourceType.Of("rbac.authorization.k8s.io/v1", "ClusterRole")!, null, Cluster.Executors.Replace('/', '-'));
        await PassAsync(TimeSpan.FromMinutes(6));

        Assert.Single(_found);
        Assert.Contains(cluster.Api.Calls, call => call is { Resource: "endpointslices", Status: 403 });
        await end.CancelAsync();
        await running;
    }

    private static int Looks(Cluster cluster) => cluster.Api.Calls.Count(call => call.Resource == "endpointslices");

    private Task UntilAsync(Func<bool> isSo, TimeSpan step) => Cluster.UntilAsync(() =>
    {
        _time.Advance(step);
        return Task.FromResult(isSo());
    }, "a look");

    private async Task PassAsync(TimeSpan span)
    {
        for (var passed = TimeSpan.Zero; passed < span; passed += TimeSpan.FromSeconds(2))
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancellation); // What is due runs on other threads.
        }
    }

    private async Task<Cluster> ClusterAsync()
    {
        var cluster = await Cluster.StartAsync();
        cluster.Allow(Cluster.Executors, """[{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["list"]}]""");
        PutSlice(cluster, "10.0.0.4", "10.0.0.5");
        cluster.Api.Put("""{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"other","namespace":"kube-system","labels":{"kubernetes.io/service-name":"other"}},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.6"]}],"ports":[{"name":"node-api","port":8440}]}""");
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "token"), cluster.Api.Tokens.Issue(Cluster.Executors, lifetime: TimeSpan.FromHours(1)), Cancellation);
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
        new SiloServiceSettings("kube-system", "silo", IsTls: false, cluster.Api.Url, Path.Combine(_folder.FullName, "token"), ""),
        Path.Combine(_folder.FullName, "silos"), silos => _found.Enqueue([.. silos]), () => _isLost, _time, new Random(1), NullLogger.Instance);
}
