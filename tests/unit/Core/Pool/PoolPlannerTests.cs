using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Pool;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

public sealed class PoolPlannerTests
{
    private const int Unset = -1;

    [Theory] // The steady states of section 2.12 (b): pods -> blocks of each interface.
    [InlineData("t3.small", false, Unset, Unset, 1, "0:[3] 5:[3,3,3] 9:[3,3,3]")]
    [InlineData("t3.small", false, 1, 1, Unset, "0:[1] 5:[3,3] 9:[3,3,3]")]
    [InlineData("t3.small", false, 2, 5, Unset, "0:[3,2] 5:[3,3,1] 9:[3,3,3]")]
    [InlineData("p3dn.24xlarge", false, Unset, Unset, 1, "0:[49] 3:[49,49] 95:[49,49,49]")]
    [InlineData("p3dn.24xlarge", false, 5, 10, Unset, "0:[10] 7:[12] 15:[20] 45:[49,1]")]
    [InlineData("t3.small", true, Unset, Unset, 1, "0:[1] 5:[2] 16:[2] 17:[3] 58:[3,2]")]
    [InlineData("t3.small", true, 1, 1, Unset, "0:[1] 5:[1] 17:[2] 58:[3,1]")]
    [InlineData("t3.small", true, 7, 20, Unset, "0:[2] 5:[2] 17:[2] 58:[3,2]")]
    [InlineData("p3dn.24xlarge", true, Unset, Unset, 1, "0:[1] 3:[2] 95:[7]")]
    [InlineData("p3dn.24xlarge", true, 5, 10, Unset, "0:[1] 7:[1] 15:[2] 45:[4]")]
    public void A_node_comes_to_rest_as_the_references_does(string type, bool prefixes, int warm, int minimum, int whole, string shapes)
    {
        var node = new PoolModel(InstanceLimits.Find(type)!, new PoolPolicy
        {
            Prefixes = prefixes, WarmIps = OrNull(warm), MinimumIps = OrNull(minimum), WarmEnis = prefixes ? null : OrNull(whole), WarmPrefixes = prefixes ? OrNull(whole) : null,
        });
        node.Settle();
        var seen = new List<string>();
        foreach (var pods in shapes.Split(' ').Select(shape => int.Parse(shape.Split(':')[0], null)))
        {
            node.PodsTo(pods);
            seen.Add($"{pods}:{node.Shape}");
        }

        Assert.Equal(shapes, string.Join(' ', seen));
    }

    [Theory] // And back: what came with pods goes with them.
    [InlineData("t3.small", false, 1, 1, Unset, "[1]")]
    [InlineData("p3dn.24xlarge", false, 5, 10, Unset, "[10]")]
    [InlineData("t3.small", false, Unset, Unset, 1, "[3]")]
    [InlineData("t3.small", true, Unset, Unset, 1, "[1]")]
    [InlineData("p3dn.24xlarge", true, 5, 10, Unset, "[1]")]
    [InlineData("m5.large", false, Unset, Unset, Unset, "[4]")]
    [InlineData("m5.large", true, Unset, Unset, Unset, "[1]")]
    public void When_its_pods_are_gone_a_node_is_as_it_was(string type, bool prefixes, int warm, int minimum, int whole, string shape)
    {
        var node = new PoolModel(InstanceLimits.Find(type)!, new PoolPolicy
        {
            Prefixes = prefixes, WarmIps = OrNull(warm), MinimumIps = OrNull(minimum), WarmEnis = prefixes ? null : OrNull(whole), WarmPrefixes = prefixes ? OrNull(whole) : null,
        });
        node.Settle();
        Assert.Equal(shape, node.Shape);
        node.Burst(8);
        node.Burst(50);
        node.PodsTo(0);
        Assert.Equal(shape, node.Shape);
    }

    [Theory] // The project's unit tests of releasing an interface: which of three goes. 2 addresses on pods, 2 free, 1 free.
    [InlineData(3, 1, 3, "")]
    [InlineData(1, 5, 3, "")]
    [InlineData(2, 4, 3, "eni-2")]
    [InlineData(0, 3, 2, "")]
    [InlineData(0, 2, 2, "eni-1")]
    public void The_interface_that_the_target_can_do_without_is_emptied(int warm, int minimum, int interfaces, string emptied)
    {
        EniState Eni(int index, int onPods, int free) => new()
        {
            EniId = $"eni-{index}", MayGo = index > 0,
            Blocks = [.. Enumerable.Range(0, onPods + free).Select(i => new BlockState(At((index * 100) + i), i < onPods ? 1 : 0, 0, i >= onPods))],
        };
        EniState[] all = [Eni(0, 2, 0), Eni(1, 0, 2), Eni(2, 0, 1)];
        var node = new NodeState { Slots = 3, Enis = [.. all.Take(interfaces)] };

        var given = PoolPlanner.Plan(node, new PoolPolicy { WarmIps = warm, MinimumIps = minimum }).OfType<PoolAction.GiveUp>().SelectMany(action => action.Blocks).ToHashSet();

        Assert.Equal(emptied, string.Join(' ', node.Enis.Where(eni => eni.Blocks.All(block => given.Contains(block.Block))).Select(eni => eni.EniId)));
    }

