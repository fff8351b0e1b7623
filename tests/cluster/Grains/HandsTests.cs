using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Someone else changes what is ours: it is found by the looks of each five minutes, twice, a minute apart.</summary>
public sealed class HandsTests
{
    [Fact]
    public async Task A_taken_address_that_no_pod_has_is_replaced()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await JoinedAsync(world, 2);
        var taken = executor.Leased.First();
        world.Ec2.ByHand(vpc => Take(vpc, taken));

        await UntilAsync(world, executor, orders => orders.Lease.Length == 2 && orders.Lease.All(one => one.Address != taken), "another address");

        Assert.Equal(3, world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count));
        Assert.DoesNotContain(taken, executor.Leased);
    }

    [Fact]
    public async Task A_taken_address_that_a_pod_has_stays_its_own_until_the_pod_ends()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await JoinedAsync(world, 2);
        var taken = await executor.AddedAsync("pod");
        world.Ec2.ByHand(vpc => Take(vpc, taken));
        await UntilAsync(world, executor, orders => orders.GiveUp.Contains(taken), "it to be asked back");
        Assert.Equal(taken, Assert.Single(await world.Book.ReadNodeAsync(executor.Node.GetPrimaryKeyString(), TestContext.Current.CancellationToken), row => row.Released is null).Address);
        Assert.Equal("pod", Assert.Single(await executor.Node.LivesAsync(), life => life.Stage == BlockStage.LostOnPod).Pods.Single().Name);
        await UntilAsync(world, executor, _ => world.Metrics.Nodes.Single().Lost.Any(lost => lost.Address == taken && lost.Pod.Name == "pod"), "the silo to tell of it"); // Of which an event is made (ClusterReporterTests).
        Assert.IsType<AssignReply.Offered>(await executor.AddAsync("other"));

        await executor.DeletedAsync("pod");
        await UntilAsync(world, executor, orders => orders.Lease.All(one => one.Address != taken), "it to leave the lease");
        await UntilAsync(world, executor, _ => world.Metrics.Nodes.Single().Lost.IsEmpty, "the silo to tell of it no more");
    }

    [Fact]
    public async Task A_taken_address_that_is_put_back_is_used_again()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await JoinedAsync(world, 2);
        var taken = await executor.AddedAsync("pod");
        world.Ec2.ByHand(vpc => Take(vpc, taken));
        await UntilAsync(world, executor, orders => orders.GiveUp.Contains(taken), "it to be asked back");

        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, [taken.ToIPAddress()], false));

        await UntilAsync(world, executor, orders => !orders.GiveUp.Contains(taken) && orders.Lease.Any(one => one.Address == taken), "it to be ours again");
    }

    [Fact] // Simulation, seed 89.
    public async Task A_taken_address_that_a_counted_draw_brings_to_another_node_goes_back_at_once()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4, MaxEnis = 1 }, "10.0.0.0/28");
        var first = await JoinedAsync(world, 4);
        var taken = first.Leased.First();
        var instance = world.Launch();
        world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 3 }));
        world.Ec2.Fail("Assign", Ec2Fault.AddressTaken, times: 3);
        world.Ec2.ByHand(vpc => Take(vpc, taken));
        var second = await world.JoinAsync(instance); // EC2 has two addresses left, and this is one of them.

        await GrainWorld.UntilAsync(second, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(1)); // Not so much that the first node notices.
            Assert.DoesNotContain(orders.Lease, one => one.Address == taken);
            return world.Ec2.Calls.Any(call => call.StartsWith("Unassign", StringComparison.Ordinal)) && world.Ec2.ByHand(Held) == 2 && orders.Lease.Length == 1;
        }, "it to go back");

        Assert.Contains(world.Ec2.Calls, call => call.StartsWith("AssignCounted", StringComparison.Ordinal));
        Assert.Single(second.Leased);

        int Held(Vpc vpc) => vpc.EnisOf(vpc.FindInstance(instance)!).Single().Addresses.Count;
    }

    [Fact]
    public async Task A_taken_address_that_EC2_gives_to_a_new_instance_is_never_leased_there()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var first = await JoinedAsync(world, 2);
        var taken = await first.AddedAsync("pod");
        var instance = world.Launch();
        world.Ec2.ByHand(vpc => Take(vpc, taken));
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.EnisOf(vpc.FindInstance(instance)!).Single().Id, [taken.ToIPAddress()], false));

        var second = await world.JoinAsync(instance);
        await GrainWorld.UntilAsync(second, orders =>
        {
            Assert.DoesNotContain(taken, second.Leased);
            return orders.Lease.Length == 2 && world.Ec2.Calls.Any(call => call == $"Unassign {taken}");
        }, "other addresses, and this one to go back");
    }

    [Fact] // Simulation, seed 91: hands took it at once, and it was named for another node.
    public async Task What_a_node_takes_over_as_it_joins_its_ledger_knows_before_a_pod_can_have_it()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        world.LosesShares = true;
        var instance = world.Launch();
        var added = world.Ec2.ByHand(vpc => Ip.From(vpc.AssignPrivateIpAddresses(vpc.EnisOf(vpc.FindInstance(instance)!).Single().Id, 1).Single()));
        var executor = await world.JoinAsync(instance);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Any(one => one.Address == added), "it to be leased");

        Assert.Equal([new Block(added)], await world.Grains.GetGrain<ISubnetGrain>("subnet-a").HeldByOursAsync([new Block(added)]));
    }

    [Fact] // Simulation, seed 349: by another activation of the node, which could not store it. The ledger had it as somebody's from then on.
    public async Task What_a_node_could_not_take_over_is_nobodys_once_it_has_said_what_it_holds()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await JoinedAsync(world, 1);
        var ledger = world.Grains.GetGrain<ISubnetGrain>("subnet-a");
        Block[] added = [new(Ip.Parse("10.0.0.200")), new(Ip.Parse("10.0.0.201"))];
        var (mine, other) = (executor.Node.GetPrimaryKeyString(), "i-0123456789abcdef0");

        Assert.Empty(await ledger.TakeOverAsync(other, 7, [added[0]]));
        Assert.Equal([added[0]], await ledger.TakeOverAsync(mine, 1, [added[0]])); // Another one is about to have it.
        Assert.Empty(await ledger.TakeOverAsync(other, 7, [.. added])); // And that one may ask again.
        await ledger.ShareAsync(other, 7, new SubnetShare(0, 0, 0), [], []); // Of before.
        Assert.Equal(added, await ledger.HeldByOursAsync([.. added]));
        await ledger.ShareAsync(other, 8, new SubnetShare(0, 0, 1), [added[1].First], []);

        await GrainWorld.UntilAsync(executor, async _ => (await ledger.HeldByOursAsync([.. added])).SequenceEqual([added[1]]), "the first one to be nobody's");
        Assert.Empty(await ledger.TakeOverAsync(mine, 1, [added[0]]));
    }

    [Fact]
    public async Task What_was_ours_a_while_ago_and_hands_add_since_stays_theirs()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 3 });
        var executor = await JoinedAsync(world, 3);
        var before = executor.Leased.ToArray();
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 2 };
        await UntilAsync(world, executor, orders => orders.Lease.Length == 2 && world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count) == 3 && IsStored(), "one to be returned");
        var returned = before.Except(executor.Leased).Single();
        world.Time.Shift(TimeSpan.FromMinutes(20));
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, [returned.ToIPAddress()], false));
        var looks = Looks();

        await UntilAsync(world, executor, orders =>
        {
            Assert.DoesNotContain(orders.Lease, one => one.Address == returned);
            return Looks() >= looks + 3;
        }, "three looks");

        int Looks() => world.Ec2.Calls.Count(call => call.StartsWith("DescribeNetworkInterfaces", StringComparison.Ordinal) && call.Contains("i-", StringComparison.Ordinal));
        bool IsStored() => world.Documents.Read("node", GrainId.Create("node", executor.Node.GetPrimaryKeyString())).Json!.Contains("\"intents\":[]", StringComparison.Ordinal); // Else it ends after the shift, and is of late.
    }

    /// <summary>While the draw is repeated, hands give its name to another node of ours, and take it away there again. Simulation, seeds 705 and 973.</summary>
    [Fact]
    public async Task A_name_that_another_node_has_meanwhile_goes_back_when_the_draw_brings_it_after_all()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        world.Ec2.Fail("Assign", Ec2Fault.Throttled, times: 2);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, _ => Named(world).Length > 0, "names to be asked for");
        var named = Named(world)[0];
        await world.Grains.GetGrain<ISubnetGrain>("subnet-a").ShareAsync("i-other", 1, new SubnetShare(1, 0, 0), [named], []);

        await GrainWorld.UntilAsync(executor, orders =>
        {
            Assert.DoesNotContain(orders.Lease, one => one.Address == named);
            return orders.Lease.Length == 2 && world.Ec2.Calls.Any(call => call == $"Unassign {named}");
        }, "another address, and this one to go back");
    }

    /// <summary>Simulation, seed 1021.</summary>
    [Fact]
    public async Task A_name_that_another_node_has_by_the_time_an_interface_is_added_is_never_leased_there()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Attach", Ec2Fault.Throttled, times: 2);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.Calls.Any(call => call.StartsWith("Attach", StringComparison.Ordinal)), "an interface to be added");
        var named = world.Ec2.ByHand(vpc => Ip.From(vpc.Enis.Single(eni => eni.Attachment?.DeviceIndex != 0).Addresses[1]));
        await world.Grains.GetGrain<ISubnetGrain>("subnet-a").ShareAsync("i-other", 1, new SubnetShare(1, 0, 0), [named], []);

        await GrainWorld.UntilAsync(executor, orders =>
        {
            Assert.DoesNotContain(named, executor.Leased);
            return orders.Lease.Count(one => !orders.GiveUp.Contains(one.Address)) >= 12 && world.Ec2.Calls.Any(call => call == $"Unassign {named}");
        }, "another address, and this one to go back");
    }

    private static Ip[] Named(GrainWorld world) => [.. world.Ec2.Calls.Where(call => call.StartsWith("Assign ", StringComparison.Ordinal)).SelectMany(call => call.Split(' ', ',')[1..]).Select(Ip.Parse)];

    [Fact]
    public async Task A_detached_interface_goes_and_another_one_comes()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        var executor = await JoinedAsync(world, 12);
        var second = await AttachedAsync(world, executor);
        var taken = world.Ec2.ByHand(vpc =>
        {
            vpc.DetachNetworkInterface(second.Attachment!.Id);
            return second.Id;
        });

        await UntilAsync(world, executor, orders => orders.Lease.Length == 12 && orders.Interfaces.Length == 2 && orders.Interfaces.All(eni => eni.EniId != taken), "another interface");
        await UntilAsync(world, executor, _ => world.Ec2.ByHand(vpc => vpc.Enis.All(eni => eni.Id != taken)), "the detached one to be deleted");
    }

    [Fact]
    public async Task Detached_interfaces_with_pods_on_them_do_not_keep_a_waiting_pod_from_a_new_one()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { MinimumIps = 42 });
        var id = world.Launch("m5.xlarge"); // 4 interfaces x (15 - 1).
        var theirs = world.Ec2.ByHand(vpc => (Eni[])[.. new[] { 1, 2 }.Select(device =>
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" });
            vpc.AttachNetworkInterface(eni.Id, id, device);
            return eni;
        })]);
        await Task.Delay(TimeSpan.FromSeconds(1.2), TestContext.Current.CancellationToken);
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 42, Interfaces.Length: 3 }, "three full interfaces");
        await executor.SyncAsync();
        for (var pod = 0; pod < 42; pod++)
        {
            await executor.AddedAsync($"pod-{pod}");
        }

        executor.SetsUp = order => theirs.All(eni => eni.Id != order.EniId);
        world.Ec2.ByHand(vpc =>
        {
            vpc.Advance();
            Array.ForEach(theirs, eni => vpc.DetachNetworkInterface(eni.Attachment!.Id));
            return true;
        });
        await UntilAsync(world, executor, orders => orders.GiveUp.Length == 28, "their addresses to be asked back");
        executor.Waiting.Add(new Waiter(new SandboxKey("waits", "eth0"), new PodName("default", "waits", ""), executor.NextStamp(), 0));

        await UntilAsync(world, executor, orders => orders.Interfaces.Any(eni => eni.DeviceIndex == 3), "a new interface");
    }

    [Fact]
    public async Task Where_somebody_else_provisions_what_is_there_is_taken_in_and_nothing_is_called()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Provisions = false });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the node to join");
        var (first, second) = world.Ec2.ByHand(vpc =>
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 5 });
            vpc.AttachNetworkInterface(eni.Id, id, 1);
            var primary = vpc.EnisOf(vpc.FindInstance(id)!).Single(one => one.Attachment!.DeviceIndex == 0);
            vpc.AssignPrivateIpAddresses(primary.Id, 2);
            return (primary, eni);
        });

        await UntilAsync(world, executor, orders => orders is { Lease.Length: 7, Interfaces.Length: 2 }, "what the other one has given");
        var pod = await executor.AddedAsync("pod");
        world.Ec2.ByHand(vpc => Take(vpc, Ip.From(first.Addresses[^1])));
        await UntilAsync(world, executor, orders => orders is { Lease.Length: 6, Interfaces.Length: 2 }, "what the other one takes to go");
        world.Ec2.ByHand(vpc =>
        {
            vpc.DetachNetworkInterface(second.Attachment!.Id);
            return true;
        });
        if (second.Addresses.Contains(pod.ToIPAddress()))
        {
            await executor.DeletedAsync("pod");
        }

        await UntilAsync(world, executor, orders => orders is { Lease.Length: 1, Interfaces.Length: 1 }, "the interface that the other one takes to go");

        Assert.Equal(6, world.Ec2.ByHand(_ => second.Addresses.Count));
        Assert.DoesNotContain(world.Ec2.Calls, call => !call.StartsWith("Describe", StringComparison.Ordinal) && !call.StartsWith("Get", StringComparison.Ordinal));
    }

    [Fact] // EC2 keeps the intent's id as a token. Simulation, seed 1703.
    public async Task Where_somebody_else_provisions_an_interface_that_a_store_of_before_says_is_not_made_yet_is_not_made_again()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Provisions = false, WarmIps = 3 });
        var id = world.Launch();
        var (primary, made) = world.Ec2.ByHand(vpc =>
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 3 });
            (eni.Tags[NodeGrain.ClusterTag], eni.Tags[NodeGrain.NodeTag], eni.Tags[NodeGrain.IntentTag]) = ("test", id, id + "/5.0");
            vpc.AttachNetworkInterface(eni.Id, id, 1);
            return (vpc.EnisOf(vpc.FindInstance(id)!).Single(one => one.Attachment!.DeviceIndex == 0), eni);
        });
        var document = new NodeDocument
        {
            InstanceType = "m5.large", Zone = "eu-west-1a", AddressesPerInterface = 10, MaxInterfaces = 3, Change = 7, LeaseVersion = 3,
            Interfaces =
            [
                new EniDocument { EniId = primary.Id, Mac = primary.Mac, DeviceIndex = 0, NetworkCard = 0, SubnetId = "subnet-a", SubnetCidr = Cidr.Parse("10.0.0.0/24"), PrimaryAddress = Ip.From(primary.Addresses[0]), AttachmentId = primary.Attachment!.Id },
            ],
            Intents = [new Intent { Id = id + "/5.0", Kind = IntentKind.AddInterface, EniId = "", SubnetId = "subnet-a", Count = 3, DeviceIndex = 1 }],
        };
        world.Documents.Write("node", GrainId.Create("node", id), JsonSerializer.Serialize(document, DocumentJson.Options), null);
        var executor = await world.JoinAsync(id);
        await UntilAsync(world, executor, orders => orders is { Lease.Length: 3, Interfaces.Length: 2 }, "what there is");

        world.Settings.Pool = new PoolPolicy { WarmIps = 12 }; // More than one interface has room for.
        await UntilAsync(world, executor, orders => orders.Lease.Length == 12, "more addresses");
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Create", StringComparison.Ordinal));
        Assert.Equal([primary.Id, made.Id], (await executor.SyncAsync()).Interfaces.Select(eni => eni.EniId));
    }

    [Fact]
    public async Task Where_somebody_else_provisions_an_address_that_is_moved_to_another_node_serves_there_once_the_first_has_let_go()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Provisions = false });
        var (from, to) = (world.Launch(), world.Launch());
        var (first, second) = (await world.JoinAsync(from), await world.JoinAsync(to));
        await GrainWorld.UntilAsync(first, orders => orders.Interfaces.Length == 1, "the first node to join");
        await GrainWorld.UntilAsync(second, orders => orders.Interfaces.Length == 1, "the second node to join");
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(PrimaryOf(vpc, from).Id, 1));
        var moved = (await UntilAsync(world, first, orders => orders.Lease.Length == 1, "what is given")).Lease.Single().Address;
        await first.SyncAsync();
        world.Ec2.ByHand(vpc => Take(vpc, moved));
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(PrimaryOf(vpc, to).Id, [moved.ToIPAddress()], false));

        await GrainWorld.UntilAsync(second, async _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(10));
            await first.SyncAsync();
            Assert.False(first.Leased.Contains(moved) && second.Leased.Contains(moved));
            return second.Leased.Contains(moved);
        }, "it to be leased on the second node");

        static Eni PrimaryOf(Vpc vpc, string id) => vpc.EnisOf(vpc.FindInstance(id)!).Single();
    }

    /// <summary>Simulation, seed 397: what it did not bring along was nobody's once provisioning was on again.</summary>
    [Fact]
    public async Task Where_somebody_else_provisions_an_interface_with_an_address_that_a_pod_still_has_of_another_one_is_taken_in_whole_once_it_has_ended()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Provisions = false });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the node to join");
        world.Ec2.ByHand(vpc => vpc.AssignPrivateIpAddresses(vpc.EnisOf(vpc.FindInstance(id)!).Single().Id, 1));
        await UntilAsync(world, executor, orders => orders.Lease.Length == 1, "what is given");
        var moved = await executor.AddedAsync("pod");
        world.Ec2.ByHand(vpc => Take(vpc, moved));
        var second = world.Ec2.ByHand(vpc =>
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 1 });
            vpc.AssignPrivateIpAddresses(eni.Id, [moved.ToIPAddress()], false);
            vpc.AttachNetworkInterface(eni.Id, id, 1);
            return eni;
        });

        await UntilAsync(world, executor, orders => orders.GiveUp.Contains(moved), "what is taken to be noticed");
        Assert.Single((await LookedAsync(world, executor)).Interfaces);
        await executor.DeletedAsync("pod");

        var orders = await UntilAsync(world, executor, orders => orders.Interfaces.Length == 2, "the interface to be taken in");
        Assert.Equal(second.Addresses.Skip(1).Select(Ip.From).Order(), orders.Lease.Where(one => one.EniId == second.Id).Select(one => one.Address).Order());
    }

    [Fact]
    public async Task What_is_being_asked_back_when_provisioning_is_turned_off_serves_again()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await JoinedAsync(world, 2);
        world.Settings.Pool = new PoolPolicy { WarmIps = 0 };
        while ((await executor.SyncAsync(giveUp: false)).GiveUp.Length < 2)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TestContext.Current.CancellationToken);
        }

        world.Settings.Pool = new PoolPolicy { Provisions = false };
        await executor.SyncAsync();
        Assert.Empty(executor.Leased);

        await GrainWorld.UntilAsync(executor, _ => executor.Leased.Count == 2, "both to be leased again");
        Assert.IsType<AssignReply.Offered>(await executor.AddAsync("pod"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_interface_that_is_told_to_be_ours_no_longer_is_left_as_it_is_once_no_pod_is_on_it(bool byTag)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { MinimumIps = 11, MaxEnis = 2 });
        var (id, theirs) = await WithTheirsAsync(world);
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: >= 11, Interfaces.Length: 2 }, "it to be taken over");
        await executor.SyncAsync(); // It has been set up.
        var pods = new List<Ip>();
        while (!pods.Any(ip => theirs.Addresses.Contains(ip.ToIPAddress())))
        {
            pods.Add(await executor.AddedAsync($"pod-{pods.Count}"));
        }

        if (byTag)
        {
            world.Ec2.ByHand(_ => theirs.Tags["node.k8s.amazonaws.com/no_manage"] = "true");
        }
        else
        {
            world.Settings.Pool = world.Settings.Pool with { ManageUntagged = false };
        }

        await UntilAsync(world, executor, orders => orders.GiveUp.Length == 5 && !executor.Leased.Any(ip => theirs.Addresses.Contains(ip.ToIPAddress()) && !pods.Contains(ip)), "its free addresses to be given up");
        Assert.Contains((await executor.SyncAsync()).Interfaces, eni => eni.EniId == theirs.Id); // With the pod's routes.
        var last = pods.Count - 1;
        await executor.DeletedAsync($"pod-{last}");
        await UntilAsync(world, executor, orders => orders.Interfaces.Length == 1, "the interface to go");

        await LookedAsync(world, executor);
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Create", StringComparison.Ordinal)); // It keeps its place.
        Assert.Equal(6, world.Ec2.ByHand(_ => theirs.Addresses.Count));
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Un", StringComparison.Ordinal) || call.StartsWith("Det", StringComparison.Ordinal) || call.StartsWith("Del", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_interface_that_we_have_made_and_hands_detach_is_deleted_once_provisioning_is_on_again()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        var executor = await JoinedAsync(world, 12);
        var second = await AttachedAsync(world, executor);
        world.Settings.Pool = world.Settings.Pool with { Provisions = false };
        world.Ec2.ByHand(vpc =>
        {
            vpc.DetachNetworkInterface(second.Attachment!.Id);
            return true;
        });
        await UntilAsync(world, executor, orders => orders.GiveUp.Length == 3, "its addresses to be asked back");
        var syncs = 0;
        await UntilAsync(world, executor, orders => orders.Interfaces.Length == 2 && ++syncs == 10, "it to stay on record");
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Delete", StringComparison.Ordinal));

        world.Settings.Pool = world.Settings.Pool with { Provisions = true };
        await UntilAsync(world, executor, _ => world.Ec2.ByHand(vpc => vpc.Enis.All(eni => eni.Id != second.Id)), "it to be deleted");
    }

    [Fact]
    public async Task One_look_without_tags_makes_nobody_elses_of_what_we_have_made()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12, ManageUntagged = false });
        var executor = await JoinedAsync(world, 12);
        var second = await AttachedAsync(world, executor);
        var tags = second.Tags.ToArray();
        world.Ec2.ByHand(_ => { second.Tags.Clear(); return true; });
        await LookedAsync(world, executor);
        world.Ec2.ByHand(_ => { Array.ForEach(tags, tag => second.Tags.Add(tag.Key, tag.Value)); return true; });

        for (var looks = 0; looks < 2; looks++)
        {
            Assert.Empty((await LookedAsync(world, executor)).GiveUp);
        }

        world.Ec2.ByHand(vpc =>
        {
            vpc.DetachNetworkInterface(second.Attachment!.Id);
            return true;
        });
        await UntilAsync(world, executor, _ => world.Ec2.ByHand(vpc => vpc.Enis.All(eni => eni.Id != second.Id)), "it to be deleted, being ours");
    }

    [Fact]
    public async Task A_draw_for_an_interface_that_is_ours_no_longer_is_given_up()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 14, MaxEnis = 2 });
        var (id, theirs) = await WithTheirsAsync(world);
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 14, Interfaces.Length: 2 }, "it to be taken over, and nine on the node's own");
        await executor.SyncAsync();
        world.Ec2.Fail("Assign", Ec2Fault.NotAuthorized, times: 1000);
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 16 };
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.Calls.Count(call => call.StartsWith("Assign", StringComparison.Ordinal)) > 1, "two more to be refused");

        world.Ec2.ByHand(_ => theirs.Tags["node.k8s.amazonaws.com/no_manage"] = "true");

        await UntilAsync(world, executor, orders => orders.Interfaces.Length == 1, "it to be let go");
        Assert.Equal(6, theirs.Addresses.Count);
    }

    [Fact]
    public async Task What_comes_to_an_interface_that_was_lost_meanwhile_is_leased_to_nobody()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 14, MaxEnis = 2 });
        var (id, theirs) = await WithTheirsAsync(world);
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 14, Interfaces.Length: 2 }, "it to be taken over, and nine on the node's own");
        await executor.SyncAsync();
        var held = new TaskCompletionSource();
        world.Ec2.AssignsHeld = held.Task;
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 16 };
        await GrainWorld.UntilAsync(executor, _ => theirs.Addresses.Count == 8, "two more to come");

        world.Ec2.ByHand(_ => theirs.Tags["node.k8s.amazonaws.com/no_manage"] = "true");
        await UntilAsync(world, executor, orders => orders.GiveUp.Length == 5, "it to be lost");
        held.SetResult();

        await UntilAsync(world, executor, orders =>
        {
            Assert.DoesNotContain(orders.Lease, one => theirs.Addresses.Contains(one.Address.ToIPAddress()) && !orders.GiveUp.Contains(one.Address));
            return orders.Interfaces.All(eni => eni.EniId != theirs.Id);
        }, "it to be let go");
    }

    [Fact] // A mutation's seed 20: the lost interface goes as a whole, which waits for its last pod.
    public async Task A_loose_interface_of_ours_goes_though_its_address_was_on_one_that_is_lost_and_still_has_a_pod()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 14, MaxEnis = 2 });
        var (id, theirs) = await WithTheirsAsync(world);
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 14, Interfaces.Length: 2 }, "it to be taken over, and nine on the node's own");
        await executor.SyncAsync();
        bool IsTheirs(Ip address) => world.Ec2.ByHand(_ => theirs.Addresses.Contains(address.ToIPAddress()));
        for (var pod = 0; !executor.Claims.Keys.Any(IsTheirs); pod++)
        {
            await executor.AddedAsync($"p{pod}");
        }

        var moved = executor.Leased.First(address => IsTheirs(address) && !executor.Claims.ContainsKey(address));
        world.Ec2.ByHand(_ => theirs.Tags["node.k8s.amazonaws.com/no_manage"] = "true");
        await UntilAsync(world, executor, orders => orders.GiveUp.Contains(moved) && !executor.Leased.Contains(moved), "it to be lost");
        var loose = world.Ec2.ByHand(vpc =>
        {
            Take(vpc, moved);
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", Primary = moved.ToIPAddress() });
            (eni.Tags[NodeGrain.ClusterTag], eni.Tags[NodeGrain.NodeTag], eni.Tags[NodeGrain.IntentTag]) = ("test", id, id + "/hands");
            return eni.Id;
        });
        var shown = (await world.Ec2.DescribeInterfacesAsync(new Ec2InterfaceQuery { VpcId = GrainWorld.VpcId }, null, TestContext.Current.CancellationToken)).Interfaces.Single(eni => eni.EniId == loose);
        executor.Leased.Add(moved); // As if it had not consented yet.
        await executor.SyncAsync(giveUp: false);
        await executor.Node.LeakedAsync(shown);
        await Task.Delay(5 * world.Settings.Timing.WorkPeriod, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.DoesNotContain($"Delete {loose}", world.Ec2.Calls);
        executor.Leased.Remove(moved);
        await executor.SyncAsync();
        await executor.Node.LeakedAsync(shown);

        await UntilAsync(world, executor, _ => world.Ec2.Calls.Contains($"Delete {loose}"), "it to be deleted");
        Assert.Contains(executor.Claims.Keys, IsTheirs);
    }

    [Fact]
    public async Task An_interface_that_we_have_not_made_and_that_is_moved_to_another_instance_is_left_alone_there()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 14, MaxEnis = 2 });
        var ((id, moved), elsewhere) = (await WithTheirsAsync(world), world.Launch());
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders is { Lease.Length: 14, Interfaces.Length: 2 }, "it to be taken over, and nine on the node's own");
        world.Ec2.ByHand(vpc =>
        {
            vpc.Advance();
            vpc.DetachNetworkInterface(moved.Attachment!.Id);
            return true;
        });
        await Task.Delay(TimeSpan.FromSeconds(1.2), TestContext.Current.CancellationToken);
        world.Ec2.ByHand(vpc => vpc.AttachNetworkInterface(moved.Id, elsewhere, 1));

        await UntilAsync(world, executor, orders => orders is { Lease.Length: 14, Interfaces.Length: 2 } && orders.Interfaces.All(eni => eni.EniId != moved.Id), "another five on one of ours, at its place");

        Assert.Equal(6, world.Ec2.ByHand(_ => moved.Addresses.Count));
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Unassign", StringComparison.Ordinal) || call.StartsWith("De", StringComparison.Ordinal) && !call.StartsWith("Describe", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_interface_that_someone_else_attaches_takes_a_place()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await JoinedAsync(world, 2);
        world.Ec2.ByHand(vpc => vpc.AttachNetworkInterface(
            vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" }).Id, executor.Node.GetPrimaryKeyString(), 1, 0).Id);

        await GrainWorld.UntilAsync(executor, async _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(10));
            return (await executor.Node.SummarizeAsync()).Capacity == 18;
        }, "2 of 3 interfaces to be left for pods");
    }

    private static bool Take(Vpc vpc, Ip address)
    {
        vpc.UnassignPrivateIpAddresses(vpc.Enis.Single(eni => eni.Addresses.Contains(address.ToIPAddress())).Id, [address.ToIPAddress()]);
        return true;
    }

    private static async Task<FakeExecutor> JoinedAsync(GrainWorld world, int addresses)
    {
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == addresses, $"{addresses} addresses");
        await executor.SyncAsync(); // Reports the interfaces as set up.
        return executor;
    }

    /// <summary>The second interface, once it is attached.</summary>
    private static async Task<Eni> AttachedAsync(GrainWorld world, FakeExecutor executor)
    {
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.ByHand(vpc =>
        {
            vpc.Advance();
            return vpc.Enis.All(eni => eni.Attachment is { Status: AttachmentStatus.Attached });
        }), "the second interface to be attached");
        return world.Ec2.ByHand(vpc => vpc.Enis.Single(eni => eni.Attachment is { DeviceIndex: 1 }));
    }

    /// <summary>An instance with an interface that hands have made, with five addresses for pods.</summary>
    private static async Task<(string Id, Eni Theirs)> WithTheirsAsync(GrainWorld world)
    {
        var id = world.Launch();
        var theirs = world.Ec2.ByHand(vpc =>
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 5 });
            vpc.AttachNetworkInterface(eni.Id, id, 1);
            return eni;
        });
        await Task.Delay(TimeSpan.FromSeconds(1.2), TestContext.Current.CancellationToken); // Attaching takes a second.
        return (id, theirs);
    }

    /// <summary>When the next look of each five minutes has been taken in.</summary>
    private static async Task<NodeOrders> LookedAsync(GrainWorld world, FakeExecutor executor)
    {
        int Looks() => world.Ec2.Calls.Count(call => call.StartsWith("DescribeNetworkInterfaces", StringComparison.Ordinal) && call.Contains("i-", StringComparison.Ordinal));
        var (before, after) = (Looks(), 0);
        world.Time.Shift(TimeSpan.FromMinutes(6));
        return await GrainWorld.UntilAsync(executor, _ => Looks() > before && ++after == 5, "a look");
    }

    private static Task<NodeOrders> UntilAsync(GrainWorld world, FakeExecutor executor, Func<NodeOrders, bool> wanted, string what) => GrainWorld.UntilAsync(executor, orders =>
    {
        world.Ec2.ByHand(vpc =>
        {
            vpc.Advance(); // Detaching takes seconds.
            return true;
        });
        world.Time.Shift(TimeSpan.FromSeconds(10)); // Two looks, a minute apart; and what was on a pod rests.
        return wanted(orders);
    }, what);
}
