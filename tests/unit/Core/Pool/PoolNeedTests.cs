using AwsVpcCni.Core.Pool;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

/// <summary>The pure functions of amazon-vpc-cni-k8s 1.23.1 on the cases that its source and its own tests give; 9 slots an interface.</summary>
public sealed class PoolNeedTests
{
    private const int None = -1; // The reference has no such figure for that row.

    [Theory]
    [InlineData(false, 0, 0, 0, 5, 0, 1, 0, 5, 0, true, false)]
    [InlineData(false, 2, 0, 0, 5, 0, 1, 0, 3, 0, true, false)]
    [InlineData(false, 5, 0, 0, 5, 0, 1, 0, 0, 0, false, false)]
    [InlineData(false, 8, 0, 0, 5, 0, 1, 0, 0, 3, false, true)]
    [InlineData(false, 8, 0, 0, 5, 8, 1, 0, 0, 0, false, false)]
    [InlineData(false, 8, 0, 0, 5, 7, 1, 0, 0, 1, false, true)]
    [InlineData(false, 20, 15, 0, 5, 10, 1, 0, 0, 0, false, false)]
    [InlineData(false, 9, 9, 0, 1, 0, 1, 0, 1, 0, true, false)]
    [InlineData(false, 9, 8, 0, 1, 12, 1, 0, 3, 0, true, false)]
    [InlineData(false, 12, 12, 0, 0, 12, 1, 0, 0, 0, false, false)]
    [InlineData(false, 9, 0, 0, 0, 0, 1, 0, None, None, false, false)]
    [InlineData(false, 9, 1, 0, 0, 0, 1, 0, None, None, true, false)]
    [InlineData(false, 27, 8, 0, 0, 0, 2, 0, None, None, false, false)]
    [InlineData(false, 27, 10, 0, 0, 0, 2, 0, None, None, true, false)]
    [InlineData(false, 9, 8, 0, 0, 0, 0, 0, None, None, false, false)]
    [InlineData(false, 9, 9, 0, 0, 0, 0, 0, None, None, true, false)]
    [InlineData(true, 0, 0, 0, 5, 0, 1, 0, 1, 0, true, false)]
    [InlineData(true, 32, 0, 2, 5, 0, 1, 0, 0, 1, false, true)]
    [InlineData(true, 16, 0, 1, 5, 0, 1, 0, 0, 0, false, false)]
    [InlineData(true, 16, 1, 0, 16, 0, 1, 0, 1, 0, true, false)]
    [InlineData(true, 32, 1, 1, 16, 0, 1, 0, 0, 0, false, false)]
    [InlineData(true, 48, 3, 0, 15, 0, 1, 0, 0, 0, false, false)]
    [InlineData(true, 48, 1, 2, 5, 20, 1, 0, 0, 1, false, true)]
    [InlineData(true, 48, 1, 2, 5, 33, 1, 0, 0, 0, false, false)]
    [InlineData(true, 16, 1, 0, 0, 0, 1, 1, None, None, true, false)]
    [InlineData(true, 32, 1, 1, 0, 0, 1, 1, None, None, false, false)]
    [InlineData(true, 48, 1, 2, 0, 0, 1, 1, None, None, false, true)]
    [InlineData(true, 32, 17, 0, 0, 0, 1, 1, None, None, true, false)]
    [InlineData(true, 48, 3, 0, 0, 0, 1, 1, None, None, false, false)] // 45 free addresses, though no free prefix.
    [InlineData(true, 16, 15, 0, 0, 0, 1, 0, None, None, false, false)]
    public void The_distance_from_the_target_is_the_references(
        bool prefixes, int total, int assigned, int freePrefixes, int warm, int minimum, int warmEnis, int warmPrefixes, int shortOf, int over, bool isLow, bool isHigh)
    {
        var target = Target(warm, minimum, warmEnis, warmPrefixes, prefixes);
        var need = PoolNeed.Of(target, new PoolCounts(total, assigned, total - assigned, freePrefixes), prefixes, slots: 9);
        var size = prefixes ? 16 : 1;

        Assert.Equal((isLow, isHigh), (need.Short > 0, target is not PoolTarget.OfInterfaces && need.Over > 0));
        if (shortOf != None)
        {
            Assert.Equal((shortOf, over), (need.Short / size, need.Over / size));
        }
    }

