using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using AwsVpcCni.VpcEmulator;
using AwsVpcCni.VpcEmulator.Fabric;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.VpcEmulator;

/// <summary>What the EC2 model says is what the namespaces have.</summary>
public sealed class WiredVpcTests
{
    private readonly string _prefix = $"emuw{Environment.ProcessId}";
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_EC2_API_answers_in_the_silos_namespace_and_in_no_nodes()
    {
        await using var emulator = await StartAsync();
        Assert.Contains("\"ready\":true", Get($"{_prefix}-silos", "127.0.0.1", 4566, "GET /_emulator/ready HTTP/1.0\r\n\r\n"), StringComparison.Ordinal);
        Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => Get($"{_prefix}-node1", "127.0.0.1", 4566, "")).SocketErrorCode);
        Assert.Contains("401 Unauthorized", Get($"{_prefix}-node1", "169.254.169.254", 80, "GET /latest/meta-data/instance-id HTTP/1.0\r\n\r\n"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_attached_interface_appears_with_its_MAC_and_a_detached_one_goes()
    {
        await using var emulator = await StartAsync();
        var eni = emulator.Do(vpc => vpc.CreateNetworkInterface(new() { SubnetId = "subnet-0a" }));
        var attachment = emulator.Do(vpc => vpc.AttachNetworkInterface(eni.Id, "i-01", 1).Id);
        await SettleAsync(emulator);
        Assert.Equal(eni.Mac, MacOf("eth1"));
        emulator.Do(vpc =>
        {
            vpc.DetachNetworkInterface(attachment);
            return true;
        });
        await SettleAsync(emulator);
        Assert.Null(MacOf("eth1"));
    }

    [Fact]
    public async Task A_drawn_address_is_delivered_from_the_answer_on_and_a_returned_one_is_not()
    {
        await using var emulator = await StartAsync();
        var eni = emulator.Do(vpc => vpc.EnisOf(vpc.FindInstance("i-01")!).First().Id);
        using var listener = NetworkNamespace.Listen(NetworkNamespace.PathOf($"{_prefix}-node1"), new IPEndPoint(IPAddress.Any, 7777));
        await IpAsync("-n", $"{_prefix}-node1", "address", "add", "10.0.1.77/32", "dev", "lo"); // So only the router decides.
        Assert.False(Reaches("10.0.1.77"));
        emulator.Do(vpc => vpc.AssignPrivateIpAddresses(eni, [IPAddress.Parse("10.0.1.77")], false).Count);
        await emulator.CarriedOut;
        Assert.True(Reaches("10.0.1.77"));
        emulator.Do(vpc =>
        {
            vpc.UnassignPrivateIpAddresses(eni, [IPAddress.Parse("10.0.1.77")]);
            return true;
        });
        await emulator.CarriedOut;
        Assert.False(Reaches("10.0.1.77"));
    }

    [Fact]
    public async Task A_terminated_instance_takes_its_namespace_along_and_the_end_takes_all()
    {
        await using (var emulator = await StartAsync())
        {
            emulator.Do(vpc =>
            {
                vpc.Terminate("i-01");
                return true;
            });
            await SettleAsync(emulator);
            Assert.False(File.Exists(NetworkNamespace.PathOf($"{_prefix}-node1")));
            Assert.True(File.Exists(NetworkNamespace.PathOf($"{_prefix}-silos")));
        }

        Assert.Empty(Directory.GetFiles("/run/netns", $"{_prefix}-*"));
    }

    private Task<Emulator> StartAsync() => Emulator.StartAsync(
        new VpcDescription
        {
            VpcId = "vpc-01",
            Cidrs = ["10.0.0.0/16"],
            Subnets = [new() { Id = "subnet-0a", Cidr = "10.0.1.0/24", Zone = "eu-west-1a", ZoneId = "euw1-az1" }],
            SecurityGroups = [new() { Id = "sg-01", Name = "default" }],
            Instances =
            [
                new() { Id = "i-01", Name = "node1", Type = "m5.large", Subnet = "subnet-0a", Address = "10.0.1.10" },
                new() { Id = "i-02", Name = "silos", Type = "m5.large", Subnet = "subnet-0a", Address = "10.0.1.20", Role = InstanceRole.Silos },
            ],
        },
        new EmulatorOptions { FabricPrefix = _prefix, Time = _time },
        Cancellation);

    private bool Reaches(string address)
    {
        try
        {
            return Get($"{_prefix}-silos", address, 7777, null) is not null;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Connects from inside a namespace, sends, and reads to the end. A null request only connects.</summary>
    private static string Get(string netns, string address, int port, string? request) => NetworkNamespace.Run(NetworkNamespace.PathOf(netns), () =>
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var connecting = socket.BeginConnect(IPAddress.Parse(address), port, null, null);
        if (!connecting.AsyncWaitHandle.WaitOne(TimeSpan.FromSeconds(1)))
        {
            throw new SocketException((int)SocketError.TimedOut); // Dropped by the router: nobody says no.
        }

        socket.EndConnect(connecting);
        if (request is null)
        {
            return "";
        }

        using var stream = new NetworkStream(socket);
        stream.Write(System.Text.Encoding.ASCII.GetBytes(request));
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    });

    private string? MacOf(string device) => NetworkNamespace.Run(NetworkNamespace.PathOf($"{_prefix}-node1"), () =>
        System.Net.NetworkInformation.NetworkInterface.GetAllNetworkInterfaces()
            .Where(found => found.Name == device)
            .Select(found => string.Join(':', Convert.ToHexStringLower(found.GetPhysicalAddress().GetAddressBytes()).Chunk(2).Select(pair => new string(pair))))
            .FirstOrDefault());

    private async Task SettleAsync(Emulator emulator)
    {
        _time.Advance(TimeSpan.FromSeconds(10));
        await emulator.CarriedOut.WaitAsync(TimeSpan.FromSeconds(60), Cancellation);
    }

    private static async Task IpAsync(params string[] arguments)
    {
        using var process = Process.Start("ip", arguments);
        await process.WaitForExitAsync(Cancellation);
        Assert.Equal(0, process.ExitCode);
    }
}
