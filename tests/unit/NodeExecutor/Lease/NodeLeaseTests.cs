using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

public sealed class NodeLeaseTests
{
    private static RefusalCode? Refusal(NodeLease lease, int sandbox, int address, double at)
    {
        (lease, var number) = lease.Begun(sandbox, at, turn: 99);
        return (lease.TryClaim(Sandbox(sandbox), number, Address(address), At(at)).Result as ClaimResult.Refused)?.Refusal.Why;
    }

    [Fact]
    public void A_leased_rested_address_on_a_ready_interface_is_claimed() => Assert.Null(Refusal(Node(), 1, 0, 0));

    [Fact]
    public void An_address_outside_the_lease_is_refused() => Assert.Equal(RefusalCode.NotLeased, Refusal(Node(2), 1, 2, 0));

    [Fact]
    public void An_address_of_another_sandbox_is_refused() =>
        Assert.Equal(RefusalCode.Claimed, Refusal(Node().WithClaim(1, 0), 2, 0, 500));

    [Fact]
    public void An_address_whose_link_is_still_going_away_is_refused() =>
        Assert.Equal(RefusalCode.Claimed, Refusal(Node().WithClaim(1, 0).Delete(Sandbox(1), 1, At(1)).Lease, 2, 0, 500));

    [Fact]
    public void An_address_on_an_interface_that_is_not_set_up_is_refused() =>
        Assert.Equal(RefusalCode.InterfaceNotSetUp, Refusal(Node() with { InterfacesSetUp = [] }, 1, 0, 0));

    [Theory]
    [InlineData(129.9, RefusalCode.NotRested)]
    [InlineData(130, null)]
    public void An_address_freed_at_100_rests_for_the_cooldown(double at, RefusalCode? why) =>
        Assert.Equal(why, Refusal(Node().WithClaim(1, 0).WithDeleted(1, 0, at: 100), 2, 0, at));

    [Fact]
    public void The_rest_begins_when_the_link_is_gone_not_at_the_DEL()
    {
        var lease = Node().WithClaim(1, 0).Delete(Sandbox(1), 1, At(100)).Lease.LinkGone(Sandbox(1), Address(0), At(105));

        Assert.Equal(RefusalCode.NotRested, Refusal(lease, 2, 0, 134));
        Assert.Null(Refusal(lease, 2, 0, 135));
    }

    [Fact]
    public void A_repeated_ADD_gets_the_same_address()
    {
        var (_, start) = Node().WithClaim(1, 2).Begin(Sandbox(1), Pod, 1, At(1));

        Assert.Equal(new AddStart.Holds(new Grant(Address(2), Eni)), start);
    }

    [Fact]
    public void A_second_ADD_of_a_sandbox_does_not_overtake_the_first() =>
        Assert.IsType<AddStart.InProgress>(Node().Begun(1).Lease.Begin(Sandbox(1), Pod, 1, At(1)).Start);

    [Fact]
    public void An_ADD_that_its_DEL_has_overtaken_on_the_way_gets_nothing() =>
        Assert.IsType<AddStart.Outrun>(Node().Delete(Sandbox(1), turn: 8, At(0)).Lease.Begin(Sandbox(1), Pod, turn: 7, At(0)).Start);

    [Fact]
    public void An_ADD_after_the_DEL_of_a_reused_container_id_gets_an_address() =>
        Assert.IsType<AddStart.Asks>(Node().Delete(Sandbox(1), turn: 8, At(0)).Lease.Begin(Sandbox(1), Pod, turn: 9, At(0)).Start);

    [Fact]
    public void An_ADD_whose_DEL_comes_while_a_silo_answers_cannot_claim()
    {
        var (lease, number) = Node().Begun(1, turn: 1);
        (lease, var release) = lease.Delete(Sandbox(1), turn: 2, At(1));

        Assert.IsType<ClaimResult.Outrun>(lease.TryClaim(Sandbox(1), number, Address(0), At(1)).Result);
        Assert.True(release!.Value.Number > number); // The grain may have stored a row for the ADD.
    }

