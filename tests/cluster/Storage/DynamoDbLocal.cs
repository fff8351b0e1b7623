using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using Amazon.Runtime;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Silo.Storage.DynamoDb;
using AwsVpcCni.VpcEmulator.Fabric;
using AwsVpcCni.VpcEmulator.Iam;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Storage;

/// <summary>The tests that want a DynamoDB, one after the other on one.</summary>
[CollectionDefinition(nameof(DynamoDbLocal))]
public sealed class DynamoDbTests : ICollectionFixture<DynamoDbLocal>;

/// <summary>AWS's own DynamoDB Local, in a network namespace of its own: it listens on every address, and there it has only loopback.</summary>
/// <remarks><c>AWS_VPC_CNI_TEST_DYNAMODB</c> names another endpoint that does not verify signatures, or is <c>none</c>. Where there is no DynamoDB the tests are skipped, with the reason.</remarks>
public sealed class DynamoDbLocal : IAsyncLifetime
{
    private const string Variable = "AWS_VPC_CNI_TEST_DYNAMODB";

    private DynamoDbLocalProcess? _process;
    private string? _whyNot;

    /// <summary>Where it answers.</summary>
    public string Url { get; private set; } = $"http://127.0.0.1:{DynamoDbLocalProcess.Port}";

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            (Url, _whyNot) = (given, given == "none" ? $"{Variable} is none" : null);
            return;
        }

        _whyNot = await DynamoDbLocalProcess.WhyNotAsync(Repository.Root);
        if (_whyNot is null)
        {
            _process = await DynamoDbLocalProcess.StartAsync(Repository.Root);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }
    }

    /// <summary>The network namespace of DynamoDB Local, for programs that use it. The test is skipped where another endpoint is given.</summary>
    public string NetworkNamespacePath()
    {
        NeedIt();
        Assert.SkipWhen(_process is null, $"Programs use DynamoDB Local in its own namespace, and {Variable} names another one");
        return _process!.NetworkNamespacePath;
    }

    /// <summary>A program in that namespace, which is killed when this process ends, however it does.</summary>
    /// <param name="log">What it says goes there, in place of what was there.</param>
    public ProcessStartInfo Inside(string log, params string[] words) => new("nsenter",
    [
        // A shell beside it waits for the end of its input, and dies with the program. The input is this process's, or is closed when that forgets the program.
        $"--net={NetworkNamespacePath()}", "sh", "-c",
        """
        exec 3<&0
        setpriv --pdeathsig KILL sh -c 'read -r _; kill -KILL "$1"' sh $$ <&3 &
        log=$1
        shift
        exec "$@" >"$log" 2>&1 </dev/null 3<&-
        """,
        "sh", log, .. words,
    ])
    { RedirectStandardInput = true };

    /// <summary>DynamoDB Local's own process.</summary>
    internal int Java()
    {
        NetworkNamespacePath();
        return _process!.Java();
    }

    /// <summary>HTTP inside that namespace.</summary>
    public HttpClient Http() => new(new SocketsHttpHandler { ConnectCallback = ConnectAsync });

    /// <summary>The test is skipped where there is no DynamoDB.</summary>
    public void NeedIt() => Assert.SkipWhen(_whyNot is not null, $"No DynamoDB: {_whyNot}");

    /// <summary>A way to it.</summary>
    /// <param name="tables">For the policy that is enforced there: their names stand in place of the ordinary ones.</param>
    /// <param name="policy">Its file; null: the one of docs/iam.</param>
    internal DynamoDbProxy OpenWay(StorageOptions tables, string? policy = null) => new(
        _process is null ? Listening() : NetworkNamespace.Run(_process.NetworkNamespacePath, Listening),
        new HttpClient(new SocketsHttpHandler { ConnectCallback = ConnectAsync, MaxConnectionsPerServer = 64 }) { BaseAddress = new Uri(Url) },
        IamPolicy.Read(policy ?? Repository.DynamoDbPolicy, new Dictionary<string, string>
        {
            ["REGION"] = DynamoDbProxy.Region, ["ACCOUNT"] = DynamoDbProxy.Account, ["table/addresses"] = $"table/{tables.AddressTable}", ["table/address-history"] = $"table/{tables.HistoryTable}",
            ["table/OrleansGrainState"] = $"table/{tables.GrainTable}", ["table/OrleansSilos"] = $"table/{tables.MembershipTable}",
        }));

    /// <summary>A client with the silo's settings.</summary>
    /// <param name="url">The way's; null: straight to DynamoDB.</param>
    internal AmazonDynamoDBClient Connect(StorageOptions options, string? url = null) => new(Credentials, Config(options, url));

    /// <summary>As <see cref="Connect"/>, and a page of a query or a scan has two items.</summary>
    internal AmazonDynamoDBClient ConnectWithSmallPages(StorageOptions options, string url) => new SmallPages(Credentials, Config(options, url));

    private static AWSCredentials Credentials => new BasicAWSCredentials(DynamoDbProxy.AccessKey, "y");

    private AmazonDynamoDBConfig Config(StorageOptions options, string? url)
    {
        var config = DynamoDbSetup.Config(options);
        config.ServiceURL = url ?? Url;
        config.HttpClientFactory = new OverHandler(new SocketsHttpHandler { ConnectCallback = ConnectAsync, MaxConnectionsPerServer = 64 });
        return config;
    }

    private static Socket Listening()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen(512);
        return socket;
    }

    /// <summary>A connection inside that namespace: a socket stays where it was made.</summary>
    internal async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        if (_process is not null)
        {
            return await _process.ConnectAsync(context.DnsEndPoint.Port, cancellation);
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>TCP to a port of that namespace's loopback.</summary>
    internal async Task<NetworkStream> ConnectAsync(int port, CancellationToken cancellation)
    {
        NetworkNamespacePath();
        return await _process!.ConnectAsync(port, cancellation);
    }

    private sealed class SmallPages(AWSCredentials credentials, AmazonDynamoDBConfig config) : AmazonDynamoDBClient(credentials, config)
    {
        public override Task<QueryResponse> QueryAsync(QueryRequest request, CancellationToken cancellationToken = default)
        {
            request.Limit = 2;
            return base.QueryAsync(request, cancellationToken);
        }

        public override Task<ScanResponse> ScanAsync(ScanRequest request, CancellationToken cancellationToken = default)
        {
            request.Limit = 2;
            return base.ScanAsync(request, cancellationToken);
        }
    }
}

/// <summary>What the SDK sends goes through the handler given.</summary>
internal sealed class OverHandler(HttpMessageHandler handler) : HttpClientFactory
{
    public override HttpClient CreateHttpClient(IClientConfig clientConfig) => new(handler, disposeHandler: false);

    public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;
}
