using System.Runtime.InteropServices;
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

/// <summary>A DEL behind a request that does not end, such as a CHECK that a stuck kernel keeps waiting.</summary>
public sealed class DelCommandTests
{
    private readonly OneThread thread = new();
    private readonly Kernel kernel = new();
    private readonly SandboxGate gate;
    private readonly LeaseLink link;
    private readonly DelCommand del;

    public DelCommandTests()
    {
        var lane = new Lane(thread);
        gate = new SandboxGate(thread.Time);
        link = new LeaseLink(new Away(), new NoStore(), thread.Time, new LeaseLinkOptions(), Node().WithClaim(1, 0, turn: 3), new FakeInterfaces(), NullLogger.Instance);
        del = new DelCommand(lane, link, new PodLinks(kernel, lane, link, thread.Time, NullLogger.Instance), gate, thread.Time, NullLogger.Instance);
    }

    [Fact]
    public void It_answers_in_time_and_the_link_goes_when_that_request_has_ended()
    {
        var before = gate.TryEnter(Sandbox(1))!;
        var answer = Delete();
        thread.Pass(19);
        Assert.False(answer.IsCompleted);
        thread.Pass(2);
        Assert.True(answer.IsCompletedSuccessfully);
        Assert.Empty(kernel.Unwired);

        thread.Do(before.Dispose);
        Assert.Equal(Address(0), Assert.Single(kernel.Unwired).Address);
        Assert.Null(link.Lease.Slots[Address(0)].Hold);
        gate.TryEnter(Sandbox(1))!.Dispose(); // It has left.
    }

    [Fact]
    public void What_that_request_has_removed_itself_is_left_alone_since_the_address_may_be_another_pods()
    {
        var before = gate.TryEnter(Sandbox(1))!;
        Delete();
        thread.Pass(21);
        link.LinkGone(Sandbox(1), Address(0));

        thread.Do(before.Dispose);
        Assert.Empty(kernel.Unwired);
        gate.TryEnter(Sandbox(1))!.Dispose();
    }

    private Task<PluginReply> Delete() => thread.Start(() => del.RunAsync(
        CniCall.Parse("CNI_COMMAND=DEL\0CNI_CONTAINERID=c1\0CNI_IFNAME=eth0\0"u8), new PluginRequest(Array.Empty<byte>(), Array.Empty<byte>(), null, Turn: 9)));

    private sealed class Kernel : IWirer
    {
        public List<WiredSandbox> Unwired { get; } = [];

        public Task<IPodPair?> MakeAsync(PodVeth veth, SafeHandle netns, TimeSpan deadline) => Task.FromResult<IPodPair?>(null);

        public Task DiscardAsync(IPodPair pair, TimeSpan deadline) => Task.CompletedTask;

        public WiredPod Wire(PodWiring wiring, SafeHandle netns, TimeSpan deadline, IPodPair? made = null) => throw new NotSupportedException();

        public Task Unwire(WiredSandbox wired, TimeSpan deadline)
        {
            Unwired.Add(wired);
            return Task.CompletedTask;
        }

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