    [Fact]
    public void A_DEL_that_is_served_late_leaves_the_next_ADD_of_the_container_alone()
    {
        var lease = Node().WithClaim(1, 0, turn: 9).Delete(Sandbox(1), turn: 8, At(1)).Lease;

        Assert.Equal(Address(0), lease.HeldBy(Sandbox(1))?.Address);
    }

    [Fact]
    public void A_DEL_for_a_sandbox_that_nobody_has_seen_ends_nothing()
    {
        var (lease, release) = Node().Delete(Sandbox(1), 1, At(1));

        Assert.Null(release);
        Assert.Empty(lease.Ended);
    }

    [Fact]
    public void Without_a_silo_the_longest_rested_address_of_the_fullest_interface_is_taken()
    {
        var lease = Node(3).WithDeletedPods(at0: 10, at1: 5);
        (lease, var first) = lease.Claimed(7, at: 50);
        (lease, var second) = lease.Claimed(8, at: 50);
        (lease, var third) = lease.Claimed(9, at: 50);

        Assert.Equal([Address(2), Address(1), Address(0)], [first, second, third]); // Never used, freed at 5, freed at 10.
    }

    [Fact]
    public void Who_came_first_gets_the_first_address_that_is_free()
    {
        var lease = Node(1);
        (lease, var first) = lease.Begun(1);
        lease = lease.Wait(Sandbox(1));
        (lease, var second) = lease.Begun(2);
        Assert.IsType<ClaimResult.NothingRested>(lease.ClaimBest(Sandbox(2), second, At(0)).Result);
        (lease, var result) = lease.ClaimBest(Sandbox(1), first, At(0));
        Assert.IsType<ClaimResult.Claimed>(result);
    }

    [Fact]
    public void Who_came_second_takes_what_the_first_one_leaves()
    {
        var lease = Node(2);
        (lease, _) = lease.Begun(1);
        lease = lease.Wait(Sandbox(1));
        (lease, var second) = lease.Begun(2);
        Assert.IsType<ClaimResult.Claimed>(lease.ClaimBest(Sandbox(2), second, At(0)).Result);
    }

    [Fact]
    public void Waiting_ADDs_are_bounded()
    {
        var lease = Node();
        for (var n = 0; n < NodeLease.MaxAdds; n++)
        {
            lease = lease.Begun(n).Lease;
        }

        Assert.IsType<AddStart.TooMany>(lease.Begin(Sandbox(NodeLease.MaxAdds), Pod, 1, At(0)).Start);
    }

    [Fact]
    public void Unacknowledged_ends_are_bounded_and_the_newest_stay()
    {
        var lease = Node();
        for (var n = 0; n <= NodeLease.MaxEnded; n++)
        {
            (lease, var number) = lease.Begun(1);
            lease = lease.Undo(Sandbox(1), number).Lease;
        }

        Assert.Equal(NodeLease.MaxEnded, lease.Ended.Count);
        Assert.Equal(lease.LastNumber, lease.Ended.Keys.Last().Number);
    }
}

internal static class Sequences
{
    /// <summary>Addresses 0 and 1 have been on sandboxes and were freed at these times; 2 never was.</summary>
    public static NodeLease WithDeletedPods(this NodeLease lease, double at0, double at1) =>
        lease.WithClaim(1, 0).WithClaim(2, 1).WithDeleted(1, 0, at0).WithDeleted(2, 1, at1);

    public static (NodeLease Lease, AwsVpcCni.Core.Addressing.Ip Address) Claimed(this NodeLease lease, int sandbox, double at)
    {
        (lease, var number) = lease.Begun(sandbox, at, turn: 9);
        (lease, var result) = lease.ClaimBest(Sandbox(sandbox), number, At(at));
        return (lease, ((ClaimResult.Claimed)result).Grant.Address);
    }
}