    [Theory]
    [InlineData("m5.large", 27, 7)] // One draw on the primary interface, two interfaces of three calls.
    [InlineData("m5.4xlarge", 232, 22)]
    public void A_burst_is_served_in_one_turn_with_one_call_an_interface(string type, int pods, int calls)
    {
        var node = new PoolModel(InstanceLimits.Find(type)!, new PoolPolicy { WarmIps = 1 });
        node.Burst(pods);
        Assert.Equal((pods, 0, calls), (node.Pods, node.Waiting, node.Calls));
    }

    [Theory] // bench-add saw pods that came one after another get an interface each, with an address or two.
    [InlineData(3, true, 0)]
    [InlineData(8, true, 3)]
    [InlineData(3, false, 3)]
    public void An_interface_that_is_on_its_way_is_waited_for_rather_than_joined_by_another(int waiting, bool subnetHasAddresses, int expected)
    {
        var coming = new EniState { EniId = "", Drawing = 2, Room = 5, Subnet = new SubnetRoom("subnet-0", subnetHasAddresses, false) };
        var node = new NodeState { Slots = 9, Enis = [new EniState { EniId = "eni-0" }, coming], NewInterfaces = 2, NewIn = [new("subnet-1")], WaitingPods = 2 + waiting };

        var plan = PoolPlanner.Plan(node, new PoolPolicy { WarmIps = 0 }, default);

        Assert.Equal(expected, plan.OfType<PoolAction.AddInterface>().Sum(add => add.Count));
    }

    [Fact]
    public void While_drawing_has_a_queue_a_waiting_pod_is_served_by_a_new_interface()
    {
        var node = new NodeState { Slots = 9, Enis = [new EniState { EniId = "eni-0", Room = 9 }], NewInterfaces = 2, NewIn = [new("subnet-0")], WaitingPods = 3 };
        var policy = new PoolPolicy { WarmIps = 0 };

        Assert.Equal([new PoolAction.Draw("eni-0", 3, false)], PoolPlanner.Plan(node, policy, new ExpectedWaits(TimeSpan.FromSeconds(9), TimeSpan.FromSeconds(10))));
        Assert.Equal([new PoolAction.AddInterface("subnet-0", 3, false)], PoolPlanner.Plan(node, policy, new ExpectedWaits(TimeSpan.FromSeconds(11), TimeSpan.FromSeconds(10))));
    }

    [Theory]
    [InlineData(1, 9, 2, true)]
    [InlineData(0, 9, 2, false)] // What is only kept ready goes the usual way.
    [InlineData(1, 0, 2, false)] // The interface is full.
    [InlineData(1, 9, 0, false)] // No other one fits.
    public void How_long_calls_wait_decides_only_where_a_pod_waits_and_both_ways_are_open(int waiting, int room, int newInterfaces, bool expected)
    {
        var node = new NodeState { Slots = 9, Enis = [new EniState { EniId = "eni-0", Room = room }], NewInterfaces = newInterfaces, NewIn = [new("subnet-0")], WaitingPods = waiting };

        Assert.Equal(expected, PoolPlanner.HasChoice(node, new PoolPolicy()));
    }

