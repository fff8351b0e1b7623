using System.Net;
using System.Net.Http.Json;
using Amazon.EC2;
using Amazon.EC2.Model;
using Amazon.Runtime;
using AwsVpcCni.VpcEmulator;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.VpcEmulator;

/// <summary>An emulator on loopback in fake time, and an unmodified AWSSDK.EC2 that sends everything once.</summary>
public sealed class RunningVpc : IAsyncDisposable
{
    public const string SubnetIdA = "subnet-0a";
    public const string Node = "i-01";
    public const string Cluster = "test";

    private readonly HttpClient _http = new();

    private RunningVpc(Emulator emulator, FakeTimeProvider time)
    {
        (Emulator, Time) = (emulator, time);
        Ec2 = Client();
    }

    public Emulator Emulator { get; }

    public FakeTimeProvider Time { get; }

    public AmazonEC2Client Ec2 { get; }

    public static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="policy">The policy of docs/iam to enforce on whoever signs as <see cref="Cluster"/>; null: everybody may do everything.</param>
    public static async Task<RunningVpc> StartAsync(Func<VpcDescription, VpcDescription>? change = null, string? callLog = null, TimeProvider? time = null, string? policy = null)
    {
        var fake = new FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        var description = new VpcDescription
        {
            VpcId = "vpc-01",
            Cidrs = ["10.0.0.0/16", "100.64.0.0/16"],
            Subnets =
            [
                new() { Id = SubnetIdA, Cidr = "10.0.1.0/24", Zone = "eu-west-1a", ZoneId = "euw1-az1", Tags = new Dictionary<string, string> { ["kubernetes.io/role/cni"] = "1" } },
                new() { Id = "subnet-0b", Cidr = "10.0.2.0/28", Zone = "eu-west-1b", ZoneId = "euw1-az2" },
            ],
            SecurityGroups = [new() { Id = "sg-01", Name = "default" }, new() { Id = "sg-02", Name = "pods" }],
            Instances =
            [
                new() { Id = Node, Type = "m5.large", Subnet = SubnetIdA, Address = "10.0.1.10", SecondaryAddresses = ["10.0.1.11"], Tags = new Dictionary<string, string> { ["Name"] = "one", [$"kubernetes.io/cluster/{Cluster}"] = "owned" } },
                new() { Id = "i-02", Type = "t3.small", Subnet = SubnetIdA, Address = "10.0.1.20" },
                new() { Id = "i-03", Type = "m5.large", Subnet = "subnet-0b", Address = "10.0.2.4" },
            ],
        };
        var options = new EmulatorOptions
        {
            Time = time ?? fake, CallLogPath = callLog,
            Policies = policy is null ? new Dictionary<string, string>() : new() { [Cluster] = policy },
        };
        return new RunningVpc(await Emulator.StartAsync(change is null ? description : change(description), options, Cancellation), fake);
    }

    /// <param name="staleRetries">The SDK's own default is 10.</param>
    public AmazonEC2Client Client(int staleRetries = 0, TimeSpan? timeout = null, AWSCredentials? credentials = null) =>
        new(credentials ?? new BasicAWSCredentials("x", "y"), new AmazonEC2Config
        {
            ServiceURL = Emulator.Endpoint.ToString(),
            AuthenticationRegion = "eu-west-1",
            MaxErrorRetry = 0,
            MaxStaleConnectionRetries = staleRetries,
            Timeout = timeout ?? TimeSpan.FromSeconds(30),
        });

    /// <summary>Lets every transition come to its end.</summary>
    public void Settle() => Time.Advance(TimeSpan.FromMinutes(1));

    public string PrimaryOf(string instanceId) => Emulator.Do(vpc => vpc.EnisOf(vpc.FindInstance(instanceId)!).First().Id);

    public IReadOnlyList<string> AddressesOf(string eniId) =>
        Emulator.Do(vpc => vpc.FindEni(eniId)!.Addresses.Select(address => address.ToString()).ToList());

    public async Task<NetworkInterface> DescribeAsync(string eniId) => Assert.Single((await Ec2.DescribeNetworkInterfacesAsync(
        new DescribeNetworkInterfacesRequest { Filters = [new Amazon.EC2.Model.Filter("network-interface-id", [eniId])] }, Cancellation)).NetworkInterfaces);

    public async Task<AmazonEC2Exception> RefusedAsync(string code, HttpStatusCode status, Func<AmazonEC2Client, Task> call)
    {
        var refusal = await Assert.ThrowsAsync<AmazonEC2Exception>(() => call(Ec2));
        Assert.Equal((code, status), (refusal.ErrorCode, refusal.StatusCode));
        Assert.NotEmpty(refusal.RequestId);
        return refusal;
    }

    public Task<HttpResponseMessage> ControlAsync(HttpMethod method, string path, object? body = null) => _http.SendAsync(
        new HttpRequestMessage(method, new Uri(Emulator.Endpoint, "/_emulator/" + path)) { Content = body is null ? null : JsonContent.Create(body) }, Cancellation);

    public async ValueTask DisposeAsync()
    {
        Ec2.Dispose();
        _http.Dispose();
        await Emulator.DisposeAsync();
    }
}
