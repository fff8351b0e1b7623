using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>The store was lost, or went back to an older day, while no silo ran: what a document says is not what is.</summary>
public sealed class OlderStoreTests
{
    private const int Yesterday = 3; // The lease version that the store went back to.
    private const int Today = 9; // The executor's.
    private static readonly TimeSpan LookAgain = TimeSpan.FromMinutes(5); // A node where all is known.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly Ip Used = Ip.Parse("10.0.0.201");

    /// <summary>A return and a removal of yesterday are over long ago; the address and the interface have come back since, and a pod has them.</summary>
    [Theory]
    [InlineData(IntentKind.Return)]
    [InlineData(IntentKind.RemoveInterface)]
    public async Task A_taking_of_yesterday_takes_nothing_from_a_pod_of_today(IntentKind kind)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var id = world.Launch();
        var (first, second) = world.Ec2.ByHand(vpc =>
        {
            var made = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" });
            vpc.AttachNetworkInterface(made.Id, id, 1);
            vpc.AssignPrivateIpAddresses(made.Id, [Used.ToIPAddress()], false);
            return (vpc.Enis.Single(eni => eni.Attachment is { DeviceIndex: 0 }), made);
        });
        Write(world, id, [Document(first)], new Intent
        {
            Id = id + "/1.0", Kind = kind, EniId = second.Id, SubnetId = "subnet-a", Count = 1, DeviceIndex = 1, AttachmentId = second.Attachment!.Id,
            Names = kind == IntentKind.Return ? [new Block(Used)] : [new Block(Ip.From(second.Addresses[0])), new Block(Used)],
        });

