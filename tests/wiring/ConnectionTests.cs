using System.Net;
using System.Net.Sockets;
using AwsVpcCni.NodeExecutor.Netlink;
using AwsVpcCni.NodeExecutor.Wiring;
using Xunit;
using static AwsVpcCni.Tests.Wiring.TestNode;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>The connections of an address are forgotten, and nobody else's.</summary>
public sealed class ConnectionTests : IDisposable
{
    private const string One = "10.1.0.1", Two = "10.1.0.2", Host = "10.1.0.10";
    private const int Port = 80, Many = 70; // More than two messages have room for.

    private readonly TestNode node = new();
    private readonly List<Socket> sockets = [];

    /// <summary>All three are the node's, which tracks what it sends. The host's ports 8081 and 8082 lead to One and Two, and what goes to port 90 is in a zone.</summary>
    public ConnectionTests()
    {
        foreach (var address in (string[])[One, Two, Host])
        {
            Run("ip", "-n", node.Name, "address", "add", $"{address}/32", "dev", "lo");
            node.In(() => Add(SocketType.Stream, address, Port)).Listen();
        }

        Run("nsenter", $"--net={Path(node.Name)}", "nft", $$"""
            table ip test {
              chain zones { type filter hook output priority -300; udp dport 90 ct zone set 7; }
              chain ports {
                type nat hook output priority -100;
                ip daddr {{Host}} meta l4proto { tcp, udp } th dport 8081 dnat to {{One}}:{{Port}}
                ip daddr {{Host}} meta l4proto { tcp, udp } th dport 8082 dnat to {{Two}}:{{Port}}
              }
            }
            """);
    }

    public void Dispose()
    {
        sockets.ForEach(socket => socket.Dispose());
        node.Dispose();
    }

    [Fact]
    public void What_an_address_has_begun_and_what_has_reached_it_by_any_address_is_forgotten_and_nothing_else()
    {
        foreach (var type in (SocketType[])[SocketType.Stream, SocketType.Dgram])
        {
            Open(type, (One, Host, Port), (Two, Host, Port), (Host, One, Port), (Host, Two, Port), (One, Two, Port), (Host, Host, 8081), (Host, Host, 8082), (One, Host, 8081), (Two, Host, 8082));
        }

        Open(SocketType.Dgram, (One, Host, 90), (Two, Host, 90), (Host, One, 90));
        Open(SocketType.Dgram, [.. Enumerable.Range(9000, Many).SelectMany(port => ((string, string, int)[])[(One, Host, port), (Two, Host, port)])]);
        var before = Tracked();
        string[] others = [.. before.Where(connection => !connection.Contains($"src={One} ", StringComparison.Ordinal))];
        Assert.Equal((21 + (2 * Many), 9 + Many), (before.Length, others.Length));

        using var socket = node.In(() => NetlinkSocket.Open(Rtnetlink.NETLINK_NETFILTER));
        Connection.ForgetAllOf(socket, Core.Addressing.Ip.Parse(One), NodeExecutor.Netlink.Deadline.In(TestNode.Deadline));

        Assert.Equal(others, Tracked());
    }

    /// <summary>Kill points, seed 7060401: links came first, and where pods went without a pause connections were never forgotten.</summary>
    [Fact]
    public async Task Connections_are_forgotten_while_links_still_wait_for_their_turn()
    {
        // 19 ms each on some machines, 1 ms on others; to be forgotten and found so takes a tenth of a second.
        for (var links = 100; !await AreForgottenBeforeAllHaveGoneAsync(links); links *= 2)
        {
            Assert.True(links < 800, $"all {links} links have gone, and the connection was still tracked");
        }
    }

    private async Task<bool> AreForgottenBeforeAllHaveGoneAsync(int links)
    {
        Run("nsenter", $"--net={Path(node.Name)}", "sh", "-c", $"for i in $(seq {links}); do ip link add v$i index $((100000 + i)) type veth peer name w$i; done");
        Open(SocketType.Dgram, (One, Host, Port));
        using var remover = node.In(() => new LinkRemover(null));

        Task[] gone = [.. Enumerable.Range(0, links + 1).Select(link =>
            remover.RemoveAsync(link == 0 ? null : 100_000 + link, $"v{link}", link == 0 ? Core.Addressing.Ip.Parse(One) : null, TestNode.Deadline))];
        var isForgotten = false;
        while (!isForgotten && !gone[^1].IsCompleted)
        {
            isForgotten = Tracked() is [] && !gone[^1].IsCompleted;
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        await Task.WhenAll(gone);
        return isForgotten;
    }

    private void Open(SocketType type, params (string From, string To, int Port)[] connections) => node.In(() =>
    {
        foreach (var (from, to, port) in connections)
        {
            var (socket, end) = (Add(type, from, 0), new IPEndPoint(IPAddress.Parse(to), port));
            if (type is SocketType.Stream)
            {
                socket.Connect(end);
            }
            else
            {
                socket.SendTo([1], end);
            }
        }

        return true;
    });

    private Socket Add(SocketType type, string address, int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, type, type is SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp);
        sockets.Add(socket);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        return socket;
    }

    /// <summary>Each by both of its directions, as conntrack(8) shows them, without the time that it has left.</summary>
    private string[] Tracked() =>
        [.. Run("nsenter", $"--net={Path(node.Name)}", "conntrack", "-L").Split('\n').Where(line => line.Length > 0).Select(line => line[..line.IndexOf(' ', StringComparison.Ordinal)] + line[line.IndexOf(" src=", StringComparison.Ordinal)..]).Order(StringComparer.Ordinal)];
}
