using System.Text.Json;
using System.Text.Json.Nodes;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Documents that a newer silo has written: grains of this build serve from them and leave in them what they do not know (ADR 0011).</summary>
public sealed class NewerDocumentTests
{
    private static readonly PoolPolicy Four = new() { WarmIps = 4 };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_node_goes_on_from_a_newer_document_and_what_is_new_in_it_stays()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var id = world.Launch();
        var held = world.Ec2.ByHand(vpc => new Block(Ip.From(vpc.AssignPrivateIpAddresses(vpc.Enis.Single().Id, 1)[0])));
        Write(world, id, document =>
        {
            document["next"] = 1;
            document["interfaces"]![0]!["next"] = 2;
            document["interfaces"]![0]!["addresses"]![0]!["next"] = 3;
            document["departed"]![0]!["next"] = 4;
            document["intents"] = new JsonArray(Probe(document["interfaces"]![0]!));
        }, held);
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");
        var reply = await executor.AddAsync("pod");
        await Task.Delay(500, Token); // Ten work periods.

        Assert.IsType<AssignReply.Offered>(reply);
        var stored = JsonNode.Parse(world.Documents.Read("node", GrainId.Create("node", id)).Json!)!;
        Assert.Equal(1, (int)stored["next"]!);
        Assert.Equal(2, (int)stored["interfaces"]![0]!["next"]!);
        Assert.Equal(3, (int)stored["interfaces"]![0]!["addresses"]!.AsArray().Single(one => one!["address"]!.ToJsonString() == JsonSerializer.Serialize(held, DocumentJson.Options))!["next"]!);
        Assert.Equal(4, (int)stored["departed"]![0]!["next"]!);
        Assert.True(JsonNode.DeepEquals(Probe(stored["interfaces"]![0]!), Without(stored["intents"]!.AsArray().Single()!, "ofPrefixes", "names", "heldBefore", "tags", "groups", "deviceIndex", "mac", "attachmentId", "wasUnknown", "wasLoose")), stored["intents"]!.ToJsonString());
    }

    /// <summary>What the newer silo has begun is of interfaces that are there, and takes no further place.</summary>
    [Fact]
    public async Task A_node_beside_what_a_newer_silo_has_begun_fills_all_of_its_interfaces_and_says_when_it_is_full()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { MinimumIps = 18, MaxEnis = 2 });
        var id = world.Launch();
        Write(world, id, document => document["intents"] = new JsonArray(Probe(document["interfaces"]![0]!), Probe(document["interfaces"]![0]!, "another-of-a-newer-silo")));
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 18, "2 interfaces with 9 addresses each");
        await executor.SyncAsync(); // Both have been set up.
        for (var pod = 0; pod < 18; pod++)
        {
            await executor.AddedAsync($"pod-{pod}");
        }

        Assert.Equal(ReasonCode.NodeFull, Assert.IsType<AssignReply.Never>(await executor.AddAsync("one-more")).Why.Code);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_interface_on_which_a_newer_silo_has_begun_something_is_not_removed(bool hasBegun)
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var id = world.Launch();
        var second = world.Ec2.ByHand(vpc =>
        {
            var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a" }).Id;
            vpc.AttachNetworkInterface(eni, id, 1);
            return eni;
        });
        Write(world, id, document => document["intents"] = hasBegun ? new JsonArray(Probe(document["interfaces"]![1]!)) : []);
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");

        for (var tries = 0; tries < (hasBegun ? 20 : 200) && IsThere(); tries++)
        {
            await executor.SyncAsync();
            await Task.Delay(100, Token);
        }

        Assert.Equal(hasBegun, IsThere());

        bool IsThere() => world.Ec2.ByHand(vpc => vpc.Enis.Any(eni => eni.Id == second));
    }

    [Fact]
    public async Task The_budget_goes_on_beside_the_bucket_of_an_action_that_only_a_newer_silo_calls()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var at = GrainId.Create("ec2quota", world.Settings.QuotaKey);
        world.Documents.Write("quota", at, """{"schema":1,"buckets":{"AssignIpv6Addresses":{"level":1,"at":"2026-11-29T00:00:00+00:00","next":5},"DescribeSubnets":{"level":40,"at":"2026-11-29T00:00:00+00:00"}}}""", null);

        Assert.Equal(TimeSpan.Zero, await world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey).TakeAsync(Ec2Action.AssignPrivateIpAddresses, CallPriority.PodWaiting));

        var stored = JsonNode.Parse(world.Documents.Read("quota", at).Json!)!["buckets"]!;
        Assert.Equal(5, (int)stored["AssignIpv6Addresses"]!["next"]!);
        Assert.NotNull(stored[nameof(Ec2Action.AssignPrivateIpAddresses)]);
    }

    private static JsonObject Probe(JsonNode eni, string id = "of-a-newer-silo") => new()
    {
        ["id"] = id, ["kind"] = "Probe", ["eniId"] = (string)eni["eniId"]!, ["subnetId"] = "subnet-a", ["count"] = 0, ["effectUnknown"] = true, ["next"] = "x",
    };

    private static JsonNode Without(JsonNode node, params string[] names)
    {
        foreach (var name in names)
        {
            node.AsObject().Remove(name);
        }

        return node;
    }

    private static void Write(GrainWorld world, string id, Action<JsonNode> newer, params Block[] held)
    {
        var document = JsonSerializer.SerializeToNode(new NodeDocument
        {
            InstanceType = "m5.large", Zone = "eu-west-1a", AddressesPerInterface = 10, MaxInterfaces = 3, Change = 7, LeaseVersion = 3,
            Interfaces = [.. world.Ec2.ByHand(vpc => vpc.Enis.OrderBy(eni => eni.Attachment!.DeviceIndex).ToArray()).Select(eni => Document(eni, eni.Attachment!.DeviceIndex == 0 ? held : []))],
            Departed = [new DepartedBlock(new Block(Ip.Parse("10.0.0.222")), "eni-other", world.Time.GetUtcNow())],
        }, DocumentJson.Options)!;
        newer(document);
        world.Documents.Write("node", GrainId.Create("node", id), document.ToJsonString(), null);
    }

    private static EniDocument Document(Eni eni, Block[] held) => new()
    {
        EniId = eni.Id, Mac = eni.Mac, DeviceIndex = eni.Attachment!.DeviceIndex, NetworkCard = 0, SubnetId = "subnet-a", SubnetCidr = Cidr.Parse("10.0.0.0/24"), PrimaryAddress = Ip.From(eni.Addresses[0]),
        AttachmentId = eni.Attachment.Id, IsMade = true, Blocks = [.. held.Select(block => new HeldBlock(block))],
    };
}
