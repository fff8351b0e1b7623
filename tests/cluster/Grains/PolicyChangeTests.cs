using System.Collections.Immutable;
using System.Globalization;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Subnet;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>What the simulation found when policies change under way.</summary>
public sealed class PolicyChangeTests
{
    [Fact]
    public async Task An_interface_is_asked_for_again_with_the_tags_of_its_first_call()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Create", Ec2Fault.EffectUnknown, afterEffect: true);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.Calls.Any(call => call.StartsWith("Create", StringComparison.Ordinal)), "the first call");

        // EC2 refuses another call with the same token, and the interface of the first one would be nobody's.
        world.Settings.Pool = world.Settings.Pool with { AdditionalTags = new PoolPolicy().AdditionalTags.Add("team", "net") };
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 12, "12 leased addresses");

        Assert.Equal(2, world.Ec2.ByHand(vpc => vpc.Enis.Count()));
    }

    [Fact]
    public async Task Names_whose_reservation_has_lapsed_count_as_free()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy(), "10.0.0.0/27");
        var ledger = world.Grains.GetGrain<ISubnetGrain>("subnet-a");
        await ledger.SweptAsync(new SubnetSweep(new Ec2Subnet("subnet-a", GrainWorld.VpcId, "eu-west-1a", Cidr.Parse("10.0.0.0/27"), 27, ImmutableSortedDictionary<string, string>.Empty), [], 0, AreRangesAsked: true));
        await ledger.ReserveAsync(new ReserveRequest("never settled", "i-1", "eni-1", 27, [], false, false));

        world.Time.Shift(world.Settings.Timing.ReservationLapse * 2);
        var scattered = await ledger.ReserveAsync(new ReserveRequest("of a prefix", "i-2", "eni-2", 1, [], true, false)); // None is whole in so small a subnet.

        Assert.Empty(scattered.Names);
        Assert.Equal(27, scattered.Free);
    }

    [Fact]
    public async Task What_has_just_left_an_interface_is_not_asked_for_in_circles()
    {
        // Eleven addresses; one is the node's own.
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 9, MaxEnis = 1, Thrift = false }, "10.0.0.0/28");
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 9, "9 leased addresses");
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 2 };
        world.Time.Shift(TimeSpan.FromMinutes(3));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 leased addresses");

        world.Settings.Pool = world.Settings.Pool with { WarmIps = 9 };
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 3, "the one that has never been there");
        var writes = Writes();
        var syncs = 0;
        await GrainWorld.UntilAsync(executor, _ => ++syncs == 10, "a second");

        Assert.InRange(Writes() - writes, 0, 20);
        int Writes() => int.Parse(world.Documents.Read("node", GrainId.Create("node", id)).Etag, CultureInfo.InvariantCulture);
    }
}
