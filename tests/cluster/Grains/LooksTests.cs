using System.Collections.Immutable;
using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Looks at EC2 that overtake each other. The simulation has found these.</summary>
public sealed class LooksTests
{
    /// <summary>Seed 87: a look that waits for the ledger must not put back what another one has resolved, and what has ended since.</summary>
    [Fact]
    public async Task A_look_that_is_overtaken_leaves_alone_what_the_other_one_has_resolved()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        world.Ec2.Fail("DescribeInstances", Ec2Fault.Throttled, times: 1000); // Only the looks below.
        var id = world.Launch();
        var (first, second) = world.Ec2.ByHand(vpc => (vpc.Enis.Single(), vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-b" })));
        var drawn = new Block(Ip.Parse("10.0.0.200"));
        Store(world, id, first, second, drawn);
        var subnets = await world.Ec2.DescribeSubnetsAsync(GrainWorld.VpcId, TestContext.Current.CancellationToken);
        var node = world.Grains.GetGrain<INodeGrain>(id);
        await new FakeExecutor(node) { Incarnation = 1 }.SyncAsync(); // Before that nothing of a look is used.
        for (var tries = 0; (await world.SubnetAsync()).Used == 0; tries++)
        {
            Assert.True(tries < 200, "waited 20 s for the ledger to be read");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        var (waits, released) = (new TaskCompletionSource(), new TaskCompletionSource());
        world.Documents.BeforeWrite = name =>
        {
            if (name != "subnet")
            {
                return Task.CompletedTask;
            }

            waits.TrySetResult();
            return released.Task;
        };

        var overtaken = node.DescribedAsync(View(isDrawn: true));
        await waits.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken); // The ledger writes what has been drawn.
        var other = node.DescribedAsync(View(isDrawn: false));
        await UntilAsync(world, id, stored => !IsComing(stored), "the second interface to have come");
        released.SetResult();
        await Task.WhenAll(overtaken, other);

        Assert.DoesNotContain(Stored(world, id).Intents, intent => intent.Kind == IntentKind.Draw);
        Assert.False(IsComing(Stored(world, id)), "the interface that has come is to come once more");

        static bool IsComing(NodeDocument stored) => stored.Intents.Any(intent => intent.Kind == IntentKind.AddInterface);

        InstanceView View(bool isDrawn) => new(
            new Ec2Instance(id, "m5.large", "running", "eu-west-1a", GrainWorld.VpcId, "subnet-a"), null,
            [new Ec2Interface(first.Id, "subnet-a", "eu-west-1a", first.Mac, "in-use", [Ip.From(first.Addresses[0]), .. isDrawn ? (Ip[])[drawn.First] : []],
                new Ec2Attachment(first.Attachment!.Id, id, 0, 0, "attached", true), ImmutableSortedDictionary<string, string>.Empty, [], [])],
            subnets, long.MaxValue, null);
    }

    /// <summary>Kin of the simulation's seed 162.</summary>
    [Fact]
    public async Task A_return_without_an_answer_is_sent_again_though_looks_do_not_show_yet_what_it_returns()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the interface");
        world.Ec2.ByHand(vpc => vpc.Lag = new ReadLag { DescribeMs = 600_000 }); // What is read is of before the draw.
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 3 };
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 3, "3 leased addresses");
        world.Ec2.Fail("Unassign", Ec2Fault.EffectUnknown);
        world.Settings.Pool = world.Settings.Pool with { WarmIps = 0 };

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.IsEmpty && world.Ec2.ByHand(vpc => vpc.Enis.Single().Addresses.Count) == 1, "all to be back at EC2");

        Assert.Equal(2, world.Ec2.Calls.Count(call => call.StartsWith("Unassign", StringComparison.Ordinal)));
    }

    private static NodeDocument Stored(GrainWorld world, string id) => JsonSerializer.Deserialize<NodeDocument>(world.Documents.Read("node", GrainId.Create("node", id)).Json!, DocumentJson.Options)!;

    private static async Task UntilAsync(GrainWorld world, string id, Func<NodeDocument, bool> holds, string what)
    {
        for (var tries = 0; !holds(Stored(world, id)); tries++)
        {
            Assert.True(tries < 200, $"waited 20 s for: {what}");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Of an earlier activation: a draw and an interface under way, and nobody knows how far they are. Of two subnets, so that one's
    /// ledger can be held up alone.</summary>
    private static void Store(GrainWorld world, string id, Eni first, Eni second, Block drawn)
    {
        var cidr = Cidr.Parse("10.0.0.0/24");
        var document = new NodeDocument
        {
            InstanceType = "m5.large", Zone = "eu-west-1a", AddressesPerInterface = 10, MaxInterfaces = 3, Change = 7, LeaseVersion = 3,
            Interfaces =
            [
                new EniDocument { EniId = first.Id, Mac = first.Mac, DeviceIndex = 0, NetworkCard = 0, SubnetId = "subnet-a", SubnetCidr = cidr, PrimaryAddress = Ip.From(first.Addresses[0]), AttachmentId = first.Attachment!.Id },
            ],
            Intents =
            [
                new Intent { Id = id + "/1.0", Kind = IntentKind.Draw, EniId = first.Id, SubnetId = "subnet-a", Count = 1, Names = [drawn] },
                new Intent { Id = id + "/2.0", Kind = IntentKind.AddInterface, EniId = second.Id, Mac = second.Mac, SubnetId = "subnet-b", Count = 0, Names = [new Block(Ip.From(second.Addresses[0]))], DeviceIndex = 1 },
            ],
        };
        world.Documents.Write("node", GrainId.Create("node", id), JsonSerializer.Serialize(document, DocumentJson.Options), null);
    }
}