        await world.Grains.GetGrain<INodeGrain>(id).SummarizeAsync(); // The first activation of today; its executor reports some seconds later.
        await LookedAtAsync(world, id);

        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Unassign", StringComparison.Ordinal) || call.StartsWith("Detach", StringComparison.Ordinal));
        var pod = new Claim(new SandboxKey("pod", "eth0"), new PodName("default", "pod", ""), Used, second.Id, new Stamp(1, 1), 60);
        var orders = await UntilAsync(world, id, [Used], [pod], [first.Id, second.Id], orders => orders.Lease.Length > 0, "its lease to be known again");
        Assert.Equal([new LeasedAddress(Used, second.Id)], orders.Lease);
        Assert.Empty(orders.GiveUp);
        Assert.Contains(Used, Shown(world, second.Id));
    }

    /// <summary>An activation is held up between its reading the document and its reading the rows: another one draws an address meanwhile and gives it to a pod, whose ADD
    /// comes here once more. Simulation, seed 1360.</summary>
    [Fact]
    public async Task An_activation_with_rows_that_are_newer_than_its_document_ends_none_of_them()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var id = world.Launch();
        var (node, sandbox, pod) = (world.Grains.GetGrain<INodeGrain>(id), new SandboxKey("pod", "eth0"), new PodName("default", "pod", ""));
        Write(world, id, [Document(world.Ec2.ByHand(vpc => vpc.Enis.Single()))]);
        await world.Book.TryAssignAsync(new AddressRow { NodeId = id, Address = Used, Sandbox = sandbox, Pod = pod, Stamp = new Stamp(1, 5), Since = DateTimeOffset.UnixEpoch }, TestContext.Current.CancellationToken);
        await node.SummarizeAsync(); // It has read both.
        world.Documents.Touch("node", node.GetGrainId());

        Assert.IsType<AssignReply.NotYet>(await node.AssignAsync(new AssignRequest(new Stamp(1, 5), sandbox, pod, [])));

        Assert.Null(Assert.Single(await world.Book.ReadNodeAsync(id, TestContext.Current.CancellationToken)).Released);
    }

    /// <summary>Else a few changes raise the document's lease version above the executor's, and nobody sees any more that it is old.</summary>
    [Fact]
    public async Task What_has_moved_to_another_node_since_yesterday_is_not_leased_though_much_is_to_be_drawn()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var id = world.Launch();
        var first = world.Ec2.ByHand(vpc => vpc.Enis.Single());
        Write(world, id, [Document(first, new HeldBlock(new Block(Used)))]);
        world.Ec2.ByHand(vpc =>
        {
            var other = vpc.Launch(new InstanceDescription { Type = "m5.large", Subnet = "subnet-a" });
            vpc.AssignPrivateIpAddresses(vpc.EnisOf(other).Single().Id, [Used.ToIPAddress()], false);
            return other;
        });

        await world.Grains.GetGrain<INodeGrain>(id).SummarizeAsync();
        await LookedAtAsync(world, id);

        Assert.Equal(Yesterday, Stored(world, id).LeaseVersion);
        var orders = await UntilAsync(world, id, [], [], [first.Id], orders => orders.Lease.Length >= 4, "4 leased addresses", version: Yesterday + 1);
        Assert.DoesNotContain(orders.Lease, one => one.Address == Used);
    }

    /// <summary>It may be on its way out: drawn, or to be returned, by an intent that is lost.</summary>
    [Fact]
    public async Task What_EC2_shows_and_the_executor_has_not_is_returned_and_what_the_executor_has_and_EC2_does_not_show_is_asked_back()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var id = world.Launch();
        var (doubtful, warm, gone, onPod) = (Ip.Parse("10.0.0.201"), Ip.Parse("10.0.0.202"), Ip.Parse("10.0.0.203"), Ip.Parse("10.0.0.204"));
        var eni = world.Ec2.ByHand(vpc =>
        {
            vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, [doubtful.ToIPAddress(), warm.ToIPAddress()], false);
            return vpc.Enis.Single();
        });
        var pod = new Claim(new SandboxKey("pod", "eth0"), new PodName("default", "pod", ""), onPod, eni.Id, new Stamp(1, 1), 60);

        var orders = await UntilAsync(world, id, [warm, gone, onPod], [pod], [eni.Id], orders =>
        {
            Assert.DoesNotContain(orders.Lease, one => one.Address == doubtful);
            return !orders.Lease.IsEmpty;
        }, "its lease to be known again");

        Assert.Contains(gone, orders.GiveUp);
        Assert.DoesNotContain(warm, orders.GiveUp);
        Assert.True(Stored(world, id).Interfaces.Single().Blocks.Single(held => held.Block.First == gone).IsLost, "a pod could be offered it here, and it is on nobody knows which interface");
        orders = await UntilAsync(world, id, [warm, onPod], [pod], [eni.Id], orders => !orders.Lease.Any(one => one.Address == gone), "what it has given up to be forgotten");
        Assert.Contains(orders.Lease, one => one.Address == onPod);
        Assert.True(SpinWait.SpinUntil(() => !Shown(world, eni.Id).Contains(doubtful), TimeSpan.FromSeconds(20)), "the doubtful one is not returned");
        Assert.Contains(warm, Shown(world, eni.Id));
    }

    /// <summary>While EC2 cannot be read, pods start from what the node has.</summary>
    [Fact]
    public async Task Until_a_look_has_come_the_executor_is_told_to_spend_its_lease()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        world.Ec2.Fail("DescribeInstances", AwsVpcCni.Grains.Ec2.Ec2Fault.Throttled, times: 1000);
        var id = world.Launch();
        var node = world.Grains.GetGrain<INodeGrain>(id);
        await node.SyncAsync(Report([Used], [], [], 1, Today));

        var reply = await node.AssignAsync(new AssignRequest(new Stamp(2, 2), new SandboxKey("pod", "eth0"), new PodName("default", "pod", ""), []));

        var why = Assert.IsType<AssignReply.NotYet>(reply).Why;
        Assert.Equal(ReasonCode.StoreAway, why.Code);
        Assert.EndsWith(" is read from EC2 again.", why.Text, StringComparison.Ordinal);
    }

    /// <summary>Simulation, seed 81: a late duplicate of its ADD ended the row of a pod that ran.</summary>
    [Fact]
    public async Task Until_a_look_has_come_no_ADD_ends_a_row()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        world.Ec2.Fail("DescribeInstances", AwsVpcCni.Grains.Ec2.Ec2Fault.Throttled, times: 1000);
        var id = world.Launch();
        var (node, sandbox, pod, stamp) = (world.Grains.GetGrain<INodeGrain>(id), new SandboxKey("pod", "eth0"), new PodName("default", "pod", ""), new Stamp(2, 5));
        await world.Book.TryAssignAsync(new AddressRow { NodeId = id, Address = Used, Sandbox = sandbox, Pod = pod, Stamp = stamp, Since = world.Time.GetUtcNow() }, TestContext.Current.CancellationToken);
        await node.SyncAsync(Report([Used], [], [], 1, Today));

        await node.AssignAsync(new AssignRequest(stamp, sandbox, pod, []));

        Assert.Null(Assert.Single(await world.Book.ReadNodeAsync(id, TestContext.Current.CancellationToken)).Released);
    }

    /// <summary>Simulation, seed 1085: the executor's report came while the row of an offer was being written, and the grain threw.</summary>
    [Fact]
    public async Task An_offer_of_yesterdays_document_is_withdrawn_when_the_report_comes_first()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        world.Ec2.Fail("DescribeInstances", AwsVpcCni.Grains.Ec2.Ec2Fault.Throttled, times: 1000);
        var id = world.Launch();
        Write(world, id, [Document(world.Ec2.ByHand(vpc => vpc.Enis.Single()), new HeldBlock(new Block(Used)))]);
        var node = world.Grains.GetGrain<INodeGrain>(id);
        world.Book.BeforeAnswer = _ => node.SyncAsync(Report([], [], [], 1, Today));

        var reply = await node.AssignAsync(new AssignRequest(new Stamp(2, 5), new SandboxKey("pod", "eth0"), new PodName("default", "pod", ""), []));

        Assert.Equal(ReasonCode.StoreAway, Assert.IsType<AssignReply.NotYet>(reply).Why.Code);
    }

    /// <summary>Simulation, seed 148: hands took an address of an interface that was being added, another interface of the node drew it, and the return of
    /// the first one's waited for its executor to give up what it had from the second.</summary>
    [Fact]
    public async Task A_return_of_what_another_interface_of_the_node_has_by_now_is_finished()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var id = world.Launch();
        var (first, second) = world.Ec2.ByHand(vpc =>
        {
            var made = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" });
            vpc.AttachNetworkInterface(made.Id, id, 1);
            var primary = vpc.Enis.Single(eni => eni.Attachment is { DeviceIndex: 0 });
            vpc.AssignPrivateIpAddresses(primary.Id, [Used.ToIPAddress()], false);
            return (primary, made);
        });
        Write(world, id, [Document(first, new HeldBlock(new Block(Used))), Document(second, new HeldBlock(new Block(Used), Yesterday, IsLost: true))]);
        world.Ec2.Fail("UnassignPrivateIpAddresses", AwsVpcCni.Grains.Ec2.Ec2Fault.Throttled, times: 3);

        await UntilAsync(world, id, [], [], [first.Id, second.Id], _ => Stored(world, id).Intents is [{ Kind: IntentKind.Return }], "what is lost to be returned", version: Yesterday);
        var pod = new Claim(new SandboxKey("pod", "eth0"), new PodName("default", "pod", ""), Used, first.Id, new Stamp(1, 1), 60);
        await UntilAsync(world, id, [Used], [pod], [first.Id, second.Id], _ => Stored(world, id).Intents.IsEmpty, "the return to be finished", version: Yesterday, from: 1000);

        Assert.Contains(Used, Shown(world, first.Id));
    }

    private static Ip[] Shown(GrainWorld world, string eniId) => world.Ec2.ByHand(vpc =>
    {
        vpc.Advance();
        return vpc.FindEni(eniId)!.Addresses.Select(Ip.From).ToArray();
    });

    /// <summary>EC2 has been read for the node three times, 250 ms each, after all that came of the first time was told; an intent is taken up within 50.</summary>
    private static async Task LookedAtAsync(GrainWorld world, string id)
    {
        for (var began = TimeProvider.System.GetTimestamp(); world.Ec2.Calls.Count(call => call == $"DescribeInstances {id}") < 3; await Task.Delay(100, TestContext.Current.CancellationToken))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Patience, $"waited {Patience.TotalSeconds} s for EC2 to be read three times: {string.Join("; ", world.Ec2.Calls)}");
            world.Time.Shift(LookAgain);
        }
    }

    /// <summary>Reports the same each tenth of a second until the orders are as wanted.</summary>
    private static async Task<NodeOrders> UntilAsync(GrainWorld world, string id, Ip[] leased, Claim[] claims, string[] setUp, Func<NodeOrders, bool> wanted, string what, long version = Today, int from = 2)
    {
        var node = world.Grains.GetGrain<INodeGrain>(id);
        for (var number = from; ; number++)
        {
            var orders = await node.SyncAsync(Report(leased, claims, setUp, number, version));
            if (wanted(orders))
            {
                return orders;
            }

            version = Math.Max(version, orders.LeaseVersion);
            Assert.True(number < from + 200, $"waited 20 s for {what}; the grain says {orders}");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    private static NodeReport Report(Ip[] leased, Claim[] claims, string[] setUp, long number, long version) => new()
    {
        Stamp = new Stamp(2, number), SettledNumber = number, LeaseVersion = version, Leased = [.. leased], Claims = [.. claims], Waiting = [], Freed = [], Ended = [], InterfacesSetUp = [.. setUp],
    };

    private static NodeDocument Stored(GrainWorld world, string id) => JsonSerializer.Deserialize<NodeDocument>(world.Documents.Read("node", GrainId.Create("node", id)).Json!, DocumentJson.Options)!;

    private static EniDocument Document(Eni eni, params HeldBlock[] blocks) => new()
    {
        EniId = eni.Id, Mac = eni.Mac, DeviceIndex = eni.Attachment!.DeviceIndex, NetworkCard = 0, SubnetId = "subnet-a", SubnetCidr = Cidr.Parse("10.0.0.0/24"), PrimaryAddress = Ip.From(eni.Addresses[0]),
        AttachmentId = eni.Attachment.Id, Blocks = [.. blocks],
    };

    private static void Write(GrainWorld world, string id, EniDocument[] interfaces, params Intent[] intents) => world.Documents.Write("node", GrainId.Create("node", id), JsonSerializer.Serialize(new NodeDocument
    {
        InstanceType = "m5.large", Zone = "eu-west-1a", AddressesPerInterface = 10, MaxInterfaces = 3, Change = 7, LeaseVersion = Yesterday, Incarnation = 1,
        Interfaces = [.. interfaces], Intents = [.. intents],
    }, DocumentJson.Options), null);
}
