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
        var gone = new Block(Ip.Parse("10.0.0.200"));
        Store(world, id, first, second, gone);
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

        var overtaken = node.DescribedAsync(View(returned: true));
        await waits.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken); // The ledger writes what has been returned.
        var other = node.DescribedAsync(View(returned: false));
        await UntilAsync(world, id, stored => !IsComing(stored), "the second interface to have come");
        released.SetResult();
        await Task.WhenAll(overtaken, other);

        await UntilAsync(world, id, stored => !stored.Intents.Any(intent => intent.Kind == IntentKind.Return), "the return to be settled");
        Assert.False(IsComing(Stored(world, id)), "the interface that has come is to come once more");

        static bool IsComing(NodeDocument stored) => stored.Intents.Any(intent => intent.Kind == IntentKind.AddInterface);

        InstanceView View(bool returned) => new(
            new Ec2Instance(id, "m5.large", "running", "eu-west-1a", GrainWorld.VpcId, "subnet-a"), null,
            [new Ec2Interface(first.Id, "subnet-a", "eu-west-1a", first.Mac, "in-use", [Ip.From(first.Addresses[0]), .. returned ? (Ip[])[] : [gone.First]],
                new Ec2Attachment(first.Attachment!.Id, id, 0, 0, "attached", true), ImmutableSortedDictionary<string, string>.Empty, [], [])],
            subnets, long.MaxValue, null);
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

    /// <summary>Of an earlier activation: a return and an interface under way, and nobody knows how far they are. Of two subnets, so that one's
    /// ledger can be held up alone.</summary>
    private static void Store(GrainWorld world, string id, Eni first, Eni second, Block gone)
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
                new Intent { Id = id + "/1.0", Kind = IntentKind.Return, EniId = first.Id, SubnetId = "subnet-a", Count = 1, Names = [gone] },
                new Intent { Id = id + "/2.0", Kind = IntentKind.AddInterface, EniId = second.Id, Mac = second.Mac, SubnetId = "subnet-b", Count = 0, Names = [new Block(Ip.From(second.Addresses[0]))], DeviceIndex = 1 },
            ],
        };
        world.Documents.Write("node", GrainId.Create("node", id), JsonSerializer.Serialize(document, DocumentJson.Options), null);
    }
}
