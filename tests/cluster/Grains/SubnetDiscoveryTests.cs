using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;
using Refusal = AwsVpcCni.Grains.Ec2.Ec2Exception;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Rows 28 to 31 of the reference's acceptance list (vpc-cni.md section 10): tags of subnets offer and exclude them. The node's own is subnet-a, a /24 with
/// less free than subnet-b, another of the zone.</summary>
public sealed class SubnetDiscoveryTests
{
    private const string Role = "kubernetes.io/role/cni";
    private const string ClusterTag = "cni.networking.k8s.aws/cluster/";
    private static readonly Timing Patient = GrainWorld.Brisk with { ReadingTakes = TimeSpan.FromMinutes(10) }; // A loaded machine reads late.
    private static readonly PoolPolicy TwoInterfaces = new() { WarmIps = 12 }; // An m5.large has room for nine on each.

    [Theory]
    [InlineData("28: tagged and with more free", $"{Role}=1", true, "subnet-b")]
    [InlineData("28: another tag", "kubernetes.io/role/other=1", true, "subnet-a")]
    [InlineData("28: discovery is off", $"{Role}=1", false, "subnet-a")]
    [InlineData("31: not tagged", "", true, "subnet-a")]
    [InlineData("31: the older cluster tag says nothing", $"{Role}=1 kubernetes.io/cluster/another=owned", true, "subnet-b")]
    [InlineData("31: another cluster's", $"{Role}=1 {ClusterTag}another=shared", true, "subnet-a")]
    [InlineData("31: ours", $"{Role}=1 {ClusterTag}test=shared", true, "subnet-b")]
    public async Task A_new_interface_is_where_the_tags_say(string row, string tags, bool discovers, string subnet)
    {
        await using var world = await GrainWorld.StartAsync(TwoInterfaces with { Discovers = discovers }, timing: Patient);
        Tag(world, "subnet-b", tags);
        Reread(world);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 12, $"12 addresses ({row})");

