using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>CIDR reservations of subnet-a are a pool of their own: prefixes come from those for prefixes first, single addresses from none.</summary>
public sealed class CidrReservationTests
{
    [Fact]
    public async Task Prefixes_come_from_a_reservation_for_them_first_and_single_addresses_from_none()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Prefixes = true, WarmPrefixes = 3 });
        Reserve(world, "10.0.0.192/27", ReservationType.Prefix); // Two blocks.
        Reserve(world, "10.0.0.16/28", ReservationType.Explicit);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 48, "three prefixes");

        Assert.Equal(["10.0.0.192/28", "10.0.0.208/28"], Blocks(executor).Where(block => block.First.CompareTo(Ip.Parse("10.0.0.192")) >= 0).Select(block => block.ToString()).Take(2));
        Assert.DoesNotContain("10.0.0.16/28", Blocks(executor).Select(block => block.ToString()));
        var shown = await world.SubnetAsync();
        Assert.Equal((world.Ec2.ByHand(vpc => vpc.FindSubnet("subnet-a")!.Choosable), world.Ec2.ByHand(vpc => vpc.FindSubnet("subnet-a")!.ChoosablePrefixes), 0, 16), ((int)shown.Free, shown.FreePrefixes, shown.KeptForPrefixes, shown.KeptByName));
    }

    [Fact]
    public async Task What_is_left_of_a_subnet_is_not_taken_from_a_reservation_and_a_later_one_is_heard_of()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 5, Thrift = false }, "10.0.0.0/28");
        Reserve(world, "10.0.0.4/30", ReservationType.Explicit);
        Reserve(world, "10.0.0.8/31", ReservationType.Explicit); // Of eleven addresses five are open, and the node's own is one of them.
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "what is open");
        await GrainWorld.UntilAsync(executor, async _ => (await executor.Node.SummarizeAsync()).Trouble?.StartsWith("subnet-a: 0 free addresses", StringComparison.Ordinal) == true, "the reason why there is no more");
        Assert.All(executor.Leased, address => Assert.True(address.CompareTo(Ip.Parse("10.0.0.10")) >= 0, $"{address} is reserved"));

        world.Ec2.ByHand(vpc => vpc.DeleteSubnetCidrReservation(vpc.FindSubnet("subnet-a")!.Reservations[0].Id));
        world.Time.Shift(TimeSpan.FromMinutes(6)); // They are read each five minutes.
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 5, "an address that is open now");
    }

    [Fact]
    public async Task A_role_that_may_not_read_them_goes_on_without()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 5 });
        world.Ec2.Fail("GetSubnetCidrReservations", Ec2Fault.NotAuthorized, times: 1000);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 5, "5 addresses");

        Assert.InRange(world.Ec2.Calls.Count(call => call.StartsWith("GetSubnetCidrReservations", StringComparison.Ordinal)), 1, 2); // And is not asked in a loop.
    }

    private static void Reserve(GrainWorld world, string cidr, ReservationType type) => world.Ec2.ByHand(vpc => vpc.CreateSubnetCidrReservation("subnet-a", System.Net.IPNetwork.Parse(cidr), type));

    private static IEnumerable<Block> Blocks(FakeExecutor executor) => executor.Leased.Select(Block.PrefixOf).Distinct();
}
