using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Fabric;

/// <summary>A fabric with two nodes in one subnet, under a prefix of its own; and what a test does inside them.</summary>
internal sealed partial class TestVpc : IAsyncDisposable
{
    public const string MacOfA = "02:00:0a:09:00:0a", MacOfB = "02:00:0a:09:00:14";

    public static readonly IPNetwork Subnet = IPNetwork.Parse("10.9.0.0/24");
    public static readonly IPAddress AddressOfA = IPAddress.Parse("10.9.0.10");
    public static readonly IPAddress AddressOfB = IPAddress.Parse("10.9.0.20");

    private static readonly Lazy<Task> s_interruptedRunsRemoved = new(RemoveInterruptedRunsAsync);
    private static int s_last;

    private TestVpc(string prefix, VpcFabric fabric) => (Prefix, Fabric) = (prefix, fabric);

    public string Prefix { get; }

    public VpcFabric Fabric { get; }

    /// <summary>A prefix that no other test and no other run on this machine has.</summary>
    private static string NewPrefix() =>
        string.Create(CultureInfo.InvariantCulture, $"fabtest{Environment.ProcessId}x{Interlocked.Increment(ref s_last)}");

    /// <summary>Removes the namespaces of test runs whose process is gone: the fabric's own clean-up goes by prefix, and theirs never comes back.</summary>
    private static async Task RemoveInterruptedRunsAsync()
    {
        var names = Directory.Exists("/run/netns") ? Directory.GetFiles("/run/netns", "fabtest*").Select(file => Path.GetFileName(file)) : [];
        foreach (var match in names.Select(name => PrefixPattern().Match(name)).Where(match => match.Success).DistinctBy(match => match.Value))
        {
            if (!Directory.Exists($"/proc/{match.Groups["run"].Value}"))
            {
                await (await VpcFabric.StartAsync(match.Value, CancellationToken.None)).DisposeAsync();
            }
        }
    }

    [GeneratedRegex(@"^fabtest(?<run>\d+)x\d+(?=-)")]
    private static partial Regex PrefixPattern();

    public static async Task<TestVpc> StartAsync()
    {
        await s_interruptedRunsRemoved.Value;
        var cancellation = TestContext.Current.CancellationToken;
        var prefix = NewPrefix();
        var vpc = new TestVpc(prefix, await VpcFabric.StartAsync(prefix, cancellation));
        try
        {
            await vpc.Fabric.AddNodeAsync("i-a", "a", cancellation);
            await vpc.Fabric.AddNodeAsync("i-b", "b", cancellation);
            await vpc.Fabric.AttachInterfaceAsync("i-a", "eni-a", MacOfA, 0, Subnet, AddressOfA, cancellation);
            await vpc.Fabric.AttachInterfaceAsync("i-b", "eni-b", MacOfB, 0, Subnet, AddressOfB, cancellation);
            return vpc;
        }
        catch
        {
            await vpc.DisposeAsync();
            throw;
        }
    }

    /// <summary>Somebody with an address of his own, which may be out of the VPC: on the internet, behind a peering, in a second range.</summary>
    /// <remarks>The fabric's router delivers between all that are plugged in, whatever their addresses, and translates nothing.</remarks>
    public async Task AddOutsideAsync(string name, IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        await Fabric.AddNodeAsync($"i-{name}", name, TestContext.Current.CancellationToken);
        await Fabric.AttachInterfaceAsync(
            $"i-{name}", $"eni-{name}", string.Create(CultureInfo.InvariantCulture, $"02:00:{bytes[0]:x2}:{bytes[1]:x2}:{bytes[2]:x2}:{bytes[3]:x2}"), 0,
            new IPNetwork(new IPAddress([bytes[0], bytes[1], bytes[2], 0]), 24), address, TestContext.Current.CancellationToken);
    }

    public ValueTask DisposeAsync() => Fabric.DisposeAsync();

