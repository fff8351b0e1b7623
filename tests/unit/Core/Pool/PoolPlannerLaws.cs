using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

public sealed class PoolPlannerLaws
{
    private static readonly Gen<(bool IsPrefix, int OnPods, int Cooling, bool Rests)> Blocks = Gen.Select(Gen.Bool, Gen.Int[0, 16], Gen.Int[0, 2], Gen.Bool);

    private static readonly Gen<EniState> Eni = Gen.Select(Blocks.Array[0, 6], Gen.Int[0, 9], Gen.Int[0, 2], Gen.Bool, Gen.Bool, Gen.Bool, Gen.Int[-3, 2], Gen.Int[-20, 20], (blocks, room, drawing, mayGo, addresses, prefixes, level, recalled) =>
        new EniState
        {
            EniId = "", MayGo = mayGo, Room = room, Drawing = drawing, Subnet = new SubnetRoom("subnet-0", addresses, prefixes, (SubnetLevel)Math.Max(0, level), Math.Max(0, recalled)),
            Blocks = [.. blocks.Select((block, index) => State(block.IsPrefix, block.OnPods, block.Cooling, block.Rests, index))],
        });

    private static readonly Gen<NodeState> Node = Gen.Select(Eni.Array[1, 3], Gen.Int[0, 30], Gen.Int[0, 2], Gen.Int[0, 20], Gen.Bool, Gen.Bool, (enis, waiting, more, recent, takes, whole) => new NodeState
    {
        Enis = [.. enis.Select((eni, i) => eni with { EniId = $"eni-{i}", MayGo = eni.MayGo && i > 0, Blocks = [.. eni.Blocks.Select(block => block with { Block = block.Block with { First = block.Block.First + (i * 10000) } })] })],
        Slots = 9, WaitingPods = waiting, NewInterfaces = more, RecentAdds = recent, TakesPrefixes = takes, NewIn = [new SubnetRoom("subnet-0", true, whole)],
    });

    private static readonly string[] Types = ["t3.small", "m5.large", "t2.small"];

    private static readonly Gen<int?> Target = Gen.Int[-6, 12].Select(target => target < 0 ? null : (int?)target);

    private static readonly Gen<PoolPolicy> Policy = Gen.Select(Target, Target, Gen.Int[-2, 2], Gen.Int[-2, 2], Gen.Bool, (warm, minimum, enis, prefixes, draws) => new PoolPolicy
    {
        WarmIps = warm, MinimumIps = minimum, WarmEnis = enis < 0 ? null : enis, WarmPrefixes = prefixes < 0 ? null : prefixes, Prefixes = draws,
    });

    [Fact]
    public void A_plan_never_goes_beyond_what_the_interfaces_and_the_type_allow() => Gen.Select(Node, Policy).Sample((node, policy) =>
    {
        var plan = PoolPlanner.Plan(node, policy);
        var draws = plan.OfType<PoolAction.Draw>().ToArray();
        var adds = plan.OfType<PoolAction.AddInterface>().ToArray();
        return draws.Select(draw => draw.EniId).Distinct().Count() == draws.Length
            && draws.All(draw => node.Enis.Single(eni => eni.EniId == draw.EniId) is var eni && draw.Count > 0 && draw.Count <= eni.Room && (draw.Prefixes ? eni.Subnet.HasPrefixes : eni.Subnet.HasAddresses))
            && adds.Length <= node.NewInterfaces && adds.All(add => add.Count is > 0 and <= 9)
            && (node.TakesPrefixes || !draws.Any(draw => draw.Prefixes) && !adds.Any(add => add.Prefixes));
    });

    [Fact]
    public void Nothing_is_given_up_that_is_used_cools_or_has_not_rested_and_nothing_is_drawn_beside() => Gen.Select(Node, Policy).Sample((node, policy) =>
    {
        var plan = PoolPlanner.Plan(node, policy);
        var held = node.Enis.SelectMany(eni => eni.Blocks).ToDictionary(block => block.Block);
        var given = plan.OfType<PoolAction.GiveUp>().SelectMany(action => action.Blocks).ToArray();
        return given.Distinct().Count() == given.Length && given.All(block => held[block] is { IsFree: true, Ripe: true }) && (given.Length == 0 || plan.Length == 1);
    });

    [Fact]
    public void Where_operators_hold_it_nothing_is_given_up_and_where_it_is_frozen_nothing_is_drawn_and_other_subnets_go_on() => Gen.Select(Node, Policy, Gen.Int[0, 2].Array[4], Gen.Bool.Array[4]).Sample((node, policy, modes, excluded) =>
    {
        EniState Excluded(EniState eni) => eni with { ForPods = false, Blocks = eni.Blocks.RemoveAll(block => block.IsFree), Excluded = [.. eni.Blocks.Where(block => block.IsFree).Select(block => block.Block)] };
        var switched = node with
        {
            Enis = [.. node.Enis.Select((eni, index) => (excluded[index] ? Excluded(eni) : eni) with { Subnet = eni.Subnet with { SubnetId = $"subnet-{index}", Mode = (SwitchMode)modes[index] } })],
            NewIn = [.. node.NewIn.Select(subnet => subnet with { Mode = (SwitchMode)modes[3] })],
        };
        var plan = PoolPlanner.Plan(switched, policy);
        var held = switched.Enis.Where(eni => eni.Subnet.Mode != SwitchMode.Normal).ToArray();
        var blocks = held.SelectMany(eni => eni.Blocks.Select(block => block.Block).Concat(eni.Excluded)).ToHashSet();
        return plan.All(action => action switch
        {
            PoolAction.GiveUp giveUp => giveUp.Blocks.Length > 0 && !giveUp.Blocks.Any(blocks.Contains),
            PoolAction.RemoveInterface remove => !held.Any(eni => eni.EniId == remove.EniId),
            PoolAction.Draw draw => switched.Enis.Single(eni => eni.EniId == draw.EniId).Subnet.Mode != SwitchMode.Frozen,
            _ => modes[3] != (int)SwitchMode.Frozen,
        });
    });

