using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

public sealed class NodeLeaseStartTests
{
    private static WiredLink Link(int? sandbox, int address) => new(sandbox is { } n ? Sandbox(n) : null, $"eni{address}", Address(address), Eni, Pod);

    private static (NodeLease Lease, IReadOnlyList<Leftover> Leftovers) Start(NodeLease? file, bool isOfThisBoot = true, params WiredLink[] wired)
    {
        var (lease, leftovers) = NodeLease.Start("i-1", new LeaseFileContent(file, isOfThisBoot, null), wired, At(1000));
        return (lease with { InterfacesSetUp = [Eni] }, leftovers);
    }

    [Fact]
    public void Each_start_has_an_incarnation_of_its_own() => Assert.Equal(2, Start(Node()).Lease.Incarnation);

    [Fact]
    public void Without_a_file_the_incarnation_is_the_grains_to_say() => Assert.Equal(0, Start(null).Lease.Incarnation);

    [Fact]
    public void A_file_that_never_heard_of_an_incarnation_makes_none_up() => Assert.Equal(0, Start(Node() with { Incarnation = 0 }).Lease.Incarnation);

    [Fact]
    public void Numbers_that_begin_anew_meet_no_end_of_before()
    {
        NodeLease GaveUp(NodeLease lease, int sandbox) => lease.Begin(Sandbox(sandbox), Pod, 1, At(1001)).Lease.Undo(Sandbox(sandbox), 1).Lease;
        var before = GaveUp(Start(null).Lease, 1); // No silo answers, and the ADD times out.

        var again = GaveUp(Start(before with { LastNumber = 0 }).Lease, 2); // As the file has it.

        Assert.Empty(again.Adds);
        Assert.Single(again.Ended);
    }

    [Fact]
    public void What_is_granted_after_a_damaged_file_rests_from_the_start()
    {
        var lease = NodeLease.Start("i-1", new LeaseFileContent(null, false, "line 7 is damaged"), [], At(1000)).Lease;
        (lease, var report) = lease.Report(At(1010));
        lease = lease.Apply(Orders(report, 1, [0]), At(1010)).Lease with { InterfacesSetUp = [Eni] };

        Assert.Equal(RefusalCode.NotRested, lease.Objection(Address(0), At(1029))?.Why);
        Assert.Null(lease.Objection(Address(0), At(1030)));
    }

    [Fact]
    public void A_new_nodes_first_pods_do_not_wait()
    {
        var (lease, report) = Start(null).Lease.Report(At(1010));

        Assert.Null((lease.Apply(Orders(report, 1, [0]), At(1010)).Lease with { InterfacesSetUp = [Eni] }).Objection(Address(0), At(1010)));
    }

    [Fact]
    public void A_wired_claim_stays_with_its_stamp()
    {
        var (lease, leftovers) = Start(Node().WithClaim(1, 0), wired: Link(1, 0));

        Assert.Equal((Address(0), new Stamp(1, 1)), (lease.HeldBy(Sandbox(1))!.Address, lease.Slots[Address(0)].Hold!.Stamp));
        Assert.Empty(leftovers);
    }

    [Fact]
    public void The_first_DEL_after_a_start_ends_a_claim_of_before()
    {
        var lease = Start(Node().WithClaim(1, 0, turn: 50), wired: Link(1, 0)).Lease;

        Assert.NotNull(lease.Delete(Sandbox(1), turn: 1, At(1001)).Release);
    }

    [Fact]
    public void A_claim_without_a_link_has_ended_and_rests_from_the_start()
    {
        var lease = Start(Node().WithClaim(1, 0)).Lease;

        Assert.Empty(lease.Claims);
        var ended = Assert.Single(lease.Ended).Value;
        Assert.Equal((Sandbox(1), Address(0), At(1000), new Stamp(1, 1)), (ended.Sandbox, ended.Address, ended.FreedAt, ended.Had!.Stamp));
        Assert.Equal(RefusalCode.NotRested, lease.Objection(Address(0), At(1029))?.Why);
        Assert.Null(lease.Objection(Address(0), At(1030)));
    }

