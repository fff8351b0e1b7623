using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.VpcEmulator.Fabric;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>A node's grain as small as can be, behind the node API, and a metadata service; both inside the node's namespace.</summary>
internal sealed class FakeSilo : IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly SortedDictionary<string, Ip> rows = new(StringComparer.Ordinal);
    private readonly List<(Func<NodeReport, bool> Wanted, TaskCompletionSource<NodeReport> Seen)> waits = [];
    private readonly List<Socket> sockets = [];
    private readonly WebApplication app;
    private readonly string netns;
    private int next;

    public FakeSilo(string netns, ImmutableArray<Ip> lease, string mac)
    {
        this.netns = netns;
        Lease = lease;
        Mac = mac;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.ListenHandle((ulong)Open(8001).Handle, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.ListenHandle((ulong)Open(8002).Handle, listen => listen.Protocols = HttpProtocols.Http1);
        });
        app = builder.Build();
        Map();
    }

    public ImmutableArray<Ip> Lease { get; set; }

    public string Mac { get; }

    /// <summary>Ordered beside the first interface; null for none.</summary>
    public InterfaceOrder? Second { get; set; }

    /// <summary>Leased on the second interface. While there is one, and <see cref="OffersSecond"/>, every new sandbox is offered the first.</summary>
    public ImmutableArray<Ip> OnSecond { get; set; } = [];

    public bool OffersSecond { get; set; } = true;

    public ImmutableArray<Ip> GiveUp { get; set; } = [];

    /// <summary>Of the document; goes up when a test changes it.</summary>
    public long Version { get; set; } = 1;

    public NodePolicy Policy { get; set; } = new(30, 120);

    public string ImdsInstance { get; set; } = ExecutorNode.InstanceId;

    /// <summary>A line each.</summary>
    public string VpcCidrs { get; set; } = "10.0.0.0/16";

    /// <summary>The node API answers 503 to everything while set.</summary>
    public bool IsAway { get; set; }

    public bool HasNothing { get; set; }

    public ConcurrentQueue<AssignRequest> Asked { get; } = new();

    public Task StartAsync() => app.StartAsync();

    /// <summary>The first report from now on that is as wanted.</summary>
    public Task<NodeReport> ReportAsync(Func<NodeReport, bool> wanted)
    {
        var seen = new TaskCompletionSource<NodeReport>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            waits.Add((wanted, seen));
        }

        return seen.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        sockets.ForEach(socket => socket.Dispose());
    }

    private Socket Open(int port)
    {
        var socket = NetworkNamespace.Listen(TestNode.Path(netns), new IPEndPoint(IPAddress.Loopback, port));
        sockets.Add(socket);
        return socket;
    }

    private void Map()
    {
        app.MapPut("/latest/api/token", () => "session");
        app.MapGet("/latest/meta-data/instance-id", () => ImdsInstance);
        app.MapGet("/latest/meta-data/mac", () => Mac);
        app.MapGet("/latest/meta-data/local-ipv4", () => "10.0.0.10");
        app.MapGet($"/latest/meta-data/network/interfaces/macs/{Mac}/vpc-ipv4-cidr-blocks", () => VpcCidrs);
        app.Use(async (http, then) =>
        {
            if (IsAway && http.Request.Path.StartsWithSegments("/node", StringComparison.Ordinal))
            {
                http.Response.StatusCode = 503;
                return;
            }

            await then(http);
        });
        app.MapPost("/node/v1/assign", async (HttpContext http) =>
            await http.Response.WriteAsJsonAsync(Assign((await http.Request.ReadFromJsonAsync(NodeJson.Default.AssignRequest))!), NodeJson.Default.AssignReply));
        app.MapPost("/node/v1/release", async (HttpContext http) =>
        {
            await http.Request.ReadFromJsonAsync(NodeJson.Default.ReleaseRequest);
            await http.Response.WriteAsJsonAsync(new ReleaseReply { Known = true }, NodeJson.Default.ReleaseReply);
        });
        app.MapPost("/node/v1/sync", async (HttpContext http) =>
            await http.Response.WriteAsJsonAsync(Sync((await http.Request.ReadFromJsonAsync(NodeJson.Default.NodeReport))!), NodeJson.Default.NodeOrders));
    }

    /// <summary>Each sandbox the next address of the first interface, never one twice, or the second's.</summary>
    private AssignReply Assign(AssignRequest request)
    {
        Asked.Enqueue(request);
        lock (gate)
        {
            if (!rows.TryGetValue(request.Sandbox.ToString(), out var address))
            {
                if (HasNothing || next >= Lease.Length)
                {
                    return new AssignReply.NotYet(new Reason(ReasonCode.SubnetEmpty, "subnet-1 is empty"));
                }

                rows[request.Sandbox.ToString()] = address = OnSecond.IsEmpty || !OffersSecond ? Lease[next++] : OnSecond[0];
            }

            return new AssignReply.Offered(address, EniOf(address));
        }
    }

    private string EniOf(Ip address) => OnSecond.Contains(address) ? Second!.EniId : ExecutorNode.EniId;

    private NodeOrders Sync(NodeReport report)
    {
        lock (gate)
        {
            foreach (var wait in waits.Where(wait => wait.Wanted(report)).ToArray())
            {
                wait.Seen.TrySetResult(report);
                waits.Remove(wait);
            }
        }

        return new NodeOrders
        {
            Answers = report.Stamp,
            Incarnation = report.Stamp.Incarnation == 0 ? 1 : report.Stamp.Incarnation,
            LeaseVersion = Lease.IsEmpty ? 0 : Version,
            Lease = [.. Lease.AddRange(OnSecond).Select(address => new LeasedAddress(address, EniOf(address)))],
            GiveUp = GiveUp,
            Interfaces = Lease.IsEmpty ? [] : [.. Second is { } second ? [second] : ImmutableArray<InterfaceOrder>.Empty, new InterfaceOrder(ExecutorNode.EniId, Mac, 0, 0, Ip.Parse("10.0.0.10"), Cidr.Parse("10.0.0.0/24"))],
            Policy = Policy,
        };
    }
}
