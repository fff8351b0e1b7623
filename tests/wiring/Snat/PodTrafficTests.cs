using System.Net;
using System.Net.Sockets;
using AwsVpcCni.Tests.Wiring.Fabric;
using AwsVpcCni.VpcEmulator.Fabric;
using Xunit;

namespace AwsVpcCni.Tests.Wiring.Snat;

/// <summary>Pods of two nodes, on the primary and on a secondary interface of each: every pair, both ways.</summary>
public sealed class PodTrafficTests
{
    private const int ClosedPort = 7;
    private static readonly string[] Pods = [SnatVpc.First, SnatVpc.Second, SnatVpc.FirstOfB, SnatVpc.SecondOfB];

    private static IEnumerable<(string From, string To)> Pairs => Pods.SelectMany(from => Pods.Where(to => to != from).Select(to => (from, to)));

    private static async Task<SnatVpc> StartAsync()
    {
        var vpc = await SnatVpc.StartAsync(new());
        await vpc.AddPodsOfBAsync(new());
        return vpc;
    }

    [Fact]
    public async Task Each_reaches_each_by_TCP_UDP_and_ICMP_with_its_own_address()
    {
        await using var vpc = await StartAsync();
        await vpc.AssertSourcesAsync(Pairs.Select(pair => (pair.From, pair.To, SnatVpc.AddressOf(pair.To), SnatVpc.AddressOf(pair.From))));
    }

    /// <summary>Each pod of node a with its own node and with the other one.</summary>
    [Fact]
    public async Task Pods_and_nodes_reach_each_other_by_TCP_UDP_and_ICMP_with_their_own_addresses()
    {
        await using var vpc = await SnatVpc.StartAsync(new());
        await vpc.ListenAsync("a");
        var pairs =
            from pod in (string[])[SnatVpc.First, SnatVpc.Second]
            from node in ((string Name, IPAddress Address)[])[("a", SnatVpc.Node), ("b", TestVpc.AddressOfB)]
            select (Pod: pod, Node: node);
        await vpc.AssertSourcesAsync(pairs.Select(pair => (pair.Pod, pair.Node.Name, pair.Node.Address, SnatVpc.AddressOf(pair.Pod))));
        await vpc.AssertSourcesAsync(pairs.Select(pair => (pair.Node.Name, pair.Pod, SnatVpc.AddressOf(pair.Pod), pair.Node.Address)));
    }

    [Fact]
    public async Task A_closed_port_is_refused_at_once_by_TCP_and_UDP()
    {
        await using var vpc = await StartAsync();
        List<string> wrong = [];
        foreach (var (from, to) in Pairs)
        {
            foreach (var protocol in (ProtocolType[])[ProtocolType.Tcp, ProtocolType.Udp])
            {
                if (await AskAsync(vpc.Vpc.PathOf(from), protocol, new IPEndPoint(SnatVpc.AddressOf(to), ClosedPort)) is var answer and not SocketError.ConnectionRefused)
                {
                    wrong.Add($"{protocol} from {from} to {to}: {answer}");
                }
            }
        }

        Assert.Empty(wrong);
        await vpc.AssertNothingWasDroppedAsync();
    }

    /// <returns>What the other side's kernel says: by a reset, or by ICMP.</returns>
    private static async Task<SocketError> AskAsync(string path, ProtocolType protocol, IPEndPoint to)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        using var socket = NetworkNamespace.Run(path, () => new Socket(AddressFamily.InterNetwork, protocol == ProtocolType.Tcp ? SocketType.Stream : SocketType.Dgram, protocol));
        try
        {
            await socket.ConnectAsync(to, patience.Token);
            await socket.SendAsync(new byte[1], patience.Token);
            await socket.ReceiveAsync(new byte[1], patience.Token);
            return SocketError.Success;
        }
        catch (SocketException refused)
        {
            return refused.SocketErrorCode;
        }
        catch (OperationCanceledException)
        {
            return SocketError.TimedOut;
        }
    }
}
