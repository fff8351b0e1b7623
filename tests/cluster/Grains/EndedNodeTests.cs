using System.Text.Json;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>An instance ends, which EC2 then shows without a VPC, while its grain has something under way.</summary>
public sealed class EndedNodeTests
{
    [Fact]
    public async Task An_interface_that_was_made_for_a_pod_of_a_node_that_has_ended_is_deleted_and_no_other_is_made()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "2 leased addresses");
        world.Ec2.Fail("Attach", Ec2Fault.Throttled); // Meanwhile the instance ends.
        executor.Waiting.AddRange(Enumerable.Range(0, 10).Select(pod => new Waiter(new SandboxKey($"pod-{pod}", "eth0"), new PodName("default", "pod", ""), executor.NextStamp(), 1)));
        await GrainWorld.UntilAsync(executor, _ => Calls(world, "Attach") > 0, "the attach");

        world.Ec2.ByHand(vpc => Terminated(vpc, id));

        await GrainWorld.UntilAsync(executor, _ => world.Ec2.ByHand(Remaining) == 0, "no interface to be left");
        await UntilAsync(world, id, stored => stored.Intents.IsEmpty, "nothing to be under way");
        var (made, looks) = (Calls(world, "Create"), Calls(world, "DescribeInstances"));
        var syncs = 0;
        await GrainWorld.UntilAsync(executor, _ => ++syncs == 10, "a second, in which the pods wait");
        Assert.Equal(made, Calls(world, "Create"));
        Assert.InRange(Calls(world, "DescribeInstances") - looks, 0, 1);
    }

    [Fact]
    public async Task What_an_earlier_activation_has_begun_for_a_node_that_has_ended_is_finished_and_then_it_is_described_no_more()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0 });
        var id = world.Launch();
        var (first, second, third) = world.Ec2.ByHand(vpc =>
        {
            var (coming, going) = (vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" }), vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" }));
            vpc.AttachNetworkInterface(going.Id, id, 2);
            return (vpc.Enis.Single(eni => eni.Attachment is { DeviceIndex: 0 }), coming, going);
        });
        var (drawn, returned) = (new Block(Ip.Parse("10.0.0.200")), new Block(Ip.Parse("10.0.0.201")));
        var document = new NodeDocument
        {
            InstanceType = "m5.large", Zone = "eu-west-1a", AddressesPerInterface = 10, MaxInterfaces = 3, Change = 7, LeaseVersion = 3,
            Interfaces =
            [
                new EniDocument { EniId = first.Id, Mac = first.Mac, DeviceIndex = 0, NetworkCard = 0, SubnetId = "subnet-a", SubnetCidr = Cidr.Parse("10.0.0.0/24"), PrimaryAddress = Ip.From(first.Addresses[0]), AttachmentId = first.Attachment!.Id },
            ],
            Intents =
            [
                new Intent { Id = id + "/1.0", Kind = IntentKind.Draw, EniId = first.Id, SubnetId = "subnet-a", Count = 1, Names = [drawn] },
                new Intent { Id = id + "/2.0", Kind = IntentKind.Return, EniId = first.Id, SubnetId = "subnet-a", Count = 1, Names = [returned] },
                new Intent { Id = id + "/3.0", Kind = IntentKind.DrawCounted, EniId = first.Id, SubnetId = "subnet-a", Count = 1 },
                new Intent { Id = id + "/4.0", Kind = IntentKind.AddInterface, EniId = second.Id, Mac = second.Mac, SubnetId = "subnet-a", Count = 0, Names = [new Block(Ip.From(second.Addresses[0]))], DeviceIndex = 1 },
                new Intent { Id = id + "/5.0", Kind = IntentKind.RemoveInterface, EniId = third.Id, SubnetId = "subnet-a", Count = 1, Names = [new Block(Ip.From(third.Addresses[0]))], DeviceIndex = 2, AttachmentId = third.Attachment!.Id },
            ],
        };
        world.Documents.Write("node", GrainId.Create("node", id), JsonSerializer.Serialize(document, DocumentJson.Options), null);
        world.Ec2.ByHand(vpc => Terminated(vpc, id));
        await Task.Delay(TimeSpan.FromSeconds(1.5), TestContext.Current.CancellationToken); // It takes a second.
        Assert.Equal(2, world.Ec2.ByHand(Remaining));

        await world.Grains.GetGrain<INodeGrain>(id).SummarizeAsync(); // The next activation.

        await UntilAsync(world, id, stored => stored.Intents.IsEmpty && world.Ec2.ByHand(Remaining) == 0, "all to be settled and no interface to be left");
        Assert.Equal(0, Calls(world, "Assign"));
        world.Time.Shift(TimeSpan.FromMinutes(1)); // What pods had has rested.
        for (var tries = 0; (await world.Grains.GetGrain<IVpcGrain>(GrainWorld.VpcId).NodesAsync()).Contains(id); tries++)
        {
            Assert.True(tries < 200, "waited 20 s for the register to forget it");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        var looks = Calls(world, "DescribeInstances");
        for (var hour = 0; hour < 5; hour++)
        {
            world.Time.Shift(TimeSpan.FromHours(1));
            await Task.Delay(200, TestContext.Current.CancellationToken);
        }

        Assert.Equal(looks, Calls(world, "DescribeInstances"));
    }

    private static int Calls(GrainWorld world, string action) => world.Ec2.Calls.Count(call => call.StartsWith(action, StringComparison.Ordinal));

    private static bool Terminated(Vpc vpc, string id)
    {
        vpc.Terminate(id);
        return true;
    }

    private static int Remaining(Vpc vpc)
    {
        vpc.Advance();
        return vpc.Enis.Count();
    }

    private static async Task UntilAsync(GrainWorld world, string id, Func<NodeDocument, bool> holds, string what)
    {
        for (var tries = 0; !holds(Stored(world, id)); tries++)
        {
            Assert.True(tries < 200, $"waited 20 s for: {what}; there are {string.Join("; ", Stored(world, id).Intents)}");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    private static NodeDocument Stored(GrainWorld world, string id) => JsonSerializer.Deserialize<NodeDocument>(world.Documents.Read("node", GrainId.Create("node", id)).Json!, DocumentJson.Options)!;
}
