using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

public sealed class NodeLeaseSyncTests
{
    private static IEnumerable<Ip> Leased(NodeLease lease) => lease.Slots.Where(slot => slot.Value.Leased).Select(slot => slot.Key);

    private static (NodeLease Lease, Applied Applied) Apply(NodeLease lease, long version, int[] adds, int[] giveUp, double at = 0)
    {
        (lease, var report) = lease.Report(At(at));
        return lease.Apply(Orders(report, version, adds, giveUp), At(at));
    }

    [Fact]
    public void A_newer_document_adds()
    {
        var (lease, applied) = Apply(Node(1), version: 2, [0, 1], []);

        Assert.Equal([Address(0), Address(1)], Leased(lease));
        Assert.Equal((2, true, 1), (lease.Version, applied.MustSave, applied.Added));
    }

    [Theory]
    [InlineData(1)] // The same version: its addresses may have been given up meanwhile.
    [InlineData(0)]
    public void A_document_that_is_not_newer_adds_nothing(long version) =>
        Assert.Equal([Address(0)], Leased(Apply(Node(1), version, [0, 1], []).Lease));

    [Fact]
    public void What_the_orders_leave_out_stays_leased() => Assert.Equal(2, Leased(Apply(Node(2), 2, [0], []).Lease).Count());

    [Fact]
    public void A_consent_raises_the_version_so_that_nothing_older_adds()
    {
        var consented = Apply(Node(2), version: 5, [0], giveUp: [1]).Lease;

        Assert.Equal(5, consented.Version);
        Assert.Equal([Address(0)], Leased(Apply(consented, 4, [0, 1], []).Lease));
    }

    [Fact]
    public void What_is_to_be_given_up_is_not_added_again() =>
        Assert.Equal([Address(0)], Leased(Apply(Node(2), version: 5, [0, 1], giveUp: [1]).Lease));

    [Fact]
    public void An_address_on_a_sandbox_is_kept_back_and_still_reported_as_leased()
    {
        var lease = Apply(Node(2).WithClaim(1, 1), version: 5, [0], giveUp: [1]).Lease;

        Assert.Contains(Address(1), lease.Report(At(0)).Report.Leased);
        Assert.Equal([Address(0)], Leased(Apply(lease.WithDeleted(1, 1, at: 1), 5, [0], [1], at: 40).Lease));
    }

    [Fact]
    public void An_address_that_rests_is_kept_back_until_it_has_rested()
    {
        var lease = Node(2).WithClaim(1, 1).WithDeleted(1, 1, at: 10);

        Assert.Equal(2, Leased(Apply(lease, 5, [0], [1], at: 39).Lease).Count());
        Assert.Single(Leased(Apply(lease, 5, [0], [1], at: 40).Lease));
    }

    [Fact]
    public void An_address_whose_link_is_going_away_is_reported_as_leased_and_not_rested()
    {
        var report = Node().WithClaim(1, 1).Delete(Sandbox(1), 1, At(10)).Lease.Report(At(12)).Report;

        Assert.Contains(Address(1), report.Leased);
        Assert.Equal([new Resting(Address(1), 0)], report.Freed);
        Assert.Empty(report.Claims);
    }

    [Fact]
    public void A_protected_address_outside_the_lease_goes_when_it_has_rested()
    {
        var lease = (Node(0) with { Incarnation = 0 }).Protect(Address(7), Eni, new Hold(Sandbox(1), Pod, default, At(0), 0, Leaving: false));

        Assert.Equal(Address(7), Assert.Single(lease.Report(At(0)).Report.Claims).Address);
        lease = lease.WithDeleted(1, 7, at: 10);
        Assert.Equal([new Resting(Address(7), 20)], lease.Report(At(30)).Report.Freed);
        Assert.Empty(lease.Report(At(130)).Lease.Slots);
    }

