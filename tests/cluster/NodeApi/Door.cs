using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Metrics;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Cluster;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.Silo.Hosting;
using AwsVpcCni.Silo.Metrics;
using AwsVpcCni.Silo.NodeApi;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.Sqlite;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.NodeApi;

/// <summary>The silo's two ports as they are, on free ports of loopback, before grains that a test answers for.</summary>
internal sealed class Door : IAsyncDisposable
{
    public const string Node = "i-0123456789abcdef0";
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("avc-door-");
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private WebApplication? _app;

    /// <summary>Stands still: only a test lets a deadline pass.</summary>
    public FakeTimeProvider Time { get; } = new(TimeProvider.System.GetUtcNow());

    /// <summary>Which grain was called with what.</summary>
    public ConcurrentQueue<(string Key, string Method, object? Argument)> Calls { get; } = new();

    /// <summary>What the grains answer, by method.</summary>
    public ConcurrentDictionary<string, Func<Task>> Answers { get; } = new();

    public Uri Url { get; private set; } = null!;

    public Uri HealthUrl { get; private set; } = null!;

    public HttpClient Http { get; private set; } = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static async Task<Door> OpenAsync(Func<string, (string Name, string Value)[]>? settings = null)
    {
        var door = new Door();
        await door.StartAsync(settings);
        return door;
    }

    public string Token(string instanceId = Node, string issuer = "aws-vpc-cni", TimeSpan? age = null, ECDsa? key = null) =>
        NodeTokens.Issue(key ?? _key, issuer, instanceId, TimeProvider.System.GetUtcNow() - (age ?? TimeSpan.Zero), TimeSpan.FromHours(1));

    /// <summary>Signed with the door's key.</summary>
    public ECDsa Key => _key;

    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? body, string? token, Version? version = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(Url, path)) { Content = body, Version = version ?? HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        if (token is not null)
        {
            request.Headers.Authorization = new("Bearer", token);
        }

        return await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    /// <summary>What /metrics says of the node API.</summary>
    public string Metrics()
    {
        using var meters = new MeterReadings([_app!.Services.GetRequiredService<NodeApiMetrics>()]);
        var text = new PrometheusText("aws_vpc_cni_");
        meters.WriteTo(text, "aws_vpc_cni_");
        return text.ToString();
    }

    public Task StopAsync() => _app!.StopAsync(Cancellation);

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }

        _key.Dispose();
        _folder.Delete(recursive: true);
    }

    private async Task StartAsync(Func<string, (string Name, string Value)[]>? settings)
    {
        var keyPath = Path.Combine(_folder.FullName, "key.pub");
        await File.WriteAllTextAsync(keyPath, _key.ExportSubjectPublicKeyInfoPem(), Cancellation);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(
        [
            new("NodeApi:Address", "127.0.0.1"), new("NodeApi:Port", "0"), new("Http:Port", "0"), new("NodeApi:TokenKeyPath", keyPath),
            new("Cluster:Name", "test"), new("Ec2:Region", "eu-west-1"), new("Ec2:VpcId", "vpc-00000000"), new("Storage:Path", Path.Combine(_folder.FullName, "silo.db")),
            .. (settings?.Invoke(_folder.FullName) ?? []).Select(setting => new KeyValuePair<string, string?>(setting.Name, setting.Value)),
        ]);
        builder.Services.AddSingleton<TimeProvider>(Time).AddSiloOptions().AddSqliteStorage().AddNodeApi();
        builder.Services.AddPolicies();
        builder.Services.AddTransient(_ => new Random(1));
        builder.Services.AddSingleton(Fake.Of<IGrainFactory>(AnswerFactory));
        builder.Services.AddSingleton(Fake.Of<ISiloStatusOracle>((_, _) => SiloStatus.Active)).AddSingleton<Readiness, SiloReadiness>();
        builder.AddListeners();
        _app = builder.Build();
        _app.UseListeners();
        await _app.StartAsync(Cancellation);
        var addresses = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(address => new Uri(address)).ToList();
        (Url, HealthUrl) = (addresses[0], addresses[1]);
        Http = new HttpClient(new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=silo" } });
    }

    private object? AnswerFactory(string method, object?[] arguments) => method switch
    {
        nameof(IGrainFactory.GetGrain) when (string)arguments[0]! is var key => key.Split('-')[0] switch
        {
            "vpc" => Fake.Of<IVpcGrain>((called, passed) => AnswerGrain(key, called, passed)),
            "subnet" => Fake.Of<ISubnetGrain>((called, passed) => AnswerGrain(key, called, passed)),
            _ when key.Contains('/', StringComparison.Ordinal) => Fake.Of<IEc2QuotaGrain>((called, passed) => AnswerGrain(key, called, passed)),
            _ when !key.Contains('-', StringComparison.Ordinal) => Fake.Of<IClusterGrain>((called, _) => Answers.TryGetValue(called, out var answer) ? answer() : Task.FromResult(new ClusterPolicies(0, null, ImmutableSortedDictionary<string, PoolPolicy>.Empty, null, []))), // The follower reads it all the time.
            _ => Fake.Of<INodeGrain>((called, passed) => AnswerGrain(key, called, passed)),
        },
        nameof(IGrainFactory.CreateObjectReference) => arguments[0],
        _ => null,
    };

    private Task AnswerGrain(string key, string method, object?[] arguments)
    {
        Calls.Enqueue((key, method, arguments.FirstOrDefault()));
        return Answers.TryGetValue(method, out var answer) ? answer() : method switch
        {
            nameof(INodeGrain.AssignAsync) => Task.FromResult<AssignReply>(new AssignReply.NotYet(new Reason(ReasonCode.Drawing, "2 addresses are on their way"))),
            nameof(INodeGrain.ReleaseAsync) => Task.FromResult(new ReleaseReply { Known = true }),
            nameof(INodeGrain.SyncAsync) => Task.FromResult(new NodeOrders
            {
                Answers = new Stamp(1, 1), Incarnation = 1, LeaseVersion = 3, Lease = [], GiveUp = [], Interfaces = [], Policy = new NodePolicy(30, 120),
            }),
            _ => Task.CompletedTask,
        };
    }
}
