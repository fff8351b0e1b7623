using System.Net;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Wiring.Fabric;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>The node that these tests work on, and what they do to it.</summary>
public sealed partial class InterfaceSetupTests : IAsyncLifetime
{
    private const string Eni = "eni-a1";
    private const string Mac = "02:00:0a:09:00:28";
    private const int Mtu = 9001;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
    private static readonly InterfaceOrder Order = new(Eni, Mac, 1, 0, Ip.Parse("10.9.0.40"), Cidr.Parse("10.9.0.0/24"));
    private static readonly IPAddress Primary = Order.PrimaryAddress.ToIPAddress();
    private static readonly IPAddress PodOnSecond = IPAddress.Parse("10.9.0.41");
    private static readonly IPAddress PodOnFirst = IPAddress.Parse("10.9.0.11");
    private static readonly IPAddress PodOfB = IPAddress.Parse("10.9.0.21");

    private TestVpc _vpc = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _vpc = await TestVpc.StartAsync();

    public ValueTask DisposeAsync() => _vpc.DisposeAsync();

    private async Task AttachAsync()
    {
        await _vpc.Fabric.AttachInterfaceAsync("i-a", Eni, Mac, 1, TestVpc.Subnet, Primary, Cancellation);
        await _vpc.Fabric.SetHeldAsync(Eni, [Primary, PodOnSecond], Cancellation);
    }

    private T OnA<T>(Func<T> work) => NetworkNamespace.Run(_vpc.PathOf("a"), work);

    private ReadyInterface? SetUp(InterfaceOrder? order = null) => OnA(() => InterfaceSetup.Apply(order ?? Order, Mtu, Deadline));

    private void Remove() => OnA(() =>
    {
        InterfaceSetup.Remove(Order, Deadline);
        return true;
    });

    private Task<NamespaceSnapshot> SnapshotAsync() => NamespaceSnapshot.TakeAsync($"{_vpc.Prefix}-a", Cancellation);

    private JsonElement.ArrayEnumerator Show(params string[] arguments) =>
        JsonDocument.Parse(TestNode.Run("ip", ["-n", $"{_vpc.Prefix}-a", "-json", "-details", .. arguments])).RootElement.EnumerateArray();

    /// <summary>A pod on node a, as the executor wires one.</summary>
    private async Task<PodWiring> AddPodAsync(string name, IPAddress address, int table)
    {
        await _vpc.IpAsync("a", $"netns add {_vpc.Prefix}-{name}");
        var pod = TestNode.Pod(name, address.ToString(), name, table);
        using var netns = File.OpenHandle(_vpc.PathOf(name));
        OnA(() =>
        {
            using var wirer = new Wirer();
            return wirer.Wire(pod, netns, Deadline);
        });
        return pod;
    }

    private async Task AddPodOfBAsync()
    {
        await _vpc.Fabric.SetHeldAsync("eni-b", [TestVpc.AddressOfB, PodOfB], Cancellation);
        await _vpc.AddPodAsync("b", "podb", PodOfB);
    }

    private async Task AssertNothingWasDroppedAsync() =>
        Assert.All((await _vpc.Fabric.DropCountersAsync(Cancellation)).Values, counters => Assert.Equal(new(0, 0, 0), counters));

    /// <summary>Makes a route again and again until the monitor, which takes a moment to start, has told of it; reads all it has told.</summary>
    private async Task WaitForRouteAsync(System.Diagnostics.Process monitor, string address)
    {
        var line = monitor.StandardOutput.ReadLineAsync(Cancellation).AsTask();
        var told = 0;
        for (var made = 0; !line.IsCompleted; made++)
        {
            Assert.True(made < 1000, "ip monitor says nothing");
            await _vpc.IpAsync("a", $"route replace blackhole {address}/32");
        }

        await _vpc.IpAsync("a", "route replace blackhole 10.99.0.3/32", "route del blackhole 10.99.0.3/32");
        while (!(await line ?? throw new InvalidOperationException("ip monitor has ended")).StartsWith("Deleted blackhole 10.99.0.3", StringComparison.Ordinal))
        {
            Assert.True(++told < 2000);
            line = monitor.StandardOutput.ReadLineAsync(Cancellation).AsTask();
        }
    }
}