    [Theory] // The project's unit tests of "too low": 3 slots an interface, 3 addresses held.
    [InlineData(0, 1, 0, 1, null, false)]
    [InlineData(1, 0, 0, 1, null, true)]
    [InlineData(1, 0, 0, 0, null, false)]
    [InlineData(3, 0, 0, 1, null, true)]
    [InlineData(3, 0, 0, 0, null, true)]
    [InlineData(3, 5, 0, 1, 3, false)] // As many as kubelet would run: no more.
    [InlineData(3, 5, 0, 1, 4, true)]
    public void A_node_is_too_low_when_the_references_is(int pods, int warm, int minimum, int warmEnis, int? maxPods, bool isLow)
    {
        var node = new NodeState
        {
            Slots = 3, MaxPods = maxPods,
            Enis = [new EniState { EniId = "eni-0", Blocks = [.. Enumerable.Range(0, 3).Select(i => new BlockState(new(new((UInt128)i, false)), i < pods ? 1 : 0, 0, i >= pods))] }],
        };
        Assert.Equal(isLow, PoolPlanner.Need(node, Target(warm, minimum, warmEnis, 0, false), false).Short > 0);
    }

    [Theory]
    [InlineData(5, 0, 9, 9, 0, 3, 8)] // A waiting pod is demand besides the warm ones.
    [InlineData(0, 0, 9, 9, 0, 3, 3)]
    [InlineData(0, 10, 10, 0, 10, 3, 0)] // Three of the ten are about to be taken: nobody waits for the target's sake.
    [InlineData(0, 12, 12, 12, 0, 1, 1)] // Where the reference freezes at its minimum.
    [InlineData(1, 0, 9, 5, 0, 0, 1)] // Four cool: they are not free.
    [InlineData(2, 23, 23, 19, 0, 0, 2)] // F5: of a minimum of 23, 19 are in use and 4 cool.
    [InlineData(2, 23, 23, 19, 0, 1, 3)]
    public void Waiting_pods_are_demand_and_cooling_addresses_are_not_free(int warm, int minimum, int total, int assigned, int free, int waiting, int shortOf) =>
        Assert.Equal(shortOf, PoolNeed.Of(new PoolTarget.OfAddresses(warm, minimum), new PoolCounts(total, assigned, free, 0, waiting), false, 9).Short);

    [Theory] // The reference returns the last free prefix and draws it again, turn by turn.
    [InlineData(16, 0, 1, 0)]
    [InlineData(32, 0, 2, 16)]
    [InlineData(32, 3, 1, 16)] // 13 free addresses are left.
    public void With_no_warm_prefix_wanted_the_last_free_address_stays(int total, int assigned, int freePrefixes, int over) =>
        Assert.Equal(new PoolNeed(0, 0, over), PoolNeed.Of(new PoolTarget.OfPrefixes(0), new PoolCounts(total, assigned, total - assigned, freePrefixes), true, 9));

    [Theory]
    [InlineData(false, 0, 4)]
    [InlineData(false, 9, 9)] // What 15 s bring.
    [InlineData(true, 0, 16)] // One prefix.
    [InlineData(true, 20, 32)]
    public void Without_a_target_the_recent_rate_is_kept_ready(bool prefixes, int recent, int shortOf) =>
        Assert.Equal(shortOf, PoolNeed.Of(new PoolPolicy().Target(prefixes), new PoolCounts(0, 0, 0, 0, 0, recent), prefixes, 9).Short);

    /// <summary>As the variables of the reference set them: a target of 0 is none.</summary>
    private static PoolTarget Target(int warm, int minimum, int warmEnis, int warmPrefixes, bool prefixes) => new PoolPolicy
    {
        WarmIps = warm + minimum == 0 ? null : warm, MinimumIps = minimum == 0 ? null : minimum, WarmEnis = warmEnis, WarmPrefixes = warmPrefixes,
    }.Target(prefixes);
}
