using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

public sealed class PoolPlannerTests
{
    private static readonly Gen<EniState> Eni = Gen.Select(Gen.Int[0, 20], Gen.Int[0, 5], Gen.Int[0, 10], Gen.Int[0, 10],
        (room, drawing, free, cooling) => new EniState($"eni-{room}", false, free + cooling, room, drawing, free, cooling,
            [.. Enumerable.Range(1, free).Select(i => new Block(new Ip((UInt128)i, false)))]));

    private static readonly Gen<NodeState> Node = Gen.Select(Eni.Array[1, 3], Gen.Int[0, 30], Gen.Int[0, 30], Gen.Int[0, 2], (enis, onPods, waiting, more) =>
        new NodeState([.. enis.Select((eni, i) => eni with { EniId = $"eni-{i}", IsPrimary = i == 0 })], onPods, waiting, more, 9));

    private static readonly Gen<PoolPolicy> Policy = Gen.Select(Gen.Int[0, 10], Gen.Int[0, 30], (warm, minimum) => new PoolPolicy { WarmIps = warm, MinimumIps = minimum });

    [Theory]
    [InlineData(0, 0, 3, 0, 3)] // A waiting pod is demand, even when nothing is to be kept warm.
    [InlineData(4, 0, 0, 0, 4)]
    [InlineData(4, 0, 2, 0, 6)]
    [InlineData(2, 10, 0, 3, 7)] // The minimum counts addresses on pods.
    [InlineData(2, 10, 0, 9, 2)]
    [InlineData(0, 0, 0, 5, 0)]
    public void Plan_asks_once_for_all_that_is_missing(int warm, int minimum, int waiting, int onPods, int asked)
    {
        var node = new NodeState([new EniState("eni-1", true, 0, 50, 0, 0, 0, [])], onPods, waiting, 0, 9);
        Assert.Equal(asked, PoolPlanner.Plan(node, new PoolPolicy { WarmIps = warm, MinimumIps = minimum }).OfType<PoolAction.DrawAddresses>().Sum(draw => draw.Count));
    }

    [Fact]
    public void A_cooling_address_does_not_keep_a_waiting_pod_waiting()
    {
        var node = new NodeState([new EniState("eni-1", true, 23, 5, 0, 0, 4, [])], 19, 2, 0, 9);
        Assert.Equal([new PoolAction.DrawAddresses("eni-1", 2)], PoolPlanner.Plan(node, new PoolPolicy { WarmIps = 0, MinimumIps = 0 }));
    }

    [Fact]
    public void Plan_never_asks_for_more_than_the_interfaces_have_room_for() =>
        Gen.Select(Node, Policy).Sample((node, policy) => PoolPlanner.Plan(node, policy).OfType<PoolAction.DrawAddresses>()
            .All(draw => draw.Count > 0 && draw.Count <= node.Enis.Single(eni => eni.EniId == draw.EniId).Room));

    [Fact]
    public void What_is_planned_satisfies_the_plan() =>
        Gen.Select(Node, Policy).Sample((node, policy) =>
        {
            var draws = PoolPlanner.Plan(node, policy).OfType<PoolAction.DrawAddresses>().ToDictionary(draw => draw.EniId, draw => draw.Count);
            var adds = PoolPlanner.Plan(node, policy).OfType<PoolAction.AddInterface>().ToArray();
            var after = node with
            {
                Enis =
                [
                    .. node.Enis.Select(eni => eni with { Drawing = eni.Drawing + draws.GetValueOrDefault(eni.EniId), Room = eni.Room - draws.GetValueOrDefault(eni.EniId) }),
                    .. adds.Select(add => new EniState("", false, 0, 0, add.Count, 0, 0, [])),
                ],
                NewInterfaces = node.NewInterfaces - adds.Length,
            };
            return !PoolPlanner.Plan(after, policy).Any(action => action is PoolAction.DrawAddresses or PoolAction.AddInterface);
        });

    [Fact]
    public void Plan_never_draws_and_gives_up_at_once() =>
        Gen.Select(Node, Policy).Sample((node, policy) => PoolPlanner.Plan(node, policy).Select(action => action is PoolAction.DrawAddresses or PoolAction.AddInterface).Distinct().Count() <= 1);

    [Fact]
    public void A_new_interface_is_made_only_for_what_the_present_ones_have_no_room_for() =>
        Gen.Select(Node, Policy).Sample((node, policy) =>
        {
            var plan = PoolPlanner.Plan(node, policy);
            var adds = plan.OfType<PoolAction.AddInterface>().ToArray();
            return adds.Length <= node.NewInterfaces && adds.All(add => add.Count is > 0 and <= 9)
                && (adds.Length == 0 || plan.OfType<PoolAction.DrawAddresses>().Sum(draw => draw.Count) == node.Enis.Sum(eni => eni.Room));
        });

    [Fact]
    public void An_interface_goes_only_when_it_is_empty_and_not_the_primary_one() =>
        Gen.Select(Node, Policy).Sample((node, policy) => PoolPlanner.Plan(node, policy).OfType<PoolAction.RemoveInterface>()
            .All(remove => node.Enis.Single(eni => eni.EniId == remove.EniId) is { IsPrimary: false, Held: 0, Drawing: 0 }));

    [Fact]
    public void The_later_interface_is_emptied_first_even_when_its_addresses_have_rested_less()
    {
        static Block At(int last) => new(new Ip((UInt128)last, false));
        var primary = new EniState("eni-0", true, 9, 0, 0, 9, 0, [.. Enumerable.Range(1, 9).Select(At)]);
        var ripening = new NodeState([primary, new EniState("eni-1", false, 9, 0, 0, 9, 0, [At(11)])], 0, 0, 1, 9);
        var ripe = new NodeState([primary, new EniState("eni-1", false, 9, 0, 0, 9, 0, [.. Enumerable.Range(11, 9).Select(At)])], 0, 0, 1, 9);

        Assert.Equal([At(11)], Assert.IsType<PoolAction.GiveUp>(Assert.Single(PoolPlanner.Plan(ripening, new PoolPolicy { WarmIps = 2 }))).Blocks);
        Assert.Equal(9, Assert.IsType<PoolAction.GiveUp>(Assert.Single(PoolPlanner.Plan(ripe, new PoolPolicy { WarmIps = 2 }))).Blocks.Count(block => block.First.Bits > 10));
    }

    [Fact]
    public void Giving_up_leaves_the_waiting_pods_and_the_targets_what_they_need() =>
        Gen.Select(Node, Policy).Sample((node, policy) =>
        {
            var givenUp = PoolPlanner.Plan(node, policy).OfType<PoolAction.GiveUp>().Sum(action => action.Blocks.Length);
            var left = node.Enis.Sum(eni => eni.Free) - givenUp;
            return givenUp == 0 || left >= node.WaitingPods + Math.Max(policy.WarmIps, policy.MinimumIps - node.OnPods);
        });
}