        Assert.Equal(subnet, SubnetOf(world, device: 1));
    }

    /// <summary>As in a cluster that has just begun: what a ledger does not know yet is not nothing.</summary>
    [Fact]
    public async Task A_new_interface_waits_for_the_subnets_that_are_being_read()
    {
        await using var world = await GrainWorld.StartAsync(TwoInterfaces, timing: Patient);
        Tag(world, "subnet-b", $"{Role}=1");
        Refuse(world, "subnet-b");
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 9, "what its first interface has room for");
        await Task.Delay(10 * world.Settings.Timing.WorkPeriod, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Create", StringComparison.Ordinal));

        world.Ec2.BeforeListing = null;

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 12, "12 addresses");
        Assert.Equal("subnet-b", SubnetOf(world, device: 1));
    }

    [Fact]
    public async Task A_subnet_that_cannot_be_read_is_not_waited_for_long()
    {
        await using var world = await GrainWorld.StartAsync(TwoInterfaces, timing: GrainWorld.Brisk with { ReadingTakes = TimeSpan.FromMilliseconds(500) });
        Tag(world, "subnet-b", $"{Role}=1");
        Refuse(world, "subnet-b");
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 12, "12 addresses");

        Assert.Equal("subnet-a", SubnetOf(world, device: 1));
    }

    [Fact]
    public async Task A_subnet_tagged_for_another_cluster_without_the_role_tag_is_still_its_nodes()
    {
        await using var world = await GrainWorld.StartAsync(TwoInterfaces, timing: Patient);
        Tag(world, "subnet-a", $"{ClusterTag}another=shared");
        Reread(world);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 12, "12 addresses");

        Assert.Equal("subnet-a", SubnetOf(world, device: 1));
    }

    [Fact]
    public async Task By_prefixes_it_is_where_most_blocks_are_whole()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Prefixes = true, WarmPrefixes = 9 });
        Tag(world, "subnet-b", $"{Role}=1");
        Hold("subnet-a", "10.0.0.4", 13); // And one block of it is broken: of 14, the first interface takes nine, so that four are left, and some 93 addresses.
        Hold("subnet-b", "10.0.16.4", 156);
        Hold("subnet-b", "10.0.16.240", 15); // Five blocks are whole, and 80 addresses are free.
        Reread(world);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 144, "nine prefixes");
        world.Settings.Pool = world.Settings.Pool with { WarmPrefixes = 10 };
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 160, "ten prefixes");

        Assert.Equal("subnet-b", SubnetOf(world, device: 1));

        void Hold(string subnet, string first, int count) => world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni
        {
            SubnetId = subnet, Primary = Ip.Parse(first).ToIPAddress(), Secondary = [.. Enumerable.Range(1, count - 1).Select(n => (Ip.Parse(first) + n).ToIPAddress())],
        }));
    }

    [Fact]
    public async Task DescribeSubnets_denied_leaves_what_was_read_last()
    {
        await using var world = await GrainWorld.StartAsync(TwoInterfaces, timing: Patient);
        Tag(world, "subnet-b", $"{Role}=1");
        Reread(world);
        var first = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(first, orders => orders.Lease.Length == 12, "12 addresses");
        Assert.Equal("subnet-b", SubnetOf(world, device: 1));
        world.Ec2.Fail("DescribeSubnets", Ec2Fault.NotAuthorized, times: 10_000);
        Tag(world, "subnet-b", $"{Role}=0");
        world.Time.Shift(TimeSpan.FromMinutes(2));

        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromMilliseconds(500)); // After a refusal looks rest for ten seconds.
            return orders.Lease.Length == 12;
        }, "a node that joins meanwhile to have 12 addresses");

        Assert.Equal("subnet-b subnet-b", string.Join(" ", world.Ec2.ByHand(vpc => vpc.Enis.Where(eni => eni.Attachment?.DeviceIndex == 1).Select(eni => eni.Subnet.Id).ToArray())));
        Assert.Equal(SubnetRole.Marked, (await world.SubnetAsync("subnet-b")).Role);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_excluded_home_keeps_its_pods_gives_back_what_is_free_and_new_pods_are_elsewhere(bool prefixes)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 3, Prefixes = prefixes });
        Tag(world, "subnet-b", $"{Role}=1");
        Reread(world);
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length >= 3, "the first addresses");
        await executor.SyncAsync(); // It says that its interface is set up.
        var before = await executor.AddedAsync("before");
        Assert.Equal("subnet-a", Of(before));

        Tag(world, "subnet-a", $"{Role}=0");
        Reread(world);

        var orders = await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 2 && executor.Leased.Count(one => Of(one) == "subnet-a") == (prefixes ? 16 : 1), "what is free of subnet-a to be given back");
        Assert.Equal(before, world.Ec2.ByHand(vpc => vpc.Enis.Single(eni => eni.Attachment?.DeviceIndex == 0).Delivered.Select(Ip.From).Single(address => address == before)));
        await executor.SyncAsync();
        for (var pod = 0; pod < 3; pod++)
        {
            Assert.Equal("subnet-b", Of(await executor.AddedAsync($"after-{pod}")));
        }

        Assert.Equal(SubnetRole.Excluded, await UntilRoleAsync(world, executor, "subnet-a", SubnetRole.Excluded));
        Assert.Contains(await executor.Node.LivesAsync(), life => life is { SubnetId: "subnet-a", Interface: InterfaceStage.Excluded, Stage: BlockStage.OnPod });

        await executor.DeletedAsync("before");
        await GrainWorld.UntilAsync(executor, _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(1));
            return executor.Leased.All(address => Of(address) == "subnet-b");
        }, "the rest of subnet-a to be given back once it has rested");
        await GrainWorld.UntilAsync(executor, _ => world.Ec2.ByHand(vpc => vpc.Enis.Single(eni => eni.Attachment?.DeviceIndex == 0).Slots) == 1, "EC2 to have it back");
    }

    [Fact]
    public async Task The_interface_in_an_excluded_subnet_beside_goes_once_no_pod_is_on_it()
    {
        await using var world = await GrainWorld.StartAsync(TwoInterfaces, timing: Patient);
        Tag(world, "subnet-b", $"{Role}=1");
        Reread(world);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 2, "an interface in subnet-b");
        await GrainWorld.UntilAsync(executor, async _ => (await executor.Node.LivesAsync()).All(life => life.Stage == BlockStage.Warm && life.Interface == InterfaceStage.Ready), "both to be set up");
        var pods = new List<Ip>();
        while (!pods.Exists(address => Of(address) == "subnet-b"))
        {
            pods.Add(await executor.AddedAsync($"pod-{pods.Count}"));
            await executor.SyncAsync();
        }

        world.Settings.Pool = new PoolPolicy { WarmIps = 1 };
        Tag(world, "subnet-b", $"{Role}=0");
        Reread(world);
        await GrainWorld.UntilAsync(executor, _ => executor.Leased.Where(address => Of(address) == "subnet-b").SequenceEqual([pods[^1]]), "all of subnet-b to be given back but for its pod");
        Assert.NotEmpty(world.Ec2.ByHand(vpc => vpc.Enis.Where(eni => eni.Subnet.Id == "subnet-b").ToArray()));

        await executor.DeletedAsync($"pod-{pods.Count - 1}");
        await GrainWorld.UntilAsync(executor, _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(1));
            return world.Ec2.ByHand(vpc => vpc.Enis.All(eni => eni.Subnet.Id != "subnet-b"));
        }, "the interface in subnet-b to be deleted");
        Assert.All(executor.Claims.Keys, address => Assert.Equal("subnet-a", Of(address)));
    }

    [Fact]
    public async Task Where_every_subnet_is_excluded_or_dry_a_waiting_pod_is_told_which_and_why()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { MinimumIps = 1 });
        Tag(world, "subnet-a", $"{Role}=0");
        Tag(world, "subnet-b", $"{Role}=1 {ClusterTag}another=shared");
        Reread(world);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the node to have joined");
        var stamp = executor.NextStamp();
        executor.Waiting.Add(new Waiter(new SandboxKey("waits", "eth0"), new PodName("default", "waits", ""), stamp, 1));

        var why = await UntilWaitsAsync(executor, stamp, ReasonCode.SubnetExcluded);
        Assert.Contains("subnet-a is tagged kubernetes.io/role/cni=0; subnet-b is for other clusters by its tags", why, StringComparison.Ordinal);
        Assert.Equal(why, (await executor.Node.SummarizeAsync()).Trouble);

        // The other one is offered, and has nothing.
        world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-b", SecondaryCount = 250 }));
        world.Ec2.ByHand(vpc =>
        {
            vpc.DeleteTags(["subnet-b"], new Dictionary<string, string?> { [$"{ClusterTag}another"] = null });
            return 0;
        });
        Reread(world);
        Assert.Contains("Of the others in the zone, subnet-a is tagged kubernetes.io/role/cni=0.", await UntilWaitsAsync(executor, stamp, ReasonCode.SubnetEmpty), StringComparison.Ordinal);

        // And the tag is taken away: the pod gets its address.
        world.Ec2.ByHand(vpc =>
        {
            vpc.DeleteTags(["subnet-a"], new Dictionary<string, string?> { [Role] = null });
            return 0;
        });
        Reread(world);
        AssignReply? reply = null;
        await GrainWorld.UntilAsync(executor, async _ =>
        {
            world.Time.Shift(TimeSpan.FromMilliseconds(500));
            return (reply = await executor.AddAsync("waits", stamp)) is AssignReply.Offered;
        }, "an address");
        Assert.Equal("subnet-a", Of(Assert.IsType<AssignReply.Offered>(reply).Address));
    }

    [Fact]
    public async Task A_node_that_starts_in_an_excluded_subnet_gets_its_addresses_beside()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 3 });
        Tag(world, "subnet-a", $"{Role}=0");
        Tag(world, "subnet-b", $"{Role}=1");
        Reread(world);
        var executor = await world.JoinAsync(world.Launch());

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 3, "3 addresses");

        Assert.All(executor.Leased, address => Assert.Equal("subnet-b", Of(address)));
        Assert.Equal(18, (await executor.Node.SummarizeAsync()).Capacity); // Two interfaces of nine: the primary one has none.
    }

    /// <summary>EC2 lists no interfaces of this subnet, nor of its zone.</summary>
    private static void Refuse(GrainWorld world, string subnet) => world.Ec2.BeforeListing = call =>
        call.EndsWith(subnet, StringComparison.Ordinal) || call.EndsWith(" eu-west-1a", StringComparison.Ordinal) ? throw new Refusal(Ec2Fault.EffectUnknown, "Unavailable", "refused, as the test wished") : Task.CompletedTask;

    private static async Task<string> UntilWaitsAsync(FakeExecutor executor, Stamp stamp, ReasonCode code)
    {
        var text = "";
        await GrainWorld.UntilAsync(executor, async _ => await executor.AddAsync("waits", stamp) is AssignReply.NotYet(var why) && (text = why.Text).Length > 0 && why.Code == code, $"the reason {code}");
        return text;
    }

    private static async Task<SubnetRole> UntilRoleAsync(GrainWorld world, FakeExecutor executor, string subnet, SubnetRole role)
    {
        await GrainWorld.UntilAsync(executor, async _ => (await world.SubnetAsync(subnet)).Role == role, $"the ledger of {subnet} to have its tag");
        return role;
    }

    private static void Tag(GrainWorld world, string subnet, string tags) => world.Ec2.ByHand(vpc =>
    {
        vpc.CreateTags([subnet], tags.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(tag => tag.Split('=')).ToDictionary(tag => tag[0], tag => tag[1]));
        return 0;
    });

    /// <summary>Subnets are read once a minute.</summary>
    private static void Reread(GrainWorld world) => world.Time.Shift(TimeSpan.FromSeconds(61));

    private static string SubnetOf(GrainWorld world, int device) => world.Ec2.ByHand(vpc => vpc.Enis.Single(eni => eni.Attachment?.DeviceIndex == device).Subnet.Id);

    private static string Of(Ip address) => Cidr.Parse("10.0.16.0/24").Contains(address) ? "subnet-b" : "subnet-a";
}
