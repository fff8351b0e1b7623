using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

/// <summary>What the link asks of the machine's interfaces, and what it tells silos of them.</summary>
public sealed class LeaseLinkInterfaceTests : IDisposable
{
    private const string Second = "eni-b";
    private readonly OneThread lane = new();
    private readonly FakeInterfaces machine = new();
    private readonly Orderer silo = new();
    private readonly CancellationTokenSource stop = new();
    private LeaseLink link = null!;

    private void Begin(NodeLease? lease = null)
    {
        link = new LeaseLink(silo, silo, lane.Time, new LeaseLinkOptions(), lease ?? Node(), machine, NullLogger.Instance);
        lane.Do(() => _ = link.RunAsync(stop.Token));
        lane.Pass(0.3);
    }

    public void Dispose() => stop.Dispose();

    [Fact]
    public void An_ordered_interface_is_set_up_and_reported()
    {
        silo.Wanted = [Interface(Eni), Interface(Second)];
        Begin();

        Assert.Equal([Eni, Second], silo.Reports.Last().InterfacesSetUp);
    }

    [Fact]
    public void What_the_file_knows_is_set_up_before_the_first_report()
    {
        silo.Wanted = [Interface(Eni)];
        Begin(Node() with { Interfaces = Interfaces(Eni), InterfacesSetUp = [] });

        Assert.Equal([Eni], silo.Reports[0].InterfacesSetUp);
    }

    [Fact]
    public void A_missing_interface_is_looked_for_each_second_for_a_minute_then_each_ten()
    {
        machine.OnSetUp = order => order.EniId == Second ? InterfaceState.Absent : InterfaceState.Ready;
        silo.Wanted = [Interface(Second)];
        Begin();
        Assert.DoesNotContain(Second, silo.Reports.Last().InterfacesSetUp);
        var looks = machine.Looks;
        lane.Pass(50);
        Assert.InRange(machine.Looks - looks, 45, 52);
        lane.Pass(20);
        looks = machine.Looks;
        lane.Pass(100);
        Assert.InRange(machine.Looks - looks, 9, 11);
    }

    [Fact]
    public void A_link_that_comes_later_is_reported_at_once_and_one_that_goes_too()
    {
        machine.OnSetUp = _ => InterfaceState.Absent;
        silo.Wanted = [Interface(Second)];
        Begin();
        machine.OnSetUp = _ => InterfaceState.Ready;
        lane.Pass(1.2);
        Assert.Contains(Second, silo.Reports.Last().InterfacesSetUp);

        machine.OnSetUp = _ => InterfaceState.Absent;
        lane.Pass(10.3);
        Assert.DoesNotContain(Second, silo.Reports.Last().InterfacesSetUp);
    }

    [Theory]
    [InlineData(InterfaceState.Absent, true, "1 pods are on interfaces that this machine does not show (the first is 10.0.0.10)")]
    [InlineData(InterfaceState.Unclear, false, "1 interfaces are not looked at yet")]
    public void Only_an_interface_that_is_not_there_is_said_to_cut_pods_off(InterfaceState state, bool affectsPods, string said)
    {
        machine.OnSetUp = _ => state;
        silo.Wanted = [Interface(Eni)];
        Begin(Node().WithClaim(1, 0) with { Interfaces = Interfaces(Eni), InterfacesSetUp = [] });

        var unserved = link.WhyNotServable();
        Assert.Equal(affectsPods, unserved?.AffectsPods);
        Assert.Contains(said, unserved?.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_that_does_not_answer_makes_no_ready_interface_unready()
    {
        silo.Wanted = [Interface(Second)];
        Begin();
        machine.OnSetUp = _ => InterfaceState.Unclear;
        lane.Pass(30);

        Assert.Contains(Second, silo.Reports.Last().InterfacesSetUp);
    }

    [Fact]
    public void An_interface_without_orders_is_let_go_when_no_address_needs_it()
    {
        var lease = Node(1).WithClaim(1, 0); // Its address stays, whatever orders say: a pod has it.
        silo.Wanted = [Interface(Eni), Interface(Second)];
        Begin(lease);
        silo.Wanted = [];
        lane.Pass(10.3);

        Assert.Equal([Second], machine.LetGo);
        Assert.Equal([Eni], link.Lease.Interfaces.Keys);
        Assert.Equal([Eni], silo.Reports.Last().InterfacesSetUp);
        Assert.Equal([Eni], silo.Saved.Last().Interfaces.Keys);
    }

    [Fact]
    public void One_that_cannot_be_let_go_stays_in_the_file_and_is_tried_again()
    {
        silo.Wanted = [Interface(Eni), Interface(Second)];
        Begin();
        machine.LetsGo = false;
        silo.Wanted = [Interface(Eni)];
        lane.Pass(12.5);
        Assert.InRange(machine.LetGo.Count, 2, 4);
        Assert.Contains(Second, silo.Saved.Last().Interfaces.Keys);
        Assert.DoesNotContain(Second, silo.Reports.Last().InterfacesSetUp);
        machine.LetsGo = true;
        lane.Pass(1.1);

        Assert.Equal([Eni], silo.Saved.Last().Interfaces.Keys);
    }

    [Fact]
    public void An_interface_is_in_the_file_before_the_kernel_has_anything_of_it()
    {
        silo.Wanted = [Interface(Second)];
        machine.OnSetUp = order => silo.Saved.Any(lease => lease.Interfaces.ContainsKey(order.EniId))
            ? InterfaceState.Ready
            : throw new InvalidOperationException("set up, and no file knows it");
        Begin();

        Assert.Contains(Second, link.Lease.InterfacesSetUp);
    }

    [Fact]
    public void One_that_has_moved_to_another_device_index_counts_only_when_it_is_set_up_there()
    {
        silo.Wanted = [Interface(Second)];
        Begin();
        machine.OnSetUp = _ => InterfaceState.Unclear;
        silo.Wanted = [Interface(Second) with { DeviceIndex = 2 }];
        lane.Pass(10.3);

        Assert.DoesNotContain(Second, silo.Reports.Last().InterfacesSetUp);
    }

    private static ImmutableSortedDictionary<string, InterfaceOrder> Interfaces(string eni) =>
        ImmutableSortedDictionary.Create<string, InterfaceOrder>(StringComparer.Ordinal).Add(eni, Interface(eni));

    /// <summary>A silo that only orders interfaces, and the file beside it.</summary>
    private sealed class Orderer : INodeApi, ILeaseStore
    {
        public ImmutableArray<InterfaceOrder> Wanted { get; set; } = [];

        public List<NodeReport> Reports { get; } = [];

        public List<NodeLease> Saved { get; } = [];

        public Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation) => throw new NodeApiException("away");

        public Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation)
        {
            Reports.Add(report);
            return Task.FromResult(Orders(report, report.LeaseVersion, []) with { Interfaces = Wanted });
        }

        public Task ListenAsync(Action hint, CancellationToken cancellation) => throw new NodeApiException("away");

        public void Save(NodeLease lease) => Saved.Add(lease);

        public void Append(LeaseEntry entry, NodeLease after)
        {
            // Not what these tests are about.
        }
    }
}
