using System.Runtime.InteropServices;
using System.Text;
using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Cni;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Wiring;
using AwsVpcCni.Tests.Unit.NodeExecutor.Lease;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Cni;

/// <summary>The moments that a test of processes cannot hold still: an ADD that has its claim and is being wired, one that came after the GC.</summary>
public sealed class GcCommandTests
{
    private readonly SandboxGate gate = new(TimeProvider.System);
    private readonly Lines log = new();
    private LeaseLink link;
    private GcCommand gc;

    public GcCommandTests() => (link, gc) = With(Node().WithClaim(1, 0, turn: 3).WithClaim(2, 1, turn: 8));

    private (LeaseLink Link, GcCommand Gc) With(NodeLease lease)
    {
        var lane = new Lane();
        var of = new LeaseLink(new Away(), new NoStore(), TimeProvider.System, new LeaseLinkOptions(), lease, new FakeInterfaces(), NullLogger.Instance);
        return (of, new GcCommand(lane, of, new PodLinks(new NoKernel(), lane, of, TimeProvider.System, NullLogger.Instance), gate, TimeProvider.System, log));
    }

    [Fact]
    public async Task A_sandbox_whose_ADD_is_being_wired_is_left_alone_and_one_whose_ADD_came_after_the_GC()
    {
        using (await gate.EnterAsync(Sandbox(1), TimeSpan.FromSeconds(1), CancellationToken.None))
        {
            await CollectAsync(turn: 7);
            Assert.Equal([Sandbox(1), Sandbox(2)], link.Lease.Claims.Keys);
        }

        await CollectAsync(turn: 7);
        Assert.Equal([Sandbox(2)], link.Lease.Claims.Keys);
        gate.TryEnter(Sandbox(1))!.Dispose(); // The GC has left it.
    }

    [Fact]
    public async Task What_a_DEL_has_ended_while_it_looked_is_no_error()
    {
        link.Delete(Sandbox(1), turn: 4);
        await CollectAsync(turn: 9);
        Assert.Empty(link.Lease.Claims);
    }

    [Fact]
    public async Task A_sandbox_of_unknown_network_is_said_once_and_a_leftover_never()
    {
        (link, gc) = With(Node().Protect(Address(0), Eni, Held(1, isLeaving: false)).Protect(Address(1), Eni, Held(2, isLeaving: true)));
        await CollectAsync(turn: 9);
        await CollectAsync(turn: 10);
        Assert.Contains("c1/eth0", Assert.Single(log.Said, line => line.Contains("is lost", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.All(log.Said.Where(line => line.Contains("attachments listed", StringComparison.Ordinal)), line => Assert.Contains("1 of an unknown network", line, StringComparison.Ordinal));

        static Hold Held(int n, bool isLeaving) => new(Sandbox(n), Pod, default, default, 0, isLeaving);
    }

    private Task<PluginReply> CollectAsync(long turn) => gc.RunAsync(
        CniCall.Parse("CNI_COMMAND=GC\0"u8),
        new PluginRequest(Array.Empty<byte>(), Encoding.UTF8.GetBytes("""{"cniVersion":"1.1.0","name":"aws-cni","type":"aws-vpc-cni","cni.dev/valid-attachments":[]}"""), null, turn));

    private sealed class NoKernel : IWirer
    {
        public Task<IPodPair?> MakeAsync(PodVeth veth, SafeHandle netns, TimeSpan deadline) => Task.FromResult<IPodPair?>(null);

        public Task DiscardAsync(IPodPair pair, TimeSpan deadline) => Task.CompletedTask;

        public WiredPod Wire(PodWiring wiring, SafeHandle netns, TimeSpan deadline, IPodPair? made = null) => throw new NotSupportedException();

        public Task Unwire(WiredSandbox wired, TimeSpan deadline) => Task.CompletedTask;

        public bool HasLink(string name, TimeSpan deadline) => false;

        public IReadOnlyList<WiredSandbox> Read(TimeSpan deadline) => [];
    }

    private sealed class NoStore : ILeaseStore
    {
        public void Save(NodeLease lease)
        {
        }

        public void Append(LeaseEntry entry, NodeLease after)
        {
        }
    }

    private sealed class Away : INodeApi
    {
        public Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task ListenAsync(Action hint, CancellationToken cancellation) => throw new NodeApiException("away");
    }
}
