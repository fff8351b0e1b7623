using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Pool;

public sealed class PoolThriftTests
{
    private const int Unset = -1;

    [Theory] // What a node of three pods holds: with plenty, on a low subnet, and when six are asked back on a dry one.
    [InlineData("m5.large", false, Unset, Unset, Unset, 7, 4, 3)]
    [InlineData("m5.large", false, 5, Unset, Unset, 8, 4, 3)]
    [InlineData("m5.large", false, 5, 9, Unset, 9, 4, 3)]
    [InlineData("m5.large", false, 0, 5, Unset, 5, 3, 3)]
    [InlineData("m5.large", false, Unset, Unset, 1, 18, 4, 3)]
    [InlineData("m5.large", true, Unset, Unset, Unset, 32, 16, 16)]
    [InlineData("m5.large", true, 20, Unset, Unset, 32, 16, 16)]
    public void A_node_keeps_one_address_ready_on_a_low_subnet_and_gives_that_too_when_it_is_asked_back(string type, bool prefixes, int warm, int minimum, int enis, int plenty, int low, int recalled)
    {
        static int? OrNull(int value) => value == Unset ? null : value;
        var node = new PoolModel(InstanceLimits.Find(type)!, new PoolPolicy { Prefixes = prefixes, WarmIps = OrNull(warm), MinimumIps = OrNull(minimum), WarmEnis = OrNull(enis) });
        node.PodsTo(3);
        node.Settle();
        var seen = node.Total;
        node.Room(new SubnetRoom("subnet-0", Level: SubnetLevel.Low));
        node.Settle();
        var thrifty = node.Total;
        node.Room(new SubnetRoom("subnet-0", Level: SubnetLevel.Dry));
        node.Recalled = 6;
        node.Settle();

        Assert.Equal((plenty, low, recalled), (seen, thrifty, node.Total));
        Assert.Equal(3, node.Pods);
        node.Room(new SubnetRoom("subnet-0"));
        node.Settle();
        Assert.Equal(plenty, node.Total);
    }

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(3, 0, 0)]
    [InlineData(3, 3, 0)]
    [InlineData(3, 5, 2)]
    public void What_pods_wait_for_is_counted_against_addresses_of_either_kind(int singles, int waiting, int expected)
    {
        var node = new NodeState
        {
            Slots = 9, WaitingPods = waiting,
            Enis = [new EniState { EniId = "eni-0", Room = 9, Blocks = [.. Enumerable.Range(1, singles).Select(number => new BlockState(new Block(new Ip((UInt128)number, false)), 0, 0, true))] }],
        };

        Assert.Equal(expected, PoolThrift.ShortForPods(node, new PoolPolicy { Prefixes = true }));
        Assert.Equal(expected, PoolThrift.ShortForPods(node, new PoolPolicy()));
        Assert.Equal(0, PoolThrift.ShortForPods(node with { Enis = [node.Enis[0] with { Room = 0 }] }, new PoolPolicy())); // It could not take any.
    }

    /// <summary>Simulation, seed 175: two nodes made interfaces in their own low subnet and deleted them again, every four seconds.</summary>
    [Fact]
    public void Where_another_subnet_has_plenty_what_is_kept_warm_comes_from_there()
    {
        var (low, plenty) = (new SubnetRoom("subnet-home", Level: SubnetLevel.Low), new SubnetRoom("subnet-other"));
        var home = new EniState { EniId = "eni-0", Room = 4, Subnet = low, Blocks = [new BlockState(new Block(new Ip(1, false)), 0, 0, true)] };
        var node = new NodeState { Slots = 5, NewInterfaces = 2, NewIn = [low, plenty], Enis = [home] };

        Assert.Equal([new PoolAction.AddInterface("subnet-other", 5, false), new PoolAction.AddInterface("subnet-other", 5, false)], PoolPlanner.Plan(node, new PoolPolicy { WarmEnis = 2 }));
        Assert.Equal([new PoolAction.AddInterface("subnet-other", 3, false)], PoolPlanner.Plan(node, new PoolPolicy { WarmIps = 4 }));

        var full = node with { NewInterfaces = 0, Enis = [home, new EniState { EniId = "eni-1", Subnet = plenty }] };
        Assert.Empty(PoolPlanner.Plan(full, new PoolPolicy { WarmIps = 4 })); // No room but in the low one.
        Assert.Equal([new PoolAction.Draw("eni-0", 2, false)], PoolPlanner.Plan(full with { WaitingPods = 2 }, new PoolPolicy { WarmIps = 4 }));
    }

    /// <summary>A subnet that hears too little has plenty, is low, and has plenty again, for ever; one that hears too much stays low. Simulation, seed 1211.</summary>
    [Theory]
    [InlineData(Unset, 1, 4, 0, 2, 14)] // Two whole interfaces' worth: four here, nine on a new one, and its own.
    [InlineData(4, Unset, 4, 0, 2, 3)]
    [InlineData(4, Unset, 0, 5, 0, 3)] // What is on its way out comes back.
    [InlineData(4, Unset, 0, 0, 0, 0)] // It has no room for more.
    [InlineData(4, Unset, 0, 0, 1, 4)]
    public void What_a_node_is_kept_from_is_what_it_would_take(int warm, int enis, int room, int leaving, int more, int expected)
    {
        var low = new SubnetRoom("subnet-0", Level: SubnetLevel.Low);
        var prefix = new BlockState(Block.PrefixOf(new Ip(64, false)), OnPods: 1, Cooling: 0, Ripe: true); // Of another mode: nothing is drawn less for it.
        var node = new NodeState
        {
            Slots = 9, NewInterfaces = more, NewIn = [low], Enis = [new EniState { EniId = "eni-0", Room = room, Leaving = leaving, Subnet = low, Blocks = [new BlockState(new Block(new Ip(1, false)), 0, 0, true), prefix] }],
        };

        Assert.Equal(expected, PoolThrift.Withheld(node, new PoolPolicy { WarmIps = warm == Unset ? null : warm, WarmEnis = enis == Unset ? null : enis }));
    }

    [Theory] // Where no /28 is whole a node in prefix mode holds single addresses.
    [InlineData(SubnetLevel.Low, 0, 2)]
    [InlineData(SubnetLevel.Dry, 5, 2)]
    [InlineData(SubnetLevel.Dry, 2, 2)]
    public void Single_addresses_in_prefix_mode_are_kept_and_given_as_others(SubnetLevel level, int recalled, int left)
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { Prefixes = true, WarmIps = 8 });
        node.Room(new SubnetRoom("subnet-0", HasPrefixes: false));
        node.Burst(1);
        Assert.Equal(9, node.Total);
        node.Room(new SubnetRoom("subnet-0", HasPrefixes: false, Level: level));
        node.Recalled = recalled;

        var plan = PoolPlanner.Plan(node.State(), node.Policy);
        Assert.Equal(level == SubnetLevel.Low ? 8 - 1 : recalled, Assert.IsType<PoolAction.GiveUp>(Assert.Single(plan)).Blocks.Length);
        Assert.Equal(8, PoolThrift.Spare(node.State(), node.Policy, "subnet-0"));
        node.Settle();
        Assert.Equal(left, node.Total);
        Assert.Equal(8 - 1, PoolThrift.Withheld(node.State(), node.Policy)); // Else the subnet would have plenty at once, and all be drawn again.
    }

    [Fact]
    public void Where_a_second_subnet_has_plenty_nothing_is_drawn_from_the_dry_one_to_keep_it_ready()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { WarmIps = 12 });
        node.Burst(1);
        node.Room(new SubnetRoom("subnet-0", Level: SubnetLevel.Dry));
        node.Room(new SubnetRoom("subnet-1"));
        node.Recalled = 4;
        node.Settle();

        Assert.All(node.Done.OfType<PoolAction.AddInterface>().Skip(1), added => Assert.Equal("subnet-1", added.SubnetId));
        Assert.Equal(13, node.Total);
    }

    [Fact]
    public void Where_another_subnet_has_plenty_the_target_holds()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { WarmIps = 12 });
        node.Room(new SubnetRoom("subnet-0", HasAddresses: false, HasPrefixes: false, SubnetLevel.Dry));
        node.Room(new SubnetRoom("subnet-1"));
        node.Settle();

        Assert.Equal(12, node.Total);
    }

    [Fact]
    public void On_a_dry_subnet_nothing_is_drawn_but_for_waiting_pods_and_an_idle_node_keeps_its_last_address()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { WarmIps = 5 });
        node.Settle();
        node.Room(new SubnetRoom("subnet-0", Level: SubnetLevel.Dry));
        node.Recalled = 9;
        node.Settle();
        Assert.Equal(1, node.Total); // Without any, kubelet would take the node for not ready.

        node.Burst(4);
        Assert.Equal((4, 4), (node.Total, node.Pods));
    }

    [Fact]
    public void Where_the_policy_knows_no_thrift_all_is_as_with_plenty()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { WarmIps = 5, Thrift = false }) { Recalled = 5 };
        node.Room(new SubnetRoom("subnet-0", Level: SubnetLevel.Dry));
        node.Settle();

        Assert.Equal(5, node.Total);
        Assert.Equal(0, PoolThrift.Withheld(node.State(), node.Policy));
    }

    [Fact]
    public void What_is_withheld_is_what_would_be_drawn_with_plenty()
    {
        var node = new PoolModel(InstanceLimits.Find("m5.large")!, new PoolPolicy { WarmIps = 5 });
        node.Room(new SubnetRoom("subnet-0", Level: SubnetLevel.Low));
        node.Settle();

        Assert.Equal((1, 4), (node.Total, PoolThrift.Withheld(node.State(), node.Policy)));
    }

    [Fact] // Pods elsewhere wait: that others of this node cool does not keep what is rested.
    public void What_is_asked_back_goes_while_others_cool_and_what_is_on_a_subnet_with_plenty_stays()
    {
        static EniState Eni(string id, SubnetLevel level, int recalled, params BlockState[] blocks) => new() { EniId = id, Blocks = [.. blocks], Subnet = new SubnetRoom(id, Level: level, Recalled: recalled) };
        static BlockState Held(int number, int cooling = 0) => new(new Block(new Ip((UInt128)number, false)), 0, cooling, cooling == 0);
        NodeState Node(int recalled) => new()
        {
            Slots = 9, Enis = [Eni("dry", SubnetLevel.Dry, recalled, Held(1), Held(2), Held(3, cooling: 1)), Eni("plenty", SubnetLevel.Plenty, 0, Held(11), Held(12))],
        };

        var given = Assert.IsType<PoolAction.GiveUp>(Assert.Single(PoolPlanner.Plan(Node(recalled: 2), new PoolPolicy { WarmEnis = 1 }))).Blocks;
        Assert.Equal(2, PoolThrift.Spare(Node(0), new PoolPolicy { WarmEnis = 1 }, "dry"));
        Assert.Equal([2, 1], given.Select(block => (int)block.First.Bits));
        Assert.Empty(PoolPlanner.Plan(Node(recalled: 0), new PoolPolicy { WarmIps = 4 })); // It can draw where there is plenty.
    }
}
