using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using AwsVpcCni.VpcEmulator.Fabric;
using AwsVpcCni.VpcEmulator.Imds;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Fabric;

public sealed class ImdsTests : IAsyncLifetime
{
    private const string Macs = "/latest/meta-data/network/interfaces/macs/";
    private readonly Clock _clock = new();
    private TestVpc _vpc = null!;
    private ImdsServer _server = null!;
    private HttpClient _client = null!;
    private ImdsInstance _instance = Instance("i-a");

    public async ValueTask InitializeAsync()
    {
        _vpc = await TestVpc.StartAsync();
        _server = await ImdsServer.StartAsync(_vpc.PathOf("a"), () => _instance, _clock, TestContext.Current.CancellationToken);
        _client = ClientInside("a");
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        await _vpc.DisposeAsync();
    }

    [Fact]
    public async Task A_token_opens_the_tree()
    {
        var issued = await PutAsync("/latest/api/token", ttl: "60");
        Assert.Equal((HttpStatusCode.OK, "60"), (issued.StatusCode, Assert.Single(issued.Headers.GetValues("X-aws-ec2-metadata-token-ttl-seconds"))));

        await AssertContentAsync("i-a", "/latest/meta-data/instance-id");
        await AssertContentAsync("m5.large", "/latest/meta-data/instance-type");
        await AssertContentAsync(TestVpc.MacOfA, "/latest/meta-data/mac");
        await AssertContentAsync("10.9.0.10", "/latest/meta-data/local-ipv4");
        await AssertContentAsync("ip-10-9-0-10.eu-west-1.compute.internal", "/latest/meta-data/local-hostname");
        await AssertContentAsync("eu-west-1a", "/latest/meta-data/placement/availability-zone");
        await AssertContentAsync("euw1-az1", "/latest/meta-data/placement/availability-zone-id");
        await AssertContentAsync("eu-west-1", "/latest/meta-data/placement/region");
        await AssertContentAsync("0", $"{Macs}{TestVpc.MacOfA}/device-number");
        await AssertContentAsync("10.9.0.10\n10.9.0.11", $"{Macs}{TestVpc.MacOfA}/local-ipv4s");
        await AssertContentAsync("10.9.0.0/24", $"{Macs}{TestVpc.MacOfA}/subnet-ipv4-cidr-block");
        await AssertContentAsync("10.9.0.0/16", $"{Macs}{TestVpc.MacOfA}/vpc-ipv4-cidr-block");
        await AssertContentAsync("10.9.0.0/16\n100.64.0.0/16", $"{Macs}{TestVpc.MacOfA}/vpc-ipv4-cidr-blocks");
    }

    [Fact]
    public async Task A_directory_lists_what_is_in_it_and_nothing_without_content()
    {
        await AssertContentAsync("dynamic/\nmeta-data/", "/latest/");
        await AssertContentAsync("availability-zone\navailability-zone-id\nregion", "/latest/meta-data/placement");
        await AssertContentAsync($"{TestVpc.MacOfA}/", Macs);
        await AssertContentAsync(
            "device-number\ninterface-id\nlocal-hostname\nlocal-ipv4s\nmac\nnetwork-card\nowner-id\nsecurity-group-ids\nsubnet-id\n"
            + "subnet-ipv4-cidr-block\nvpc-id\nvpc-ipv4-cidr-block\nvpc-ipv4-cidr-blocks", $"{Macs}{TestVpc.MacOfA}/");
    }