    [Fact]
    public void A_wired_sandbox_that_the_file_does_not_know_is_protected()
    {
        var lease = Start(null, wired: Link(1, 0)).Lease;

        Assert.Equal(Sandbox(1), Assert.Single(lease.Report(At(1001)).Report.Claims).Sandbox);
        Assert.DoesNotContain(lease.Slots.Values, slot => slot.Leased);
    }

    [Fact]
    public void An_address_that_the_kernel_alone_knew_can_be_used_again_when_its_pod_has_gone()
    {
        var lease = NodeLease.Start("i-1", new LeaseFileContent(null, true, null), [Link(1, 0) with { EniId = "" }], At(1000)).Lease;
        (lease, var report) = lease.Report(At(1001));
        lease = lease.Apply(Orders(report, 1, [0]), At(1001)).Lease with { InterfacesSetUp = [Eni] };

        Assert.Null(lease.WithDeleted(1, 0, at: 1002).Objection(Address(0), At(1032)));
    }

    [Fact]
    public void A_stale_link_with_the_address_of_a_wired_pod_goes_and_the_pod_keeps_its_claim()
    {
        var stale = Link(2, 0) with { HostVeth = "enistale" };
        var (lease, leftovers) = Start(Node().WithClaim(1, 0), wired: [stale, Link(1, 0)]);

        Assert.Equal(Sandbox(1), Assert.Single(lease.Claims).Key);
        Assert.Equal(new Leftover(default, stale with { Address = null }), Assert.Single(leftovers)); // Its address, and so the rules, are the pod's.
    }

    [Fact]
    public void Of_two_links_with_one_address_and_no_lease_the_first_is_protected()
    {
        var (lease, leftovers) = Start(null, wired: [Link(1, 0), Link(2, 0)]);

        Assert.Equal(Sandbox(1), Assert.Single(lease.Claims).Key);
        Assert.Equal(Sandbox(2), Assert.Single(leftovers).Link.Sandbox);
    }

    [Fact]
    public void A_half_wired_link_holds_its_address_until_it_is_removed()
    {
        var (lease, leftovers) = Start(Node(), wired: Link(null, 0));
        var left = Assert.Single(leftovers);

        Assert.Equal(RefusalCode.Claimed, lease.Objection(Address(0), At(5000))?.Why);
        Assert.Equal(RefusalCode.NotRested, lease.LinkGone(left.Holder, Address(0), At(5000)).Objection(Address(0), At(5001))?.Why);
    }

    [Fact]
    public void A_half_wired_claim_ends_and_holds_its_address_until_the_link_is_removed()
    {
        var (lease, leftovers) = Start(Node().WithClaim(1, 0), wired: Link(null, 0));

        Assert.Empty(lease.Claims);
        Assert.Equal(Sandbox(1), Assert.Single(leftovers).Holder);
        Assert.Equal(RefusalCode.Claimed, lease.Objection(Address(0), At(5000))?.Why);
        Assert.Null(lease.LinkGone(Sandbox(1), Address(0), At(5000)).Slots[Address(0)].Hold);
    }

    [Fact]
    public void A_link_that_a_DEL_had_begun_to_remove_is_removed()
    {
        var (lease, leftovers) = Start(Node().WithClaim(1, 0).Delete(Sandbox(1), 1, At(900)).Lease, wired: Link(1, 0));

        Assert.Equal(Sandbox(1), Assert.Single(leftovers).Holder);
        Assert.Equal(RefusalCode.Claimed, lease.Objection(Address(0), At(5000))?.Why);
    }

    [Fact]
    public void A_freed_time_of_this_boot_counts_on()
    {
        var lease = Start(Node().WithClaim(1, 0, at: 1).WithDeleted(1, 0, at: 990)).Lease;

        Assert.Null(lease.Objection(Address(0), At(1020)));
    }

    [Fact]
    public void After_a_reboot_no_pod_is_left_and_every_address_rests_from_the_start()
    {
        var lease = Start(Node(2).WithClaim(1, 0), isOfThisBoot: false).Lease;

        Assert.Empty(lease.Claims);
        var ended = Assert.Single(lease.Ended).Value;
        Assert.True(ended is { Had: null } && ended.Sandbox == Sandbox(1), "times of another boot mean nothing");
        Assert.All(lease.Slots, slot => Assert.Equal(At(1000), slot.Value.FreedAt));
    }
}
