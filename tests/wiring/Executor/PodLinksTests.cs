using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor;
using AwsVpcCni.NodeExecutor.Cni;
using AwsVpcCni.NodeExecutor.Lease;
using AwsVpcCni.NodeExecutor.Wiring;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static AwsVpcCni.Tests.Wiring.TestNode;

namespace AwsVpcCni.Tests.Wiring.Executor;

/// <summary>An address is freed only when nothing in the kernel has it.</summary>
public sealed class PodLinksTests : IAsyncDisposable
{
    private static readonly Ip Address = Core.Addressing.Ip.Parse("10.0.0.21");

    private readonly TestNode node = new();
    private readonly Lane lane = new();
    private readonly PodWiring wiring = Pod("c1", "10.0.0.21", table: 3);
    private readonly string netns;
    private readonly string before;
    private readonly Store store;
    private readonly LeaseLink link;
    private readonly PodLinks links;

    public PodLinksTests()
    {
        netns = node.AddNamespace("pod");
        Run("ip", "-n", node.Name, "link", "add", "other", "type", "bridge");
        Run("ip", "-n", node.Name, "link", "set", "other", "up");
        before = Seen();
        store = new Store(Seen);
        var lease = new NodeLease { InstanceId = "i-1", Incarnation = 1 }
            .Protect(Address, "eni-a", new Hold(wiring.Sandbox, new PodName("default", "web-0", "uid"), default, default, 0, Leaving: false));
        link = new LeaseLink(new NoSilo(), store, TimeProvider.System, new LeaseLinkOptions(), lease, new HostInterfaces(9001, new Repairs(TimeProvider.System, NullLogger.Instance), TimeProvider.System, NullLogger.Instance), NullLogger.Instance);
        links = new PodLinks(node.Wirer, lane, link, TimeProvider.System, NullLogger.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        await links.DrainAsync(Deadline);
        node.Dispose();
    }

    [Fact]
    public async Task A_failed_wiring_that_could_not_undo_itself_is_found_without_an_alias()
    {
        Run("ip", "-n", netns, "rule", "add", "priority", "1", "to", "169.254.1.1", "prohibit");
        Assert.Throws<WiringException>(Wire);
        Run("ip", "-n", node.Name, "link", "add", wiring.HostVeth, "type", "veth", "peer", "name", "eth0", "netns", netns); // As if it had not undone itself.

        await RemoveAsync();

        Assert.Equal(before, await store.Freed);
    }

    [Fact]
    public async Task A_second_removal_finds_the_link_that_the_first_could_not_remove()
    {
        Wire();
        Run("ip", "-n", node.Name, "route", "replace", "10.0.0.21/32", "dev", "other"); // In use elsewhere: held.
        await RemoveAsync();
        Run("ip", "-n", node.Name, "route", "del", "10.0.0.21/32", "dev", "other");
        await RemoveAsync();

        Assert.Equal(before, await store.Freed);
    }

    [Fact]
    public async Task What_is_removed_is_forgotten()
    {
        Wire();
        Assert.NotNull(links.ResultOf(wiring.Sandbox));
        await RemoveAsync();
        await store.Freed;

        Assert.Null(links.ResultOf(wiring.Sandbox));
    }

    private WiredPod Wire()
    {
        using var handle = File.OpenHandle(TestNode.Path(netns));
        return node.In(() => links.Wire(wiring, handle));
    }

    private async Task RemoveAsync()
    {
        var deleted = lane.RunAsync(() => link.Delete(wiring.Sandbox, turn: 1));
        links.Remove(wiring.Sandbox, (await deleted)!.Address);
    }

    private string Seen() => Run("ip", "-n", node.Name, "-o", "link") + Run("ip", "-n", node.Name, "rule") + Run("ip", "-n", node.Name, "route");

    private sealed class Store(Func<string> seen) : ILeaseStore
    {
        private readonly TaskCompletionSource<string> freed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>What the node showed when the address was freed.</summary>
        public Task<string> Freed => freed.Task.WaitAsync(Deadline);

        public void Save(NodeLease lease)
        {
        }

        public void Append(LeaseEntry entry, NodeLease after)
        {
            if (entry is LeaseEntry.Freed)
            {
                freed.TrySetResult(seen());
            }
        }
    }

    private sealed class NoSilo : INodeApi
    {
        public Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task ListenAsync(Action hint, CancellationToken cancellation) => throw new NodeApiException("away");
    }
}