    [Fact]
    public async Task It_follows_the_instance()
    {
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync($"{Macs}{TestVpc.MacOfA}/ipv4-prefix", await TokenAsync())).StatusCode);

        _instance = _instance with
        {
            Interfaces =
            [
                _instance.Interfaces[0] with { Ipv4Prefixes = [IPNetwork.Parse("10.9.0.64/28")] },
                _instance.Interfaces[0] with { Mac = "02:00:0a:09:00:28", DeviceNumber = 1 },
            ],
        };

        await AssertContentAsync("10.9.0.64/28", $"{Macs}{TestVpc.MacOfA}/ipv4-prefix");
        await AssertContentAsync($"{TestVpc.MacOfA}/\n02:00:0a:09:00:28/", Macs);
        await AssertContentAsync("1", $"{Macs}02:00:0a:09:00:28/device-number");
    }

    [Fact]
    public async Task An_interface_that_has_just_come_is_listed_and_not_there_yet()
    {
        var primary = _instance.Interfaces[0];
        const string mac = "02:00:00:00:0a:02";
        _instance = _instance with { Interfaces = [primary, primary with { Mac = mac, DeviceNumber = 1, IsWhole = false }] };
        await AssertContentAsync($"{mac}/\n{TestVpc.MacOfA}/", Macs);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync($"{Macs}{mac}/", await TokenAsync())).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync($"{Macs}{mac}/device-number", await TokenAsync())).StatusCode);
        _instance = _instance with { Interfaces = [primary, primary with { Mac = mac, DeviceNumber = 1 }] };
        await AssertContentAsync("1", $"{Macs}{mac}/device-number");
    }

    [Fact]
    public async Task The_identity_document_names_the_instance()
    {
        var response = await GetAsync("/latest/dynamic/instance-identity/document", await TokenAsync());
        var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement;

        Assert.Equal("i-a", document.GetProperty("instanceId").GetString());
        Assert.Equal("10.9.0.10", document.GetProperty("privateIp").GetString());
        Assert.Equal("2026-01-02T03:04:05Z", document.GetProperty("pendingTime").GetString());
        Assert.Equal(JsonValueKind.Null, document.GetProperty("kernelId").ValueKind);
    }

    [Theory]
    [InlineData(null, HttpStatusCode.BadRequest)]
    [InlineData("0", HttpStatusCode.BadRequest)]
    [InlineData("1", HttpStatusCode.OK)]
    [InlineData("21600", HttpStatusCode.OK)]
    [InlineData("21601", HttpStatusCode.BadRequest)]
    [InlineData("soon", HttpStatusCode.BadRequest)]
    public async Task A_token_lives_from_one_second_to_six_hours(string? ttl, HttpStatusCode expected) =>
        Assert.Equal(expected, (await PutAsync("/latest/api/token", ttl)).StatusCode);

    [Fact]
    public async Task A_token_is_given_by_its_own_path_and_to_the_instance_itself_only()
    {
        Assert.Equal(HttpStatusCode.Forbidden, (await PutAsync("/2021-07-15/api/token", "60")).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await PutAsync("/latest/api/token", "60", ("X-Forwarded-For", "10.9.0.99"))).StatusCode);
    }

    [Fact]
    public async Task No_token_a_made_up_one_and_an_expired_one_are_refused()
    {
        const string path = "/latest/meta-data/instance-id";
        var token = await TokenAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(path, null)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(path, "made-up")).StatusCode);
        _clock.Now += TimeSpan.FromSeconds(60) - TimeSpan.FromTicks(1);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(path, token)).StatusCode);
        _clock.Now += TimeSpan.FromTicks(1);
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(path, token)).StatusCode);
    }

    [Fact]
    public async Task A_token_of_another_instance_is_refused()
    {
        await using var other = await ImdsServer.StartAsync(_vpc.PathOf("b"), () => Instance("i-b"), _clock, TestContext.Current.CancellationToken);
        using var client = ClientInside("b");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/latest/meta-data/instance-id") { Headers = { { "X-aws-ec2-metadata-token", await TokenAsync() } } };

        Assert.Equal(HttpStatusCode.Unauthorized, (await client.SendAsync(request, TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task A_path_that_does_not_exist_is_not_found() =>
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync("/latest/meta-data/public-ipv4", await TokenAsync())).StatusCode);

    [Fact]
    public async Task Switched_off_it_refuses_everything()
    {
        var token = await TokenAsync();
        _instance = _instance with { Enabled = false };

        Assert.Equal(HttpStatusCode.Forbidden, (await GetAsync("/latest/meta-data/instance-id", token)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await PutAsync("/latest/api/token", "60")).StatusCode);
    }

    [Fact]
    public async Task A_pod_does_not_reach_it()
    {
        await _vpc.AddPodAsync("a", "pod", IPAddress.Parse("10.9.0.11"));
        Assert.True(await _vpc.PingAsync("pod", IPAddress.Parse("169.254.169.254"), expected: true)); // So the way there is open.
        using var client = ClientInside("pod");

        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync(Macs, TestContext.Current.CancellationToken));

        Assert.Equal(HttpRequestError.ConnectionError, refused.HttpRequestError);
    }

    [Fact]
    public async Task Stopped_it_leaves_its_port_to_the_next()
    {
        await _server.DisposeAsync();

        _server = await ImdsServer.StartAsync(_vpc.PathOf("a"), () => _instance, _clock, TestContext.Current.CancellationToken);

        _client.Dispose();
        _client = ClientInside("a");
        await AssertContentAsync("i-a", "/latest/meta-data/instance-id");
    }

    private static ImdsInstance Instance(string id) => new()
    {
        InstanceId = id,
        InstanceType = "m5.large",
        AccountId = "123456789012",
        Region = "eu-west-1",
        AvailabilityZone = "eu-west-1a",
        AvailabilityZoneId = "euw1-az1",
        PendingTime = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
        Interfaces =
        [
            new ImdsInterface
            {
                Mac = TestVpc.MacOfA,
                EniId = "eni-a",
                DeviceNumber = 0,
                OwnerId = "123456789012",
                SubnetId = "subnet-1",
                SubnetCidr = TestVpc.Subnet,
                VpcId = "vpc-1",
                VpcCidrs = [IPNetwork.Parse("10.9.0.0/16"), IPNetwork.Parse("100.64.0.0/16")],
                SecurityGroupIds = ["sg-1"],
                LocalIpv4s = [TestVpc.AddressOfA, IPAddress.Parse("10.9.0.11")],
            },
        ],
    };

    private HttpClient ClientInside(string name)
    {
        var path = _vpc.PathOf(name);
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = TimeSpan.FromSeconds(10),
            ConnectCallback = async (context, cancellation) =>
            {
                var socket = NetworkNamespace.Run(path, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
                await socket.ConnectAsync(context.DnsEndPoint, cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        return new HttpClient(handler) { BaseAddress = new Uri("http://169.254.169.254") };
    }

    private async Task<string> TokenAsync() =>
        await (await PutAsync("/latest/api/token", "60")).Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

    private async Task<HttpResponseMessage> PutAsync(string path, string? ttl, (string Name, string Value)? more = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, path);
        if (ttl is not null)
        {
            request.Headers.Add("X-aws-ec2-metadata-token-ttl-seconds", ttl);
        }

        if (more is { } header)
        {
            request.Headers.Add(header.Name, header.Value);
        }

        return await _client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private async Task<HttpResponseMessage> GetAsync(string path, string? token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token is not null)
        {
            request.Headers.Add("X-aws-ec2-metadata-token", token);
        }

        return await _client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private async Task AssertContentAsync(string expected, string path)
    {
        var response = await GetAsync(path, await TokenAsync());
        Assert.Equal((HttpStatusCode.OK, "text/plain"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        Assert.Equal(expected, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 2, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