    [Fact]
    public void An_address_that_comes_back_to_the_lease_while_it_rests_goes_on_resting()
    {
        var lease = Node(0).Protect(Address(7), Eni, new Hold(Sandbox(1), Pod, default, At(0), 0, Leaving: false)).WithDeleted(1, 7, at: 10);

        Assert.Equal(RefusalCode.NotRested, Apply(lease, 2, [7], [], at: 15).Lease.Objection(Address(7), At(20))?.Why);
    }

    [Fact]
    public void An_ADD_that_waits_is_demand_and_keeps_its_number_unsettled()
    {
        var (lease, number) = Node().Begun(1, at: 3);
        var report = lease.Wait(Sandbox(1)).WithClaim(2, 0).Report(At(5)).Report;

        Assert.Equal(new Waiter(Sandbox(1), Pod, new Stamp(1, number), 2), Assert.Single(report.Waiting));
        Assert.Equal(number - 1, report.SettledNumber);
    }

    [Fact]
    public void An_end_is_reported_until_an_answer_to_a_report_that_had_it()
    {
        var lease = Node().WithClaim(1, 0).WithClaim(2, 1);
        lease = lease.WithDeleted(1, 0, at: 1);
        (lease, var report) = lease.Report(At(2));
        lease = lease.WithDeleted(2, 1, at: 3);
        lease = lease.Apply(Orders(report, 1, [0, 1, 2]), At(4)).Lease;

        Assert.Equal(Sandbox(2), Assert.Single(lease.Report(At(5)).Report.Ended).Sandbox);
    }

    [Fact]
    public void An_end_tells_whose_claim_it_was_and_how_old_for_silos_that_have_not_heard_of_it()
    {
        var lease = Node().WithClaim(1, 0);
        var hold = lease.Slots[Address(0)].Hold!;

        var ended = Assert.Single(lease.WithDeleted(1, 0, at: 40).Report(At(50)).Report.Ended);
        Assert.Equal((Pod, hold.Stamp, (At(50) - hold.Since).TotalSeconds, 10), (ended.Had!.Pod, ended.Had.Stamp, ended.Had.HeldSeconds, ended.FreedSeconds));
        Assert.Null(Assert.Single(Node().Begun(1, at: 3).Lease.Delete(Sandbox(1), 9, At(4)).Lease.Report(At(5)).Report.Ended).Had); // Nothing was claimed.
    }

    [Fact] // Simulation, seed 6: a late duplicate of the first report had raised the document's incarnation, and the grain heard nothing lower for ever.
    public void Orders_of_a_later_incarnation_are_followed_so_that_the_grain_hears_the_node_again()
    {
        var (lease, number) = Node().WithClaim(1, 0).Begun(2);
        (lease, var report) = lease.Report(At(1));

        (lease, var applied) = lease.Apply(Orders(report, 1, [0, 1, 2]) with { Incarnation = 2 }, At(1));

        Assert.Equal((2, true), (lease.Incarnation, applied.MustSave));
        var next = lease.Report(At(2)).Report;
        Assert.Equal(new Stamp(2, 1), Assert.Single(next.Claims).Stamp);
        Assert.True(next.Stamp.Number > number);
        Assert.NotNull(lease.Undo(Sandbox(1), 1).Release); // What is open keeps its number, and can be undone by it.
        Assert.IsType<ClaimResult.Claimed>(lease.TryClaim(Sandbox(2), number, Address(1), At(2)).Result);
    }

    [Fact]
    public void A_node_without_a_file_takes_the_incarnation_that_the_orders_bring()
    {
        var lease = new NodeLease { InstanceId = "i-1" }.Begun(1).Lease.Delete(Sandbox(1), 1, At(0)).Lease.Begun(2, turn: 5).Lease;
        (lease, var report) = lease.Report(At(1));
        (lease, var applied) = lease.Apply(Orders(report, 4, [0]) with { Incarnation = 3 }, At(1));

        Assert.Equal((3, true), (lease.Incarnation, applied.MustSave));
        Assert.Empty(lease.Ended); // The answer acknowledged it.
        Assert.Equal(3, lease.Report(At(1)).Report.Stamp.Incarnation);
    }
}
