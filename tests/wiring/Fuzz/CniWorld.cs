using System.Collections.Immutable;
using System.Runtime.InteropServices;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Cni;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Metrics;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>The executor's commands and lease in this process, put together as Executor.RunAsync does, with one address and a kernel that is a set of names.</summary>
internal sealed class CniWorld
{
    private const string Eni = "eni-a";
    private static readonly Ip Address = Ip.Parse("10.0.0.10");

    private readonly FakeTimeProvider time = new(new DateTimeOffset(2026, 8, 20, 14, 2, 0, TimeSpan.Zero));
    private readonly Kernel kernel = new();
    private readonly LeaseLink link;
    private readonly PodLinks links;
    private readonly CniCommands commands;
    private long turn;

    public CniWorld()
    {
        var lease = new NodeLease
        {
            InstanceId = "i-0000000000000000a",
            Incarnation = 1,
            Version = 1,
            Slots = ImmutableSortedDictionary<Ip, Slot>.Empty.Add(Address, new Slot(Eni, Leased: true, null, null)),
            InterfacesSetUp = [Eni],
        };
        var (lane, log, gate, network, host) = (new Lane(), NullLogger.Instance, new SandboxGate(time), new NetworkReadiness(), new HostNetworkSettings());
        network.Set();
        link = new LeaseLink(new Silo(), new Disk(), time, new LeaseLinkOptions(), lease, new Interfaces(), log);
        links = new PodLinks(kernel, lane, link, time, log);
        commands = new CniCommands(
            new AddCommand(lane, link, links, gate, network, host, time, log), new DelCommand(lane, link, links, gate, time, log),
            new CheckCommand(link, gate, host, log), new GcCommand(lane, link, links, gate, time, log), new StatusCommand(lane, link, network, time), new RequestCounts(), time, log);
    }

    /// <summary>How many sandboxes have something in the lease or in the kernel.</summary>
    public int Held => link.Lease.Claims.Count + kernel.Wired.Count;

    /// <summary>Those that have an address.</summary>
    public IEnumerable<SandboxKey> Sandboxes => link.Lease.Claims.Keys;

    public Task<PluginReply> ServeAsync(byte[] environment, byte[] stdin, Microsoft.Win32.SafeHandles.SafeFileHandle netns) =>
        commands.ServeAsync(new PluginRequest(environment, stdin, netns, ++turn), CancellationToken.None);

    /// <summary>Ends when what DELs have freed rests, then lets it rest long enough for the next ADD.</summary>
    public async Task SettleAsync()
    {
        await links.DrainAsync(TimeSpan.FromSeconds(60));
        time.Advance(TimeSpan.FromMinutes(10)); // Longer than a DEL is remembered, too.
    }

    private sealed class Kernel : IWirer
    {
        public HashSet<SandboxKey> Wired { get; } = [];

        public Task<IPodPair?> MakeAsync(PodVeth veth, SafeHandle netns, TimeSpan deadline) => Task.FromResult<IPodPair?>(null);

        public Task DiscardAsync(IPodPair pair, TimeSpan deadline) => Task.CompletedTask;

        public WiredPod Wire(PodWiring wiring, SafeHandle netns, TimeSpan deadline, IPodPair? made = null)
        {
            if (!LinkAlias.TryParse(wiring.Alias.ToString(), out var read) || read.Sandbox != wiring.Sandbox || read.Address != wiring.Address)
            {
                throw new FuzzException($"the alias '{wiring.Alias}' does not say whose it is");
            }

            Wired.Add(wiring.Sandbox);
            return new WiredPod(wiring.HostVeth, "02:00:00:00:00:01", "02:00:00:00:00:02", null);
        }

        public Task Unwire(WiredSandbox wired, TimeSpan deadline)
        {
            Wired.Remove(wired.Sandbox!.Value);
            return Task.CompletedTask;
        }

        public bool HasLink(string name, TimeSpan deadline) => false;

        public IReadOnlyList<WiredSandbox> Read(TimeSpan deadline) => [];
    }

    private sealed class Silo : INodeApi
    {
        public Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation)
        {
            _ = System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(request, NodeJson.Default.AssignRequest); // As it would go out.
            return Task.FromResult<AssignReply>(new AssignReply.Offered(Address, Eni));
        }

        public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task ListenAsync(Action hint, CancellationToken cancellation) => throw new NodeApiException("away");
    }

    private sealed class Disk : ILeaseStore
    {
        public void Save(NodeLease lease)
        {
        }

        public void Append(LeaseEntry entry, NodeLease after)
        {
        }
    }

    private sealed class Interfaces : IHostInterfaces
    {
        public Task<InterfaceState> SetUpAsync(InterfaceOrder order) => Task.FromResult(InterfaceState.Ready);

        public Task<bool> LetGoAsync(InterfaceOrder order) => Task.FromResult(true);
    }
}