    [Fact]
    public void What_a_frozen_subnet_cannot_give_is_drawn_in_another_one()
    {
        EniState Eni(string id, SwitchMode mode) => new() { EniId = id, Room = 9, Subnet = new SubnetRoom($"subnet of {id}", Mode: mode) };
        var node = new NodeState { Slots = 9, WaitingPods = 2, Enis = [Eni("eni-0", SwitchMode.Frozen), Eni("eni-1", SwitchMode.Normal)] };

        Assert.Equal("eni-1", Assert.IsType<PoolAction.Draw>(Assert.Single(PoolPlanner.Plan(node, new PoolPolicy()))).EniId);
    }

    [Fact]
    public void An_interface_goes_only_when_it_may_and_is_empty() => Gen.Select(Node, Policy).Sample((node, policy) =>
        PoolPlanner.Plan(node, policy).OfType<PoolAction.RemoveInterface>().All(remove => node.Enis.Single(eni => eni.EniId == remove.EniId) is { MayGo: true, Blocks.IsEmpty: true, Drawing: 0 }));

    [Fact]
    public void Giving_up_makes_no_node_short() => Gen.Select(Node, Policy).Sample((node, policy) =>
    {
        var given = PoolPlanner.Plan(node, policy).OfType<PoolAction.GiveUp>().SelectMany(action => action.Blocks).ToHashSet();
        var after = node with { Enis = [.. node.Enis.Select(eni => eni with { Blocks = [.. eni.Blocks.Where(block => !given.Contains(block.Block))] })] };
        return given.Count == 0 || !PoolPlanner.IsServed(node, policy) || PoolPlanner.IsServed(after, policy);
    });

    [Fact]
    public void What_is_on_its_way_is_not_asked_for_again() => Gen.Select(Node, Policy).Sample((node, policy) =>
    {
        var plan = PoolPlanner.Plan(node, policy);
        var draws = plan.OfType<PoolAction.Draw>().ToDictionary(draw => draw.EniId);
        var adds = plan.OfType<PoolAction.AddInterface>().ToArray();
        if (node.Enis.Any(eni => eni.Drawing > 0) || draws.Values.Select(draw => draw.Prefixes).Concat(adds.Select(add => add.Prefixes)).Distinct().Count() > 1)
        {
            return true; // One draw at a time for an interface; and where both kinds are drawn, the next plan may find that less is needed.
        }

        var after = node with
        {
            Enis =
            [
                .. node.Enis.Select(eni => draws.TryGetValue(eni.EniId, out var draw)
                    ? eni with { Room = eni.Room - draw.Count, Drawing = draw.Count * (draw.Prefixes ? 16 : 1), DrawingPrefixes = draw.Prefixes } : eni),
                .. adds.Select(add => new EniState { EniId = "", Drawing = add.Count * (add.Prefixes ? 16 : 1), DrawingPrefixes = add.Prefixes }),
            ],
            NewInterfaces = node.NewInterfaces - adds.Length,
        };
        return plan.IsEmpty || !PoolPlanner.Plan(after, policy).Any(action => action is PoolAction.Draw or PoolAction.AddInterface);
    });

    /// <summary>Pods come and go, the mode changes, subnets scatter and heal: it settles each time (else <see cref="PoolModel.Settle"/> throws), and
    /// every pod that there is room for has an address.</summary>
    [Fact]
    public void Every_node_comes_to_rest_with_its_pods_served_and_rests_there() =>
        Gen.Select(Gen.Int[0, 2].Select(i => Types[i]), Policy.Array[1, 4], Gen.Int[0, 40].Array[1, 6], Gen.Bool.Array[1, 6]).Sample((type, policies, pods, whole) =>
        {
            var limits = InstanceLimits.Find(type)!;
            var node = new PoolModel(limits, policies[0]);
            for (var step = 0; step < pods.Length; step++)
            {
                node.Policy = policies[step % policies.Length];
                node.Room(new SubnetRoom("subnet-0", HasPrefixes: whole[step % whole.Length]));
                node.Settle();
                if (pods[step] > node.Pods)
                {
                    node.Burst(pods[step] - node.Pods - node.Waiting);
                }
                else
                {
                    node.PodsTo(pods[step]);
                }

                if (node.Waiting > 0 && node.State().Enis.Any(eni => eni.Room > 0 || eni.Blocks.Any(block => block.Free > 0)))
                {
                    return false;
                }
            }

            node.Room(new SubnetRoom("subnet-0"));
            node.Settle();
            return PoolPlanner.Plan(node.State(), node.Policy).IsEmpty && node.State().Enis.Length <= limits.MaxInterfaces;
        });

    private static BlockState State(bool isPrefix, int onPods, int cooling, bool rests, int index)
    {
        var block = new Block(new Ip((UInt128)(index * 16), false), isPrefix);
        var (used, cools) = (Math.Min(onPods, block.Size), Math.Min(cooling, Math.Max(0, block.Size - onPods)));
        return new BlockState(block, used, cools, used == 0 && cools == 0 && !rests);
    }
}