    [Fact]
    public void Without_a_whole_block_a_sibling_subnet_serves_then_single_addresses_and_then_prefixes_again()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { Prefixes = true, WarmIps = 2, MaxEnis = 2 });
        node.Room(new SubnetRoom("subnet-0", HasPrefixes: false));
        node.Room(new SubnetRoom("subnet-1"));
        node.Settle();
        Assert.Equal("[0,1]", node.Shape); // In the sibling.

        node.Room(new SubnetRoom("subnet-1", HasPrefixes: false));
        node.Burst(20);
        Assert.Equal((20, 0, 6), (node.Pods, node.Waiting, node.Blocks.Count(block => !block.IsPrefix))); // 16, and just so many more as are needed.

        node.Room(new SubnetRoom("subnet-0"));
        node.PodsTo(0);
        Assert.All(node.Blocks, block => Assert.True(block.IsPrefix));
        Assert.Equal("[1]", node.Shape);
    }

    [Fact]
    public void The_mode_is_switched_with_pods_running_and_what_is_left_over_goes_when_it_is_free()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { WarmIps = 2 });
        node.Burst(5);
        node.Policy = node.Policy with { Prefixes = true };
        node.Settle();
        Assert.Equal((5, 1), (node.Blocks.Count(block => !block.IsPrefix), node.Blocks.Count(block => block.IsPrefix))); // The two warm ones are gone.

        node.Policy = node.Policy with { Prefixes = false };
        node.Burst(3);
        node.PodsTo(0);
        Assert.Equal("[2]", node.Shape);
        Assert.All(node.Blocks, block => Assert.False(block.IsPrefix));
    }

    [Theory] // The reference's integration tests (section 10, rows 14 to 16), on a node without pods.
    [InlineData(false, Unset, Unset, 3, 2, "[9,9]")] // WARM_ENI_TARGET 3, MAX_ENI 2.
    [InlineData(false, Unset, Unset, 3, Unset, "[9,9,9]")]
    [InlineData(false, Unset, Unset, 2, Unset, "[9,9]")]
    [InlineData(false, 2, Unset, Unset, Unset, "[2]")]
    [InlineData(false, 16, Unset, Unset, Unset, "[9,7]")]
    [InlineData(false, Unset, 2, Unset, Unset, "[2]")]
    [InlineData(false, Unset, 16, Unset, Unset, "[9,7]")]
    [InlineData(false, 6, 10, Unset, Unset, "[9,1]")]
    [InlineData(true, 2, Unset, Unset, Unset, "[1]")]
    [InlineData(true, 16, Unset, Unset, Unset, "[1]")]
    [InlineData(true, Unset, 16, Unset, Unset, "[1]")]
    [InlineData(true, 17, Unset, Unset, Unset, "[2]")]
    [InlineData(true, 6, 10, Unset, Unset, "[1]")]
    [InlineData(true, Unset, Unset, 2, Unset, "[2]")]
    [InlineData(true, 2, Unset, 5, Unset, "[1]")] // Addresses win over prefixes.
    public void An_idle_node_holds_its_target(bool prefixes, int warm, int minimum, int whole, int maxEnis, string shape)
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy
        {
            Prefixes = prefixes, WarmIps = OrNull(warm), MinimumIps = OrNull(minimum), WarmEnis = OrNull(whole), WarmPrefixes = prefixes ? OrNull(whole) : null, MaxEnis = OrNull(maxEnis),
        });
        node.Settle();
        Assert.Equal(shape, node.Shape);
    }

    [Fact]
    public void An_idle_interface_is_gathered_into_the_others_when_they_have_room()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { WarmIps = 3 });
        node.Burst(12);
        Assert.Equal("[9,6]", node.Shape);
        node.PodsTo(6);
        node.Settle();
        Assert.Equal("[9]", node.Shape);
    }

    [Fact] // Property tests, seed bfTmFONYdKO4.
    public void Single_addresses_in_the_place_of_a_prefix_count_towards_the_minimum_those_that_pods_wait_for_too()
    {
        var node = new NodeState
        {
            Slots = 9, TakesPrefixes = true, WaitingPods = 2, NewInterfaces = 1, NewIn = [new SubnetRoom("subnet-0", true, HasPrefixes: false)],
            Enis = [new EniState { EniId = "eni-0", Room = 0, Drawing = 6, Subnet = new SubnetRoom("subnet-0", true, HasPrefixes: false) }],
        };
        Assert.Empty(PoolPlanner.Plan(node, new PoolPolicy { Prefixes = true, MinimumIps = 6 }));
    }

    [Fact]
    public void Nothing_is_gathered_on_an_interface_that_has_just_been_emptied()
    {
        var node = new NodeState
        {
            Slots = 9,
            Enis =
            [
                new EniState { EniId = "eni-0", Blocks = Held(0, 9) },
                new EniState { EniId = "eni-1", MayGo = true, Room = 6, Blocks = Held(16, 3) },
                new EniState { EniId = "eni-2", MayGo = true, Room = 3, Leaving = 3 }, // It would be given up again, and so on.
            ],
        };
        Assert.Empty(PoolPlanner.Plan(node, new PoolPolicy { WarmIps = 12 }));

        static ImmutableArray<BlockState> Held(int first, int count) => [.. Enumerable.Range(first, count).Select(address => new BlockState(new Block(new Ip((UInt128)address, false), false), 0, 0, true))];
    }

    [Fact]
    public void Neither_the_primary_nor_a_pinned_interface_goes_and_with_custom_networking_the_primary_serves_no_pod()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { WarmIps = 2, CustomNetworking = true });
        node.AddPinned();
        node.Burst(3);
        Assert.Equal("[0,5]", node.Shape);
        node.Policy = node.Policy with { WarmIps = 0 };
        node.PodsTo(0);
        Assert.Equal("[0,0]", node.Shape);
    }

    [Fact]
    public void When_provisioning_is_off_nothing_is_done() =>
        Assert.Empty(PoolPlanner.Plan(new NodeState { Slots = 9, Enis = [new EniState { EniId = "eni-0", Room = 9 }], WaitingPods = 5 }, new PoolPolicy { Provisions = false }));

    [Fact]
    public void Nothing_is_given_up_before_it_is_ripe_or_while_something_cools_is_drawn_or_waits()
    {
        var eni = new EniState { EniId = "eni-0", Blocks = [.. Enumerable.Range(0, 9).Select(i => new BlockState(At(i), 0, 0, i > 0))] };
        var node = new NodeState { Slots = 9, Enis = [eni] };
        var policy = new PoolPolicy { WarmIps = 0 };

        Assert.Equal(8, Assert.IsType<PoolAction.GiveUp>(Assert.Single(PoolPlanner.Plan(node, policy))).Blocks.Length);
        Assert.Empty(PoolPlanner.Plan(node with { Enis = [eni with { Blocks = eni.Blocks.SetItem(0, eni.Blocks[0] with { Cooling = 1 }) }] }, policy));
        Assert.Empty(PoolPlanner.Plan(node with { Enis = [eni with { Drawing = 1 }] }, policy));
        var hangs = new EniState { EniId = "eni-1", ForPods = false, Blocks = [new BlockState(new Block(At(16).First, true), 1, 15, false)] }; // What it has serves nobody: nobody waits for it to cool.
        Assert.NotEmpty(PoolPlanner.Plan(node with { Enis = [eni, hangs] }, policy));
        Assert.Empty(PoolPlanner.Plan(node with { WaitingPods = 1 }, policy));
    }

    [Fact]
    public void What_is_free_in_an_excluded_subnet_is_given_up_once_its_successors_are_there_or_cannot_be_had()
    {
        var excluded = new EniState { EniId = "eni-0", ForPods = false, Blocks = [new BlockState(At(1), 1, 0, false)], Excluded = [At(2), At(3)], Leaving = 2 };
        var node = new NodeState { Slots = 9, Enis = [excluded], NewInterfaces = 1, NewIn = [new("subnet-1")] };
        var policy = new PoolPolicy { WarmIps = 4 };

        Assert.Equal([new PoolAction.AddInterface("subnet-1", 4, false)], PoolPlanner.Plan(node, policy));
        var coming = node with { Enis = [excluded, new EniState { EniId = "", Drawing = 4 }], NewInterfaces = 0 };
        Assert.Empty(PoolPlanner.Plan(coming, policy));
        AssertGivenUp(node with { Enis = [excluded, new EniState { EniId = "eni-1", Blocks = [.. Enumerable.Range(16, 4).Select(last => new BlockState(At(last), 0, 0, true))] }] });
        AssertGivenUp(node with { NewIn = [] });
        AssertGivenUp(node with { NewIn = [], WaitingPods = 3 });

        void AssertGivenUp(NodeState state) => Assert.Equal([At(2), At(3)], Assert.IsType<PoolAction.GiveUp>(Assert.Single(PoolPlanner.Plan(state, policy))).Blocks);
    }

    [Fact]
    public void An_empty_interface_of_an_excluded_subnet_makes_way_for_another_though_the_node_is_short()
    {
        var full = new EniState { EniId = "eni-0", Blocks = [.. Enumerable.Range(1, 9).Select(last => new BlockState(At(last), 1, 0, false))] };
        var excluded = new EniState { EniId = "eni-1", MayGo = true, ForPods = false };
        var node = new NodeState { Slots = 9, Enis = [full, excluded], NewIn = [new("subnet-1")], WaitingPods = 2 };

        Assert.Equal([new PoolAction.RemoveInterface("eni-1")], PoolPlanner.Plan(node, new PoolPolicy()));
        Assert.Empty(PoolPlanner.Plan(node with { Enis = [full, excluded with { Leaving = 1 }] }, new PoolPolicy())); // It is not empty yet.
    }

    private static Block At(int last) => new(new Ip((UInt128)last, false));

    private static int? OrNull(int value) => value == Unset ? null : value;
}