    /// <summary>Runs `ip` commands, a line each, in the namespace PREFIX-<paramref name="name"/>.</summary>
    public async Task IpAsync(string name, params string[] lines)
    {
        foreach (var line in lines)
        {
            var (exit, output) = await RunAsync(name, "ip", line.Split(' '));
            Assert.True(exit == 0, $"ip {line}: {output}");
        }
    }

    /// <summary>Makes a pod behind a node as the CNI wires one: a namespace, a veth, a /32, and the node's route to it.</summary>
    public async Task AddPodAsync(string node, string pod, IPAddress address)
    {
        await IpAsync(node, $"netns add {Prefix}-{pod}", $"link add {pod} type veth peer name eth0 netns {Prefix}-{pod}", $"link set {pod} up");
        await IpAsync(pod, "link set eth0 up", $"address add {address}/32 dev eth0", "route add 169.254.1.1 dev eth0 scope link",
            "route add default via 169.254.1.1 dev eth0", $"neighbour add 169.254.1.1 lladdr {await MacAsync(node, pod)} dev eth0 nud permanent");
        await IpAsync(node, $"route add {address}/32 dev {pod} scope link");
    }

    /// <summary>Whether a ping is answered. One that should be has five seconds, one that should not half a second.</summary>
    public async Task<bool> PingAsync(string name, IPAddress to, bool expected, IPAddress? from = null)
    {
        string[] source = from is null ? [] : ["-I", from.ToString()];
        string[] patience = expected ? ["-w", "5"] : ["-W", "0.5"];
        var (exit, output) = await RunAsync(name, "ping", ["-n", "-q", "-c", "1", .. patience, .. source, to.ToString()]);
        Assert.True(exit is 0 or 1, $"ping could not even try: {output}"); // 2 is an error of its own.
        return exit == 0;
    }

    /// <summary>Sends bytes through one TCP connection and returns how many came out at the other end, after that end has said the number.</summary>
    public async Task<int> SendTcpAsync(string from, string to, IPAddress address, int bytes)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(20));
        using var listener = NetworkNamespace.Listen(PathOf(to), new IPEndPoint(IPAddress.Any, 0));
        using var client = NetworkNamespace.Run(PathOf(from), () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        var counting = CountAsync(listener, patience.Token);
        await client.ConnectAsync(new IPEndPoint(address, ((IPEndPoint)listener.LocalEndPoint!).Port), patience.Token);
        await using (var stream = new NetworkStream(client))
        {
            await stream.WriteAsync(new byte[bytes], patience.Token);
            client.Shutdown(SocketShutdown.Send);
            var answer = new byte[sizeof(int)];
            await stream.ReadExactlyAsync(answer, patience.Token);
            Assert.Equal(await counting, BitConverter.ToInt32(answer));
            return BitConverter.ToInt32(answer);
        }
    }

    public string PathOf(string name) => NetworkNamespace.PathOf($"{Prefix}-{name}");

    public async Task<string> MacAsync(string name, string device)
    {
        var (_, output) = await RunAsync(name, "ip", "-brief", "link", "show", device);
        return output.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2];
    }

    /// <summary>Runs a program inside a namespace of this VPC.</summary>
    public Task<(int Exit, string Output)> RunAsync(string name, string program, params string[] arguments) =>
        RunAsync("nsenter", [$"--net={PathOf(name)}", program, .. arguments]);

    private static async Task<(int Exit, string Output)> RunAsync(string program, string[] arguments)
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync(cancellation);
        var output = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        return (process.ExitCode, output + await errors);
    }

    private static async Task<int> CountAsync(Socket listener, CancellationToken cancellation)
    {
        using var accepted = await listener.AcceptAsync(cancellation);
        var buffer = new byte[65536];
        var count = 0;
        while (await accepted.ReceiveAsync(buffer, cancellation) is > 0 and var received)
        {
            count += received;
        }

        await accepted.SendAsync(BitConverter.GetBytes(count), cancellation);
        return count;
    }
}
