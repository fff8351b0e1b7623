using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Nodes that hold /28 prefixes, and nodes that change what they hold while they run.</summary>
public sealed class PrefixTests
{
    private static readonly PoolPolicy OnePrefix = new() { Prefixes = true, WarmPrefixes = 1 };

    [Fact] // Simulation, seed 66: a single address went back each ten seconds for a prefix that was not there, and was drawn again.
    public async Task Where_no_prefix_is_whole_single_addresses_are_not_given_up_for_one()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Prefixes = true, WarmPrefixes = 2, MaxEnis = 1 }, "10.0.0.0/27"); // EC2 keeps a part of either block.
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 9, "a full interface of single addresses");
        await executor.SyncAsync();
        var syncs = 0;

        await GrainWorld.UntilAsync(executor, _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(4));
            return ++syncs == 20;
        }, "eighty seconds");

        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Unassign", StringComparison.Ordinal));
        Assert.Equal(9, executor.Leased.Count);
    }

    [Fact]
    public async Task A_node_draws_one_prefix_by_name_and_leases_its_sixteen_addresses()
    {
        await using var world = await GrainWorld.StartAsync(OnePrefix);
        var executor = await world.JoinAsync(world.Launch());

        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 16, "16 leased addresses");

        Assert.Equal("Assign 10.0.0.16/28", Assert.Single(Assigns(world)));
        Assert.Equal(Enumerable.Range(16, 16).Select(last => $"10.0.0.{last}"), orders.Lease.Select(leased => leased.Address.ToString()));
        Assert.Equal(16, (await world.SubnetAsync()).Leased);
    }

    [Fact]
    public async Task A_type_that_takes_no_prefixes_gets_single_addresses()
    {
        await using var world = await GrainWorld.StartAsync(OnePrefix with { WarmPrefixes = null, WarmIps = 2 });
        var executor = await world.JoinAsync(world.Launch("t2.small"));

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 leased addresses");

        Assert.DoesNotContain("/28", Assert.Single(Assigns(world)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Waiting_pods_get_prefixes_on_the_present_interface_and_then_with_a_new_one()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Prefixes = true, WarmIps = 0 }, "10.0.0.0/22");
        var executor = await world.JoinAsync(world.Launch("t3.nano")); // 2 interfaces, a prefix each.
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the interface");
        executor.Waiting.AddRange(Enumerable.Range(0, 20).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 32, "32 leased addresses");

        var drawn = Assert.Single(Assigns(world));
        var created = Assert.Single(world.Ec2.Calls, call => call.StartsWith("Create 10.0.0.", StringComparison.Ordinal));
        Assert.Equal(["10.0.0.16/28", "10.0.0.32/28"], new[] { drawn["Assign ".Length..], created.Split(',')[1] }.Order()); // Both ask the ledger at once.
        Assert.Equal([1, 1], world.Ec2.ByHand(vpc => vpc.Enis.Select(eni => eni.Prefixes.Count).ToArray()));
    }

    [Fact]
    public async Task A_prefix_goes_back_whole_once_none_of_it_is_used_or_leased()
    {
        await using var world = await GrainWorld.StartAsync(OnePrefix);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 16, "one prefix");
        await executor.SyncAsync(); // It says which interfaces it has set up.
        var first = await executor.AddedAsync("pod-1");
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 32, "a second prefix, since the first is not whole any more");

        await executor.DeletedAsync("pod-1");
        world.Time.Shift(TimeSpan.FromMinutes(3));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 16, "the second prefix to go");

        Assert.Equal("Unassign 10.0.0.32/28", Assert.Single(world.Ec2.Calls, call => call.StartsWith("Unassign", StringComparison.Ordinal)));
        Assert.Contains(first, executor.Leased);
    }

    [Fact]
    public async Task A_prefix_that_a_pod_got_into_while_it_was_asked_back_stays_and_all_of_it_can_be_used()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Prefixes = true, WarmPrefixes = 2 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 32, "two prefixes");
        await executor.SyncAsync();

        world.Settings.Pool = new PoolPolicy { Prefixes = true, WarmPrefixes = 1 };
        NodeOrders asked;
        while ((asked = await executor.SyncAsync(giveUp: false)).GiveUp.IsEmpty && await executor.Hinted.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken))
        {
        }

        var address = asked.GiveUp[3]; // The executor's own pick, while no silo answered.
        executor.Claims.Add(address, new Claim(new SandboxKey("pod-1", "eth0"), new PodName("default", "pod-1", ""), address, asked.Interfaces[0].EniId, executor.NextStamp(), 0));
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 32, GiveUp.IsEmpty: true } && executor.Leased.Count == 32, "both prefixes, whole in the lease");
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Unassign", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_drawn_prefix_whose_answer_is_lost_is_found_and_not_repeated()
    {
        await using var world = await GrainWorld.StartAsync(OnePrefix);
        world.Ec2.Fail("Assign", Ec2Fault.EffectUnknown, afterEffect: true);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 16, "16 leased addresses");

        Assert.Single(Assigns(world));
        Assert.Single(world.Ec2.ByHand(vpc => vpc.Enis.Single().Prefixes));
    }

    [Fact]
    public async Task Where_no_block_is_whole_single_addresses_serve_until_one_is()
    {
        // Blocks of .16 and .32 only; a hand breaks both.
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Prefixes = true, WarmIps = 2 }, "10.0.0.0/26");
        var hand = world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", Primary = Ip.Parse("10.0.0.20").ToIPAddress(), Secondary = [Ip.Parse("10.0.0.40").ToIPAddress()] }).Id);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 single addresses");
        Assert.Equal(0, world.Ec2.ByHand(vpc => vpc.Enis.Sum(eni => eni.Prefixes.Count)));

        world.Ec2.ByHand(vpc =>
        {
            vpc.Advance();
            vpc.DeleteNetworkInterface(hand);
            return 0;
        });
        world.Time.Shift(TimeSpan.FromMinutes(3)); // A sweep finds the blocks whole, and the single ones are no pod's.
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 16, "a prefix, and no single address any more");
    }

    [Fact]
    public async Task Where_no_block_is_whole_an_interface_in_a_sibling_subnet_gets_the_prefix()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Prefixes = true, WarmIps = 2, Subnets = ["subnet-b"] }, "10.0.0.0/28");
        var executor = await world.JoinAsync(world.Launch());

        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 16, "a prefix");

        Assert.Equal(["10.0.0.0/28", "10.0.16.0/24"], orders.Interfaces.Select(eni => eni.SubnetCidr.ToString()));
        Assert.Equal("subnet-b", world.Ec2.ByHand(vpc => vpc.Enis.Single(eni => eni.Prefixes.Count == 1).Subnet.Id));
    }

    [Fact]
    public async Task The_mode_changes_under_running_pods()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 addresses");
        await executor.SyncAsync(); // It says which interfaces it has set up.
        var pod = await executor.AddedAsync("pod-1");
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 3, "2 warm ones besides");

        world.Settings.Pool = new PoolPolicy { Prefixes = true, WarmIps = 2 };
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 17, "a prefix and the pod's address");
        Assert.Contains(pod, executor.Leased);
        await executor.SyncAsync(); // It says which interfaces it has set up.
        var second = await executor.AddedAsync("pod-2");
        Assert.Equal("10.0.0.16/28", Block.PrefixOf(second).ToString());

        world.Settings.Pool = new PoolPolicy { WarmIps = 2 };
        await executor.DeletedAsync("pod-2");
        world.Time.Shift(TimeSpan.FromMinutes(3));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 3, "single addresses only");
        Assert.Contains(pod, executor.Leased);
    }

    [Fact]
    public async Task Targets_changed_at_run_time_are_followed()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 addresses");

        world.Settings.Pool = new PoolPolicy { WarmEnis = 2 };
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 18, "two interfaces");
        world.Settings.Pool = new PoolPolicy { WarmIps = 1, MinimumIps = 3 };
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 3, Interfaces.Length: 1 }, "3 addresses on one interface");
    }

    [Fact]
    public async Task A_new_interface_carries_the_operators_tags_and_MAX_ENI_holds()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmEnis = 3, MaxEnis = 2, AdditionalTags = new PoolPolicy().AdditionalTags.Add("team", "net") });
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 18, "two interfaces");

        var tags = world.Ec2.ByHand(vpc => vpc.Enis.Single(eni => eni.Attachment?.DeviceIndex == 1).Tags);
        Assert.Equal(("net", "test"), (tags["team"], tags["cluster.k8s.amazonaws.com/name"]));
        Assert.Equal(2, world.Ec2.ByHand(vpc => vpc.Enis.Count()));
    }

    [Theory]
    [InlineData(true, "", "", true)]
    [InlineData(false, "", "", false)]
    [InlineData(true, "cluster.k8s.amazonaws.com/name", "another", false)]
    [InlineData(false, "cluster.k8s.amazonaws.com/name", "test", true)]
    [InlineData(true, "node.k8s.amazonaws.com/no_manage", "true", false)]
    [InlineData(true, "node.k8s.amazonaws.com/no_manage", "false", true)]
    public async Task An_interface_found_at_the_first_look_is_managed_by_its_tags(bool manageUntagged, string tag, string value, bool isManaged)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12, MaxEnis = 2, ManageUntagged = manageUntagged });
        var id = world.Launch();
        world.Ec2.ByHand(vpc =>
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", Tags = new Dictionary<string, string> { [tag.Length == 0 ? "Name" : tag] = value } });
            return vpc.AttachNetworkInterface(eni.Id, id, 1, 0);
        });
        var executor = await world.JoinAsync(id);

        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == (isManaged ? 12 : 9), "all that there is room for");

        Assert.Equal(isManaged ? 2 : 1, orders.Interfaces.Length);
    }

    private static IEnumerable<string> Assigns(GrainWorld world) => world.Ec2.Calls.Where(call => call.StartsWith("Assign ", StringComparison.Ordinal));
}
