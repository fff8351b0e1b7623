using System.Net;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Draws by count: EC2 chooses what it gives, so what a lost answer has brought only looks tell.</summary>
public sealed class CountedDrawTests
{
    private static readonly PoolPolicy Four = new() { WarmIps = 4 };
    private static readonly Ip Drawn = Ip.Parse("10.0.0.100");
    private static readonly Ip Beside = Ip.Parse("10.0.0.101"); // In its /28.

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(2)] // Met by an activation before: counted in memory they never came to three where a grain moved often.
    public async Task After_three_refusals_the_draw_is_counted(int before)
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var id = world.Launch();
        world.Documents.Write("node", Orleans.Runtime.GrainId.Create("node", id), JsonSerializer.Serialize(new NodeDocument { NamesRefused = before }, DocumentJson.Options), null);
        world.Ec2.Fail("Assign", Ec2Fault.AddressTaken, times: 3 - before);
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");

        Assert.Contains(world.Ec2.Calls, call => call.StartsWith("AssignCounted", StringComparison.Ordinal));
        Assert.Equal(5, world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count));
    }

    [Fact] // Another cluster in the subnet draws, too: nothing is wrong with making interfaces, so the pause is that of refused draws, not 10 and 20 s.
    public async Task An_interface_whose_names_are_taken_is_soon_made_with_others()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Create", Ec2Fault.AddressTaken, times: 2);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 12, "both interfaces"); // No clock is set forward.
        Assert.Equal(3, world.Ec2.Calls.Count(call => call.StartsWith("Create", StringComparison.Ordinal)));
    }

    [Fact] // EC2 gives all or nothing. Simulation, seed 949.
    public async Task Where_the_subnet_has_fewer_than_are_asked_for_by_count_the_node_gets_those()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 8, Thrift = false }, "10.0.0.0/28");
        var id = world.Launch();
        world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 7 })); // Two are left.
        world.Documents.Write("node", Orleans.Runtime.GrainId.Create("node", id), JsonSerializer.Serialize(new NodeDocument { NamesRefused = 3 }, DocumentJson.Options), null);
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "both");
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Assign ", StringComparison.Ordinal)); // Only by count.
    }

    [Fact] // Simulation, seed 298.
    public async Task A_counted_draw_is_not_sent_again_before_a_look_a_minute_later_has_shown_that_it_did_not_happen()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        world.Ec2.Fail("Assign", Ec2Fault.AddressTaken, times: 3);
        world.Ec2.Fail("AssignCounted", Ec2Fault.EffectUnknown);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, _ => Looks(world) > 1, "the look for the counted draw");

        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, 4)); // Now it comes to effect.
        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            return orders.Lease.Length == 4;
        }, "4 leased addresses");

        Assert.Single(world.Ec2.Calls, call => call.StartsWith("AssignCounted", StringComparison.Ordinal));
        Assert.Equal(5, Held(world));
    }

    [Fact] // Simulation, seed 287: what a counted draw brought was what another draw had been given up for, and what the ledger had as ours.
    public async Task What_an_open_counted_draw_brings_is_not_taken_for_a_draw_that_came_late()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var id = world.Launch();
        var subnet = world.Grains.GetGrain<ISubnetGrain>("subnet-a");
        while ((await subnet.SummarizeAsync()).ReadAt is null)
        {
            await world.Grains.GetGrain<IVpcGrain>(world.Ec2.ByHand(vpc => vpc.Id)).ReadSubnetAsync("subnet-a");
            await Task.Delay(50, Token);
        }

        await subnet.ShareAsync(id, 1, new SubnetShare(0, 0, 0), [Drawn], []);
        WriteOpenDraw(world, id, TimeSpan.FromMinutes(5));
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, orders =>
        {
            Assert.DoesNotContain(orders.Lease, one => one.Address == Drawn);
            world.Time.Shift(TimeSpan.FromSeconds(5));
            return Held(world) == 1;
        }, "it to go back");
    }

    [Fact] // Simulation, seed 1114: an activation ended between the storing of the draw and its sending.
    public async Task What_is_still_shown_though_it_has_just_been_returned_is_not_taken_for_drawn()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var id = world.Launch();
        WriteOpenDraw(world, id, TimeSpan.Zero);
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders =>
        {
            Assert.DoesNotContain(orders.Lease, one => one.Address == Drawn);
            return Looks(world) > 1;
        }, "a second look");

        world.Ec2.ByHand(vpc =>
        {
            vpc.UnassignPrivateIpAddresses(vpc.Enis.Single().Id, [Drawn.ToIPAddress()], []);
            return 0; // EC2 does not show it any more.
        });
        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            return orders.Lease.Length == 1;
        }, "a leased address");

        Assert.Single(world.Ec2.Calls, call => call.StartsWith("AssignCounted", StringComparison.Ordinal));
        Assert.Equal(2, Held(world));
    }

    [Fact] // EC2 may choose what has gone back, and whose return is sent again. Simulation, seed 19 of the day on which subnets became thrifty.
    public async Task It_waits_for_what_is_being_returned_from_its_interface()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var id = world.Launch();
        world.Ec2.Fail("Unassign", Ec2Fault.Throttled, times: 2);
        WriteOpenDraw(world, id, TimeSpan.Zero, document => document with
        {
            Departed = [],
            Intents = [document.Intents[0] with { HeldBefore = [new Block(Drawn)] }, new Intent { Id = id + "/2.0", Kind = IntentKind.Return, EniId = document.Interfaces[0].EniId, SubnetId = "subnet-a", Count = 1, Names = [new Block(Drawn)] }],
        });
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            return orders.Lease.Length == 1;
        }, "a leased address");

        string[] calls = [.. world.Ec2.Calls.Select(call => call.Split(' ')[0]).Where(call => call is "Unassign" or "AssignCounted")];
        Assert.Equal(["Unassign", "Unassign", "Unassign", "AssignCounted"], calls);
    }

    [Fact] // The send that was lost may yet come to effect, and take what EC2 has chosen again. Simulation, seed 1204.
    public async Task It_waits_for_two_minutes_more_when_a_send_of_the_return_had_no_answer()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var id = world.Launch();
        world.Ec2.Fail("Unassign", Ec2Fault.EffectUnknown);
        WriteOpenDraw(world, id, TimeSpan.Zero, document => document with
        {
            Departed = [],
            Intents = [document.Intents[0] with { HeldBefore = [new Block(Drawn)] }, new Intent { Id = id + "/2.0", Kind = IntentKind.Return, EniId = document.Interfaces[0].EniId, SubnetId = "subnet-a", Count = 1, Names = [new Block(Drawn)] }],
        });
        var executor = await world.JoinAsync(id);
        DateTimeOffset? returned = null;
        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            returned ??= Held(world) == 1 ? world.Time.GetUtcNow() : null;
            return orders.Lease.Length == 1;
        }, "a leased address");

        Assert.True(world.Time.GetUtcNow() - returned!.Value > TimeSpan.FromSeconds(110), $"drawn {world.Time.GetUtcNow() - returned.Value} after it");
    }

    [Fact] // It was stored while the return was under way, and sent after it. Simulation, seed 1549.
    public async Task What_had_gone_back_before_it_was_sent_may_be_what_it_brings()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var id = world.Launch();
        world.Ec2.Fail("AssignCounted", Ec2Fault.EffectUnknown);
        WriteOpenDraw(world, id, TimeSpan.Zero, document => document with
        {
            Departed = [],
            Intents = [document.Intents[0] with { HeldBefore = [new Block(Drawn)] }, new Intent { Id = id + "/2.0", Kind = IntentKind.Return, EniId = document.Interfaces[0].EniId, SubnetId = "subnet-a", Count = 1, Names = [new Block(Drawn)] }],
        });
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            return world.Ec2.Calls.Any(call => call.StartsWith("AssignCounted", StringComparison.Ordinal));
        }, "the draw");

        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, [Drawn.ToIPAddress()], false)); // That is what it has brought, unheard.
        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            return orders.Lease.Length == 1;
        }, "a leased address");

        Assert.Single(world.Ec2.Calls, call => call.StartsWith("AssignCounted", StringComparison.Ordinal));
        Assert.Equal(Drawn, (await executor.SyncAsync()).Lease.Single().Address);
    }

    [Fact] // What hands add stays theirs.
    public async Task What_hands_had_added_before_is_not_taken_for_drawn()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "a leased address");
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, [Drawn.ToIPAddress()], false));
        await world.LookedAsync(executor);

        world.Ec2.Fail("Assign", Ec2Fault.AddressTaken, times: 3);
        world.Ec2.Fail("AssignCounted", Ec2Fault.EffectUnknown);
        world.Settings.Pool = new PoolPolicy { WarmIps = 2 };
        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(5));
            Assert.DoesNotContain(orders.Lease, one => one.Address == Drawn);
            return orders.Lease.Length == 2;
        }, "2 leased addresses");

        Assert.Equal(2, world.Ec2.Calls.Count(call => call.StartsWith("AssignCounted", StringComparison.Ordinal)));
        Assert.Equal(4, Held(world));
    }

    /// <summary>Hands take an address, its pod keeps it, and EC2 chooses a /28 around it for a draw by count. Simulation, seed 435.</summary>
    [Fact]
    public async Task A_prefix_around_what_a_pod_keeps_for_long_is_ours_once_the_pod_has_ended()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { MinimumIps = 1, MaxEnis = 1 });
        var id = world.Launch();
        WriteOpenDraw(world, id, ago: TimeSpan.FromHours(1), document => document with
        {
            Interfaces = [document.Interfaces[0] with { Blocks = [new HeldBlock(new Block(Drawn))] }],
            Intents = [document.Intents[0] with { OfPrefixes = true, HeldBefore = [new Block(Drawn)] }],
        });
        world.Ec2.ByHand(vpc =>
        {
            vpc.UnassignPrivateIpAddresses(vpc.Enis.Single().Id, [Drawn.ToIPAddress()]);
            return vpc.AssignIpv4Prefixes(vpc.Enis.Single().Id, [IPNetwork.Parse("10.0.0.96/28")]);
        });
        var executor = await world.JoinAsync(id);
        Assert.Equal(Drawn, await executor.AddedAsync("pod"));
        await ForAsync(world, executor, TimeSpan.FromMinutes(30), orders => Assert.DoesNotContain(orders.Lease, one => one.Address == Beside));
        Assert.Equal(BlockStage.LostOnPod, Assert.Single(await executor.Node.LivesAsync(), life => life.Block == new Block(Drawn)).Stage);

        await executor.DeletedAsync("pod");
        await ForAsync(world, executor, TimeSpan.FromMinutes(15), _ => { });
        Assert.Contains("Unassign 10.0.0.96/28", world.Ec2.Calls); // More than the policy wants: it goes back.
        Assert.Empty(world.Ec2.ByHand(vpc => vpc.Enis.Single().Prefixes));
    }

    private static Task<NodeOrders> ForAsync(GrainWorld world, FakeExecutor executor, TimeSpan length, Action<NodeOrders> look)
    {
        var until = world.Time.GetUtcNow() + length;
        return GrainWorld.UntilAsync(executor, orders =>
        {
            look(orders);
            world.Time.Shift(TimeSpan.FromSeconds(10));
            return world.Time.GetUtcNow() >= until;
        }, "time to pass");
    }

    private static int Looks(GrainWorld world) => world.Ec2.Calls.Count(call => call.StartsWith("DescribeNetworkInterfaces i-", StringComparison.Ordinal));

    /// <summary>The document of a node whose open draw by count, and nothing else, may have brought <see cref="Drawn"/>: EC2 shows it on its interface.</summary>
    /// <param name="ago">When that address has left the same interface.</param>
    private static void WriteOpenDraw(GrainWorld world, string id, TimeSpan ago, Func<NodeDocument, NodeDocument>? but = null)
    {
        var eni = world.Ec2.ByHand(vpc =>
        {
            vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, [Drawn.ToIPAddress()], false);
            return vpc.Enis.Single();
        });
        var document = new NodeDocument
        {
            InstanceType = "m5.large", Zone = "eu-west-1a", AddressesPerInterface = 10, MaxInterfaces = 3, Change = 7, LeaseVersion = 3,
            Interfaces =
            [
                new EniDocument { EniId = eni.Id, Mac = eni.Mac, DeviceIndex = 0, NetworkCard = 0, SubnetId = "subnet-a", SubnetCidr = Cidr.Parse("10.0.0.0/24"), PrimaryAddress = Ip.From(eni.Addresses[0]), AttachmentId = eni.Attachment!.Id },
            ],
            Intents = [new Intent { Id = id + "/3.0", Kind = IntentKind.DrawCounted, EniId = eni.Id, SubnetId = "subnet-a", Count = 1, EffectUnknown = true, WasUnknown = true }],
            Departed = [new DepartedBlock(new Block(Drawn), eni.Id, world.Time.GetUtcNow() - ago)],
        };
        world.Documents.Write("node", Orleans.Runtime.GrainId.Create("node", id), JsonSerializer.Serialize(but?.Invoke(document) ?? document, DocumentJson.Options), null);
    }

    private static int Held(GrainWorld world) => world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count);
}
