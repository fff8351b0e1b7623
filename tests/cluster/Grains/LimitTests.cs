using System.Net;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>F7: what EC2 allows is not known, or is less than the table says; and what EC2 refuses is not asked for in a loop.</summary>
public sealed class LimitTests
{
    [Fact]
    public async Task A_type_that_may_not_be_described_gets_careful_limits_that_serve_pods_and_say_so_until_EC2_tells()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        world.Ec2.NewerType = "m99.large";
        world.Ec2.Fail("DescribeInstanceTypes", Ec2Fault.NotAuthorized);
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 leased addresses");
        await executor.SyncAsync();
        await executor.AddedAsync("pod-1");

        var guessed = await NodeAsync(world, id);
        Assert.Equal(("m99.large", 18, 20), (guessed.InstanceType, guessed.Capacity, guessed.MaxPods)); // 2 interfaces x (10 - 1): the least of all .large types.
        Assert.Contains("The limits of m99.large are not known, so 2 interfaces with 10 addresses each and no prefixes are taken", guessed.Limits, StringComparison.Ordinal);
        Assert.Contains("may not call ec2:DescribeInstanceTypes", guessed.Limits, StringComparison.Ordinal);
        Assert.Equal(1, Calls(world, "DescribeInstanceTypes"));

        world.Time.Shift(TimeSpan.FromMinutes(6)); // The permission has been given, and a look comes by.
        await UntilAsync(world, executor, id, node => node.Limits is null, "the limits to be EC2's");
        Assert.Equal((27, 29), await NodeAsync(world, id) is { } known ? (known.Capacity, known.MaxPods) : default);
    }

    [Fact]
    public async Task A_refused_interface_corrects_the_capacity_for_later_activations_too_and_is_tried_again_in_the_end()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Attach", Ec2Fault.LimitExceeded, times: 2);
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await UntilAsync(world, executor, id, node => node is { Leased: 9, Limits: not null } && Calls(world, "Delete") == 1, "9 addresses, and the refused interface to go");

        var corrected = await NodeAsync(world, id);
        Assert.Equal((9, 11), (corrected.Capacity, corrected.MaxPods));
        Assert.StartsWith("EC2 attaches no more than 1 interfaces to this m5.large, which should have 3.", corrected.Limits, StringComparison.Ordinal);
        Assert.Null(corrected.Trouble); // The node is as it is.

        await NextActivationAsync(world, executor);
        Assert.Equal(corrected.Limits, (await NodeAsync(world, id)).Limits);
        for (var pod = 0; pod < 9; pod++)
        {
            await executor.AddedAsync($"pod-{pod}");
        }

        var full = Assert.IsType<AssignReply.Never>(await executor.AddAsync("pod-9"));
        Assert.Contains("1 interfaces x (10 - 1)", full.Why.Text, StringComparison.Ordinal);
        Assert.Contains(corrected.Limits!, full.Why.Text, StringComparison.Ordinal);
        Assert.Equal(1, Calls(world, "Create"));

        world.Time.Shift(TimeSpan.FromMinutes(11));
        await UntilAsync(world, executor, id, _ => Calls(world, "Delete") == 2, "one more try, refused again");
        world.Time.Shift(TimeSpan.FromMinutes(11)); // Twice as long this time.
        await executor.SyncAsync();
        Assert.Equal(2, Calls(world, "Create"));
        world.Time.Shift(TimeSpan.FromMinutes(11));
        await UntilAsync(world, executor, id, node => node is { Leased: > 9, Limits: null, Capacity: 27 }, "the interface, which EC2 now attaches");
    }

    [Fact]
    public async Task A_full_interface_is_remembered_with_what_it_holds_and_forgotten_when_EC2_gives_more()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 3, MaxEnis = 1 });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 3, "3 leased addresses");
        IPAddress[] added = [.. Enumerable.Range(100, 4).Select(last => IPAddress.Parse($"10.0.0.{last}"))];
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, added, false)); // The document shows room for 6, EC2 for 2.
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 9 };

        await UntilAsync(world, executor, id, node => node is { Leased: 5, Capacity: 5 }, "what still fits, and the capacity corrected");
        var corrected = await NodeAsync(world, id);
        Assert.Contains("no more than the 5 of 9 slots that it has: someone else uses it", corrected.Limits, StringComparison.Ordinal);
        var draws = Calls(world, "Assign");
        await NextActivationAsync(world, executor);
        world.Time.Shift(TimeSpan.FromMinutes(1));
        await executor.SyncAsync();
        Assert.Equal(draws, Calls(world, "Assign"));

        world.Ec2.ByHand(vpc =>
        {
            vpc.UnassignPrivateIpAddresses(vpc.Enis.Single().Id, added, []);
            return 0;
        });
        world.Time.Shift(TimeSpan.FromMinutes(10));
        await UntilAsync(world, executor, id, node => node is { Leased: 9, Capacity: 9, Limits: null }, "the room that is there again");
    }

    [Theory]
    [InlineData(Ec2Fault.Refused)]
    [InlineData(Ec2Fault.NotFound)]
    public async Task A_draw_that_EC2_keeps_refusing_is_given_up_with_its_names_and_another_interface_serves(Ec2Fault fault)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        world.Ec2.Fail("Assign", fault, times: 1000);
        var id = world.Launch();
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(1));
            return orders.Lease.Length == 2;
        }, "an interface that comes with addresses");

        var names = world.Ec2.Calls.Where(call => call.StartsWith("Assign ", StringComparison.Ordinal)).ToArray();
        Assert.Equal(6, names.Length);
        Assert.Single(names.Distinct()); // A repeat names the same: it can draw nothing twice.
        await UntilAsync(world, executor, id, node => node is { Trouble: null }, "the node to have what it wants");
        Assert.Equal(0, (await world.SubnetAsync()).Reserved); // What was given up is anybody's.
    }

    [Fact]
    public async Task An_interface_that_EC2_does_not_make_is_asked_for_ever_more_rarely_while_the_present_one_is_filled()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Create", Ec2Fault.Refused, times: 3);
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await UntilAsync(world, executor, id, node => node.Leased == 9 && node.Trouble?.Contains("EC2 refused CreateNetworkInterface", StringComparison.Ordinal) == true, "9 addresses and the refusal");
        var began = world.Time.GetUtcNow();

        await UntilAsync(world, executor, id, node =>
        {
            world.Time.Shift(TimeSpan.FromMilliseconds(500));
            return node is { Leased: 12, Trouble: null };
        }, "the interface");

        Assert.Equal(4, Calls(world, "Create"));
        Assert.InRange(world.Time.GetUtcNow() - began, TimeSpan.FromSeconds(10 + 20), TimeSpan.FromSeconds(10 + 20 + 40 + 20)); // 10, 20 and 40 s, the first under way.
    }

    [Fact]
    public async Task Tries_without_permission_count_neither_as_a_limit_nor_towards_giving_a_draw_up()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        world.Ec2.Fail("Assign", Ec2Fault.NotAuthorized, times: 5);
        world.Ec2.Fail("Assign", Ec2Fault.NotFound); // Passes by itself.
        world.Ec2.Fail("Attach", Ec2Fault.NotAuthorized, times: 9);
        world.Ec2.Fail("Attach", Ec2Fault.AlreadySo, afterEffect: true); // By a try of ours.
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await UntilShiftedAsync(world, executor, id, node => node.Leased == 2, "2 addresses");
        Assert.Equal(0, Calls(world, "Create"));

        world.Settings.Pool = world.Settings.Pool with { WarmIps = 12 };
        await UntilShiftedAsync(world, executor, id, node => node.Leased == 12 && Calls(world, "Attach") == 10, "the second interface");

        Assert.Null((await NodeAsync(world, id)).Limits);
        Assert.Equal((1, 0), (Calls(world, "Create"), Calls(world, "Delete")));
    }

    [Fact]
    public async Task An_instance_that_takes_no_interface_just_now_has_no_lower_limit_for_that()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Attach", Ec2Fault.Refused, times: 9); // It is stopped.
        var id = world.Launch();
        var executor = await world.JoinAsync(id);

        await UntilShiftedAsync(world, executor, id, node =>
        {
            Assert.Null(node.Limits);
            return Calls(world, "Delete") == 1;
        }, "the interface to go");
        await UntilShiftedAsync(world, executor, id, node => node.Leased == 12, "another one");
    }

    /// <summary>Some server of EC2's has not heard of what was made a moment ago. Simulation, seed 495.</summary>
    [Fact]
    public async Task An_interface_that_EC2_does_not_attach_and_does_not_know_yet_is_deleted_all_the_same()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Attach", Ec2Fault.LimitExceeded, times: 2);
        world.Ec2.Fail("Delete", Ec2Fault.NotFound, times: 2);
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await UntilAsync(world, executor, id, node => node is { Leased: 9, Limits: not null } && Calls(world, "Delete") >= 3, "the refused interface to go");
        Assert.Single(world.Ec2.ByHand(vpc => vpc.Enis.ToArray()));
    }

    [Fact]
    public async Task An_executor_that_is_away_does_not_make_its_new_interface_one_that_hangs()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 2, "the second interface"); // No report has named it set up.

        for (var looks = 0; looks < 3; looks++)
        {
            var before = Calls(world, "DescribeNetworkInterfaces");
            world.Time.Shift(TimeSpan.FromMinutes(6));
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            while (Calls(world, "DescribeNetworkInterfaces") == before)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), patience.Token); // The grain works on by itself.
            }
        }

        Assert.Equal(1, Calls(world, "Create"));
    }

    private static Task<NodeOrders> UntilShiftedAsync(GrainWorld world, FakeExecutor executor, string id, Func<NodeSummary, bool> wanted, string what) => UntilAsync(world, executor, id, node =>
    {
        world.Time.Shift(TimeSpan.FromSeconds(5));
        return wanted(node);
    }, what);

    private static Task<NodeSummary> NodeAsync(GrainWorld world, string id) => world.Grains.GetGrain<INodeGrain>(id).SummarizeAsync();

    private static Task<NodeOrders> UntilAsync(GrainWorld world, FakeExecutor executor, string id, Func<NodeSummary, bool> wanted, string what) =>
        GrainWorld.UntilAsync(executor, _ => wanted(NodeAsync(world, id).GetAwaiter().GetResult()), what);

    /// <summary>Another one writes the document, so the present activation ends at its next write, and the next one reads.</summary>
    private static async Task NextActivationAsync(GrainWorld world, FakeExecutor executor)
    {
        world.Documents.Touch("node", executor.Node.GetGrainId());
        executor.Incarnation++;
        while (await executor.AddAsync("another") is AssignReply.NotYet { Why.Code: ReasonCode.AnotherActivation })
        {
        }

        await executor.SyncAsync(); // Nobody has claimed what it was offered.
        world.Time.Shift(TimeSpan.FromSeconds(31));
    }

    private static int Calls(GrainWorld world, string action) => world.Ec2.Calls.Count(call => call.StartsWith(action, StringComparison.Ordinal));
}
