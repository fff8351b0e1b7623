using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

public sealed class NodeGrainTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static readonly PoolPolicy Four = new() { WarmIps = 4 };

    [Fact]
    public async Task A_node_that_joins_gets_its_warm_addresses_by_name_in_one_call()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await world.JoinAsync(world.Launch());

        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");

        Assert.Equal(1, executor.Incarnation);
        Assert.Single(orders.Interfaces);
        Assert.Single(world.Ec2.Calls, call => call.StartsWith("Assign ", StringComparison.Ordinal));
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("AssignCounted", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nodes_that_join_together_are_described_together()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        string[] instances = [world.Launch(), world.Launch(), world.Launch()];

        var executors = await Task.WhenAll(instances.Select(world.JoinAsync));
        await Task.WhenAll(executors.Select(executor => GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses")));

        Assert.Equal($"DescribeInstances {string.Join(',', instances.Order(StringComparer.Ordinal))}", Assert.Single(world.Ec2.Calls, call => call.StartsWith("DescribeInstances", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task The_limits_of_a_type_that_the_table_has_cost_no_call()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        await JoinedAsync(world);

        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("DescribeInstanceTypes", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_limits_of_a_newer_type_are_asked_for_once_for_all_its_nodes()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        world.Ec2.NewerType = "m99.large";
        await JoinedAsync(world);
        var (id, _) = await JoinedAsync(world);

        Assert.Equal("DescribeInstanceTypes m99.large", Assert.Single(world.Ec2.Calls, call => call.StartsWith("DescribeInstanceTypes", StringComparison.Ordinal)));
        Assert.Equal(("m99.large", 27), await world.Grains.GetGrain<INodeGrain>(id).SummarizeAsync() is { } node ? (node.InstanceType, node.Capacity) : default);
    }

    [Fact]
    public async Task An_ADD_gets_an_address_whose_row_is_stored_and_the_same_again()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        var stamp = executor.NextStamp();

        var offered = Assert.IsType<AssignReply.Offered>(await executor.AddAsync("pod-1", stamp));

        Assert.Equal(offered.Address, Assert.Single(await world.Book.ReadNodeAsync(id, Token), row => row.Released is null).Address);
        Assert.Equal(offered, await executor.AddAsync("pod-1", stamp));
    }

    [Fact]
    public async Task Parallel_ADDs_get_distinct_addresses()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 9 });
        var (_, executor) = await JoinedAsync(world, 9);

        var replies = await Task.WhenAll(Enumerable.Range(0, 9).Select(pod => executor.AddAsync($"pod-{pod}")));

        Assert.Equal(9, replies.Cast<AssignReply.Offered>().Select(offered => offered.Address).Distinct().Count());
    }

    [Fact]
    public async Task A_refused_address_is_not_offered_again()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (_, executor) = await JoinedAsync(world);
        var stamp = executor.NextStamp();
        var first = Assert.IsType<AssignReply.Offered>(await executor.AddAsync("pod-1", stamp));

        var second = Assert.IsType<AssignReply.Offered>(await executor.AddAsync("pod-1", stamp, first.Address));

        Assert.NotEqual(first.Address, second.Address);
    }

    [Fact]
    public async Task A_freed_address_rests_before_it_is_offered_again()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0, MinimumIps = 9, Thrift = false }, "10.0.0.0/28"); // 9 besides the node's own; no more in the subnet.
        var (_, executor) = await JoinedAsync(world, 9);
        var freed = await executor.AddedAsync("pod-0");
        for (var pod = 1; pod < 9; pod++)
        {
            await executor.AddedAsync($"pod-{pod}");
        }

        await executor.DeletedAsync("pod-0");
        Assert.IsType<AssignReply.NotYet>(await executor.AddAsync("pod-9")); // Whatever it tries meanwhile to get another one.
        world.Time.Shift(TimeSpan.FromSeconds(31));
        var offered = Assert.IsType<AssignReply.Offered>(await executor.AddAsync("pod-9"));

        Assert.Equal(freed, offered.Address);
    }

    [Fact]
    public async Task A_full_node_says_so_with_the_numbers()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 27 });
        var (_, executor) = await JoinedAsync(world, 27);
        for (var pod = 0; pod < 27; pod++)
        {
            await executor.AddedAsync($"pod-{pod}");
        }

        var never = Assert.IsType<AssignReply.Never>(await executor.AddAsync("pod-27"));

        Assert.Equal(ReasonCode.NodeFull, never.Why.Code);
        Assert.Contains("m5.large", never.Why.Text, StringComparison.Ordinal);
        Assert.Contains("all 27", never.Why.Text, StringComparison.Ordinal);
        Assert.Contains("3 interfaces x (10 - 1)", never.Why.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Waiting_pods_are_demand_in_one_call()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the interface");
        executor.Waiting.AddRange(Enumerable.Range(0, 5).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 5, "5 leased addresses");

        Assert.Single(world.Ec2.Calls, call => call.StartsWith("Assign ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Who_came_first_gets_the_first_address_that_is_free()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the interface");
        var first = new Waiter(new SandboxKey("first", "eth0"), new PodName("default", "first", ""), executor.NextStamp(), 1);
        executor.Waiting.Add(first);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address for the one that waits");

        Assert.IsType<AssignReply.NotYet>(await executor.AddAsync("second"));
        Assert.IsType<AssignReply.Offered>(await executor.AddAsync("first", first.Stamp));
    }

    [Fact]
    public async Task A_waiter_whose_row_is_being_written_keeps_nothing_from_the_next_one()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the interface");
        Waiter[] waiters = [.. new[] { "first", "second" }.Select(pod => new Waiter(new SandboxKey(pod, "eth0"), new PodName("default", pod, ""), executor.NextStamp(), 1))];
        executor.Waiting.AddRange(waiters);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "an address for each");
        var (written, told) = (new TaskCompletionSource(), new TaskCompletionSource());
        world.Book.BeforeAnswer = row =>
        {
            written.TrySetResult();
            return row.Sandbox == waiters[0].Sandbox ? told.Task : Task.CompletedTask;
        };

        var first = executor.AddAsync("first", waiters[0].Stamp);
        await written.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.IsType<AssignReply.Offered>(await executor.AddAsync("second", waiters[1].Stamp));
        told.SetResult();
        Assert.IsType<AssignReply.Offered>(await first);
    }

    [Fact]
    public async Task A_draw_whose_answer_is_lost_is_found_and_not_repeated()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        world.Ec2.Fail("Assign", Ec2Fault.EffectUnknown, afterEffect: true);
        var id = world.Launch();
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");

        Assert.Single(world.Ec2.Calls, call => call.StartsWith("Assign ", StringComparison.Ordinal));
        Assert.Equal(5, world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count));
    }

    [Fact]
    public async Task A_draw_that_never_arrived_is_sent_again_with_the_same_names()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        world.Ec2.Fail("Assign", Ec2Fault.EffectUnknown);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");

        var draws = world.Ec2.Calls.Where(call => call.StartsWith("Assign ", StringComparison.Ordinal)).ToArray();
        Assert.Equal(2, draws.Length);
        Assert.Equal(draws[0], draws[1]);
    }

    [Fact] // Simulation, seed 1134: sent twice because no answer came, and the first one lay in EC2's queue until all was over.
    public async Task A_draw_that_happens_after_its_addresses_were_returned_is_found_and_undone()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var (_, executor) = await JoinedAsync(world, 2);
        executor.Waiting.AddRange(Enumerable.Range(0, 4).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 6, "6 leased addresses");
        var drawn = executor.Leased.ToArray();
        executor.Waiting.Clear();
        await GrainWorld.UntilAsync(executor, _ => Held(world) == 3, "4 of them to be returned");
        var returned = drawn.Except(executor.Leased).Select(address => address.ToIPAddress()).ToArray();

        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, returned, false));

        await GrainWorld.UntilAsync(executor, _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(10)); // It looks each five minutes.
            return Held(world) == 3;
        }, "4 to be returned again");
        Assert.Equal(2, executor.Leased.Count);
        await GrainWorld.UntilAsync(executor, _ => world.SubnetAsync().GetAwaiter().GetResult().Free == 251 - 3, "the ledger to hear of it");
    }

    private static int Held(GrainWorld world) => world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count);

    [Fact]
    public async Task Names_that_someone_else_took_are_read_again_and_others_drawn()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (_, first) = await JoinedAsync(world);
        // The ledger knows nothing of what a hand draws now, and would name just these next.
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.First().Id,
            [.. Enumerable.Range(4, 11).Select(offset => (Ip.Parse("10.0.0.0") + offset).ToIPAddress()).Where(ip => vpc.Subnets.First().HolderOf(ip) is null).Take(4)], false));
        var second = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(second, orders => orders.Lease.Length == 4, "4 leased addresses");

        Assert.Empty(second.Leased.Intersect(first.Leased));
    }

    [Fact]
    public async Task A_refusal_for_good_is_tried_ever_more_rarely_and_never_by_count()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        world.Ec2.Fail("Assign", Ec2Fault.Refused, times: 4);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");

        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("AssignCounted", StringComparison.Ordinal));
        Assert.Single(world.Ec2.Calls.Where(call => call.StartsWith("Assign ", StringComparison.Ordinal)).Distinct());
    }

    [Fact]
    public async Task Two_ADDs_of_a_new_incarnation_at_once_do_not_end_the_activation()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (_, executor) = await JoinedAsync(world);
        executor.Incarnation++;

        var replies = await Task.WhenAll(executor.AddAsync("pod-1"), executor.AddAsync("pod-2"));

        Assert.All(replies, reply => Assert.IsType<AssignReply.Offered>(reply));
    }

    [Fact]
    public async Task When_EC2_refuses_a_batch_for_a_limit_what_still_fits_is_drawn_and_the_rest_on_a_new_interface()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 3 });
        var (_, executor) = await JoinedAsync(world, 3);
        // By hand: the document shows room for 6, and the interface has room for 2.
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, 4));
        executor.Waiting.AddRange(Enumerable.Range(0, 4).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 7, "7 leased addresses");

        var enis = world.Ec2.ByHand(vpc => vpc.Enis.Select(eni => eni.Addresses.Count).ToList());
        Assert.Equal((2, 10), (enis.Count, enis[0]));
    }

    [Fact]
    public async Task An_empty_subnet_is_named_with_its_numbers()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 9 }, "10.0.0.0/28");
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 9, "9 leased addresses");
        var other = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(other, orders => orders.Interfaces.Length == 1, "the interface");

        var refused = Assert.IsType<AssignReply.NotYet>(await other.AddAsync("pod-1"));

        Assert.Contains(refused.Why.Code, new[] { ReasonCode.SubnetEmpty, ReasonCode.Drawing });
        Assert.InRange((await world.SubnetAsync()).Free, 0, 1); // The other interface's own address is no free one, and the ledger reads it with the next sweep.
    }

    [Fact]
    public async Task What_is_not_wanted_any_more_goes_back_with_the_executors_consent_only()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var (_, executor) = await JoinedAsync(world, 2);
        executor.Waiting.AddRange(Enumerable.Range(0, 3).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 5, "5 leased addresses");
        executor.Waiting.Clear();

        NodeOrders asked;
        do
        {
            asked = await executor.SyncAsync(giveUp: false);
        }
        while (asked.GiveUp.IsEmpty && await executor.Hinted.WaitAsync(TimeSpan.FromSeconds(10), Token));

        var before = world.Ec2.Calls.Count(call => call.StartsWith("Unassign", StringComparison.Ordinal));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 leased addresses");

        Assert.Equal(3, asked.GiveUp.Length);
        Assert.Equal(0, before);
    }

    [Fact]
    public async Task A_late_ADD_does_not_end_the_row_of_a_later_one_of_its_sandbox()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        var (early, late) = (executor.NextStamp(), executor.NextStamp());
        Assert.IsType<AssignReply.Offered>(await executor.AddAsync("pod", late));

        Assert.Equal(ReasonCode.Outdated, Assert.IsType<AssignReply.Never>(await executor.AddAsync("pod", early)).Why.Code);

        Assert.Equal((late, null), Assert.Single(await world.Book.ReadNodeAsync(id, Token)) is var row ? (row.Stamp, row.Released) : default);
    }

    [Fact]
    public async Task A_lost_compare_and_swap_ends_the_activation_and_the_next_one_goes_on()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        var pod = await executor.AddedAsync("pod-1");
        world.Documents.Touch("node", executor.Node.GetGrainId());
        executor.Incarnation++; // Makes the grain write its document.

        var lost = await executor.AddAsync("pod-2");
        AssignReply again;
        do
        {
            again = await executor.AddAsync("pod-2");
        }
        while (again is AssignReply.NotYet { Why.Code: ReasonCode.AnotherActivation });

        Assert.Equal(ReasonCode.AnotherActivation, Assert.IsType<AssignReply.NotYet>(lost).Why.Code);
        Assert.NotEqual(pod, Assert.IsType<AssignReply.Offered>(again).Address);
        Assert.Equal(2, (await world.Book.ReadNodeAsync(id, Token)).Count(row => row.Released is null));
    }

    [Fact] // Simulation, seed 41: what two activations had written beside each other, the one that was left never saw.
    public async Task A_row_that_another_activation_has_left_is_found_and_ended()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        var pod = await executor.AddedAsync("pod-1");
        var ghost = executor.Leased.First(address => address != pod);
        Assert.Null(await world.Book.TryAssignAsync(new AddressRow
        {
            NodeId = id, Address = ghost, Sandbox = new SandboxKey("gone", "eth0"), Pod = new PodName("default", "gone", ""), Stamp = new Stamp(executor.Incarnation, 1), Since = world.Time.GetUtcNow(),
        }, Token));

        world.Time.Shift(TimeSpan.FromMinutes(6));

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Token);
        patience.CancelAfter(TimeSpan.FromSeconds(20));
        while ((await world.Book.ReadNodeAsync(id, Token)).Count(row => row.Released is null) > 1)
        {
            patience.Token.ThrowIfCancellationRequested();
            world.Time.Shift(TimeSpan.FromSeconds(1)); // It looks a second time before it believes it.
            try
            {
                await executor.SyncAsync();
            }
            catch (Orleans.Storage.InconsistentStateException)
            {
                // The activation that has found it ends; the next one reads the rows.
            }
        }

        Assert.Equal(pod, Assert.Single(await world.Book.ReadNodeAsync(id, Token), row => row.Released is null).Address);
    }

    [Fact] // Simulation, seed 330: what it lists there, nobody carries out.
    public async Task A_document_that_another_activation_has_left_is_found_and_carried_out()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        await executor.SyncAsync();
        var name = GrainId.Create("node", id);
        var (json, etag) = world.Documents.Read("node", name);
        var left = JsonSerializer.Deserialize<NodeDocument>(json!, DocumentJson.Options)!;
        world.Documents.Write("node", name, JsonSerializer.Serialize((left with { Change = left.Change + 1 }).WithIntent("", new Intent
        {
            Id = id + "/ghost", Kind = IntentKind.Draw, EniId = left.Interfaces[0].EniId, SubnetId = "subnet-a", Count = 1,
        }), DocumentJson.Options), etag);

        world.Time.Shift(TimeSpan.FromMinutes(6));

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Token);
        patience.CancelAfter(TimeSpan.FromSeconds(20));
        while (world.Documents.Read("node", name).Json!.Contains("ghost", StringComparison.Ordinal))
        {
            await executor.SyncAsync(); // An activation does nothing before it has heard its executor.
            await Task.Delay(100, patience.Token);
        }

        Assert.Equal(6, world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count));
    }

    [Fact] // Simulation, seed 60: it was kept for as long as the clock had been ahead.
    public async Task An_address_that_was_released_by_a_clock_that_was_ahead_rests_no_longer_than_others()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var (_, executor) = await JoinedAsync(world, 2);
        await executor.AddedAsync("pod-1");
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 3, "one more, since one is on a pod");
        world.Time.Shift(TimeSpan.FromHours(2));
        await executor.DeletedAsync("pod-1");
        world.Time.Shift(TimeSpan.FromHours(-2));

        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            return orders.Lease.Length == 2;
        }, "the surplus to go back");
    }

    [Fact] // Simulation, seed 91: the first try made it, and the refusal of the second made everybody forget it.
    public async Task An_interface_whose_making_is_refused_at_the_second_try_is_found_by_the_third()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Create", Ec2Fault.EffectUnknown, afterEffect: true);
        world.Ec2.Fail("Create", Ec2Fault.NoRoom);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(1));
            return orders.Interfaces.Length == 2;
        }, "the second interface");

        Assert.Equal(2, world.Ec2.ByHand(vpc => vpc.Enis.Count()));
    }

    [Fact] // Simulation, seed 35: EC2 takes the naming of an interface's own address for done, and a pod got it.
    public async Task An_interfaces_own_address_is_not_drawn_for_pods_though_the_ledger_has_not_read_it()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        await JoinedAsync(world); // The ledger has read the subnet.
        var next = world.Ec2.ByHand(vpc => AddressNamer.Choose(
            Cidr.Parse("10.0.0.0/24"), offset => vpc.FindSubnet("subnet-a")!.HolderOf((Ip.Parse("10.0.0.0") + offset).ToIPAddress()) is not null, 1)).Single();
        var id = world.Ec2.ByHand(vpc => vpc.Launch(new InstanceDescription { Type = "m5.large", Subnet = "subnet-a", Address = next.ToString() }).Id);

        var executor = await world.JoinAsync(id);
        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");

        Assert.Equal(next, Assert.Single(orders.Interfaces).PrimaryAddress);
        Assert.DoesNotContain(orders.Lease, leased => leased.Address == next);
    }

    [Fact]
    public async Task An_ADD_whose_row_write_had_no_answer_gets_that_same_address()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        var stamp = executor.NextStamp();
        world.Book.LoseAnswers(1);

        var away = Assert.IsType<AssignReply.NotYet>(await executor.AddAsync("pod-1", stamp));
        AssignReply again;
        do
        {
            again = await executor.AddAsync("pod-1", stamp);
        }
        while (again is AssignReply.NotYet { Why.Code: ReasonCode.AnotherActivation });

        Assert.Equal(ReasonCode.StoreAway, away.Why.Code);
        Assert.Equal(Assert.IsType<AssignReply.Offered>(again).Address, Assert.Single(await world.Book.ReadNodeAsync(id, Token)).Address);
    }

    [Fact]
    public async Task Requests_of_an_older_incarnation_or_already_settled_change_nothing()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        var settled = executor.NextStamp();
        await executor.SyncAsync();

        var late = Assert.IsType<AssignReply.Never>(await executor.AddAsync("pod-1", settled));
        executor.Incarnation++;
        await executor.SyncAsync();
        var old = Assert.IsType<AssignReply.Never>(await executor.AddAsync("pod-2", new Stamp(executor.Incarnation - 1, 99)));

        Assert.Equal((ReasonCode.Outdated, ReasonCode.Outdated), (late.Why.Code, old.Why.Code));
        Assert.Empty(await world.Book.ReadNodeAsync(id, Token));
    }

    [Fact]
    public async Task A_claim_made_without_the_grain_gets_its_row_and_an_offer_never_claimed_loses_its()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        Assert.IsType<AssignReply.Offered>(await executor.AddAsync("never-claimed"));
        var own = executor.Leased.Last();
        executor.Claims.Add(own, new Claim(new SandboxKey("own-pick", "eth0"), new PodName("default", "p", ""), own, "", executor.NextStamp(), 3));

        await executor.SyncAsync();

        var row = Assert.Single(await world.Book.ReadNodeAsync(id, Token), row => row.Released is null);
        Assert.Equal(("own-pick", own), (row.Sandbox.ContainerId, row.Address));
    }

    [Fact]
    public async Task A_report_that_a_later_one_overtakes_brings_nothing_back()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var (id, executor) = await JoinedAsync(world, 2);
        Claim[] claims = [.. executor.Leased.Select((ip, pod) => new Claim(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", $"pod-{pod}", ""), ip, "", executor.NextStamp(), 0))];
        claims.ToList().ForEach(claim => executor.Claims.Add(claim.Address, claim));
        var (isWriting, mayGoOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        world.Book.BeforeAnswer = _ =>
        {
            isWriting.TrySetResult();
            return mayGoOn.Task;
        };

        var first = executor.Node.SyncAsync(executor.Report());
        await isWriting.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        executor.Claims.Remove(claims[1].Address); // Its pod has ended.
        await executor.Node.SyncAsync(executor.Report());
        mayGoOn.SetResult();
        await first;

        Assert.Equal(claims[0].Address, Assert.Single(await world.Book.ReadNodeAsync(id, TestContext.Current.CancellationToken), row => row.Released is null).Address);
    }

    [Fact]
    public async Task An_offer_loses_its_row_when_the_executor_has_claimed_another_address_for_the_sandbox()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        var stamp = executor.NextStamp();
        var offered = Assert.IsType<AssignReply.Offered>(await executor.AddAsync("pod-1", stamp));
        var own = executor.Leased.First(address => address != offered.Address); // The answer came too late.
        executor.Claims.Add(own, new Claim(new SandboxKey("pod-1", "eth0"), new PodName("default", "pod-1", ""), own, offered.EniId, stamp, 0));

        await executor.SyncAsync();
        var claimed = Assert.Single(await world.Book.ReadNodeAsync(id, Token), row => row.Released is null);
        await executor.DeletedAsync("pod-1");

        Assert.Equal(own, claimed.Address);
        Assert.DoesNotContain(await world.Book.ReadNodeAsync(id, Token), row => row.Released is null);

        // The one that it has used is in the history, as its row stands.
        var row = Assert.Single(await world.Book.ReadNodeAsync(id, Token), row => row.Address == own);
        Assert.Equal([row], await world.Book.ReadHistoryAsync(own, row.Since, row.Since, Token));
        Assert.Empty(await world.Book.ReadHistoryAsync(offered.Address, DateTimeOffset.MinValue, DateTimeOffset.MaxValue, Token));
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("Create", false)]
    [InlineData("Create", true)]
    [InlineData("Attach", false)]
    [InlineData("Attach", true)]
    [InlineData("Modify", true)]
    public async Task A_second_interface_comes_with_its_addresses_once_whatever_answer_is_lost(string? lost, bool afterEffect)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        if (lost is not null)
        {
            world.Ec2.Fail(lost, Ec2Fault.EffectUnknown, afterEffect);
        }

        var (id, executor) = await JoinedAsync(world, 12);

        var orders = await executor.SyncAsync();
        Assert.Equal([0, 1], orders.Interfaces.Select(one => one.DeviceIndex));
        var enis = world.Ec2.ByHand(vpc => vpc.Enis.ToList());
        Assert.Equal(2, enis.Count);
        Assert.All(enis, eni => Assert.Equal(id, eni.Attachment!.Instance.Id));
        Assert.All(enis, eni => Assert.True(eni.Attachment!.DeleteOnTermination));
        Assert.Equal([10, 4], enis.Select(eni => eni.Addresses.Count));
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("Detach", true)]
    [InlineData("Delete", true)]
    [InlineData("Detach", false)]
    public async Task An_interface_that_nobody_needs_is_emptied_with_consent_and_goes(string? lost, bool afterEffect)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var (_, executor) = await JoinedAsync(world, 2);
        executor.Waiting.AddRange(Enumerable.Range(0, 10).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 12 && orders.Interfaces.Length == 2, "12 leased addresses on 2 interfaces");
        if (lost is not null)
        {
            world.Ec2.Fail(lost, Ec2Fault.EffectUnknown, afterEffect);
        }

        executor.Waiting.Clear();
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2 && orders.Interfaces.Length == 1, "2 leased addresses on the primary interface");
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.ByHand(vpc =>
        {
            vpc.Advance();
            return vpc.Enis.Count();
        }) == 1, "the second interface to be gone");

        Assert.Equal(3, world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count));
        await GrainWorld.UntilAsync(executor, async _ => (await world.SubnetAsync()).Free == 251 - 3, "the ledger to hear that all of it is free"); // EC2 comes first.
    }

    [Fact]
    public async Task A_limit_of_interfaces_that_EC2_refuses_is_remembered_and_nothing_is_left_over()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Attach", Ec2Fault.LimitExceeded);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 9, "9 leased addresses");
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.Calls.Any(call => call.StartsWith("Delete", StringComparison.Ordinal)), "the refused interface to be deleted");
        await executor.SyncAsync();

        Assert.Single(world.Ec2.Calls, call => call.StartsWith("Create", StringComparison.Ordinal));
        Assert.Single(world.Ec2.ByHand(vpc => vpc.Enis.ToList()));
    }

    [Theory]
    [InlineData(1, 12)] // An m5.large has room at 1 and 2.
    [InlineData(2, 9)]
    public async Task Interfaces_that_a_hand_has_attached_meanwhile_are_gone_round_or_leave_no_room_at_once(int byHand, int leased)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var (id, executor) = await JoinedAsync(world, 2);
        var hands = world.Ec2.ByHand(vpc => Enumerable.Range(1, byHand).Select(device =>
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" });
            vpc.AttachNetworkInterface(eni.Id, id, device);
            return eni.Id;
        }).ToList());

        world.Settings.Pool = new PoolPolicy { WarmIps = 12 };

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == leased && world.Ec2.ByHand(vpc => vpc.Enis.All(eni => eni.Attachment is not null)), $"{leased} leased addresses and no interface left over");
        await executor.SyncAsync();
        Assert.InRange(world.Ec2.Calls.Count(call => call.StartsWith("Attach", StringComparison.Ordinal)), 1, 2);
        Assert.Single(world.Ec2.Calls, call => call.StartsWith("Create", StringComparison.Ordinal));
        Assert.All(hands, hand => Assert.Equal((1, false), world.Ec2.ByHand(vpc => (vpc.FindEni(hand)!.Addresses.Count, vpc.FindEni(hand)!.Attachment!.DeleteOnTermination))));
    }

    [Fact]
    public async Task A_lease_above_the_document_is_never_followed_by_an_older_one()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (_, executor) = await JoinedAsync(world);
        var report = executor.Report() with { LeaseVersion = 1000 };

        var orders = await executor.Node.SyncAsync(report);

        Assert.True(orders.LeaseVersion > 1000);
    }

    [Fact]
    public async Task The_subnets_summary_adds_up()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var (id, executor) = await JoinedAsync(world);
        await executor.AddedAsync("pod-1");
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 5, "one more, since one is on a pod");

        SubnetSummary? summary = null;
        for (var i = 0; i < 100 && summary is not { OnPods: 1, Leased: 5 }; i++)
        {
            await executor.SyncAsync(); // Each report makes the node tell its share, one-way.
            summary = await world.SubnetAsync();
        }

        Assert.Equal((256, 6, 5, 1, 4, 245L), (summary!.Size, summary.Used, summary.Leased, summary.OnPods, summary.Warm, summary.Free));
        Assert.Equal(5, summary.Holders[id]);
    }

    private static async Task<(string InstanceId, FakeExecutor Executor)> JoinedAsync(GrainWorld world, int addresses = 4)
    {
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == addresses, $"{addresses} leased addresses");
        await executor.SyncAsync(); // Reports the interface as set up.
        return (id, executor);
    }
}
