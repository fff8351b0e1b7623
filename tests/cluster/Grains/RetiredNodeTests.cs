using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;
using AwsVpcCni.VpcEmulator.Model;
using Orleans.Storage;
using Xunit;
using Refusal = AwsVpcCni.Grains.Ec2.Ec2Exception;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>What is left of a node whose instance is gone, and interfaces that are attached to nothing.</summary>
public sealed class RetiredNodeTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Of_a_terminated_instance_nothing_is_left_and_who_had_its_addresses_is_known()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var (id, executor) = await ReadyAsync(world);
        var address = await executor.AddedAsync("pod");
        await executor.SyncAsync();
        world.Ec2.ByHand(vpc => Terminated(vpc, id));

        await UntilAsync(world, async () => !(await Vpc(world).NodesAsync()).Contains(id) && Document(world, id) is null, "it to leave the register, and its document to go");

        Assert.Empty(await world.Book.ReadNodeAsync(id, Token));
        Assert.Equal("pod", Assert.Single(await world.Book.ReadHistoryAsync(address, DateTimeOffset.MinValue, DateTimeOffset.MaxValue, Token)).Pod.Name);
        await UntilAsync(world, async () => await world.Grains.GetGrain<ISubnetGrain>("subnet-a").SummarizeAsync() is { Used: 0, Leased: 0, Reserved: 0 }, "the ledger to have nothing of it");
    }

    /// <summary>A report that was long on its way makes a document anew, and the activation ends with its next write. Simulation, seed 200.</summary>
    [Fact]
    public async Task What_a_late_report_of_a_retired_node_writes_goes_though_its_activation_ends_with_it()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var (id, executor) = await ReadyAsync(world);
        world.Ec2.ByHand(vpc => Terminated(vpc, id));
        await UntilAsync(world, async () => !(await Vpc(world).NodesAsync()).Contains(id) && Document(world, id) is null, "it to be retired");

        var writes = 0;
        world.Documents.BeforeWrite = name => name == "node" && ++writes == 2 ? throw new StoreException("no answer, as the test wished") : Task.CompletedTask;
        await Assert.ThrowsAsync<InconsistentStateException>(() => executor.SyncAsync());
        Assert.Equal(2, writes);
        await UntilAsync(world, async () => !(await Vpc(world).NodesAsync()).Contains(id) && Document(world, id) is null, "the document to go");
    }

    [Fact]
    public async Task An_instance_that_is_not_shown_is_gone_only_if_its_executor_is_not_heard_either()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var (id, executor) = await ReadyAsync(world);
        var eni = world.Ec2.ByHand(vpc => vpc.Enis.Single().Id);
        world.Ec2.Hides = id;
        for (var minute = 0; minute < 20; minute++)
        {
            await executor.SyncAsync();
            await PassAsync(world, TimeSpan.FromMinutes(1));
        }

        Assert.NotNull(Document(world, id));
        await UntilAsync(world, async () => !(await Vpc(world).NodesAsync()).Contains(id) && Document(world, id) is null, "it to be retired once it is silent");
        Assert.NotNull(world.Ec2.ByHand(vpc => vpc.FindEni(eni))); // What is attached, nobody touches.
    }

    [Theory] // Made by hands; another cluster's; kept by somebody; ours.
    [InlineData("", "", false)]
    [InlineData("theirs", "", false)]
    [InlineData("test", "true", false)]
    [InlineData("test", "", true)]
    public async Task An_interface_of_a_node_that_is_gone_is_deleted_when_it_is_ours_and_loose_for_minutes(string cluster, string noManage, bool isDeleted)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        await ReadyAsync(world);
        var loose = world.Ec2.ByHand(vpc => Made(vpc, "i-0123456789abcdef0", cluster, noManage));
        await PassAsync(world, TimeSpan.FromMinutes(4));
        Assert.NotNull(world.Ec2.ByHand(vpc => vpc.FindEni(loose)));

        await PassAsync(world, TimeSpan.FromMinutes(6));
        Assert.Equal(isDeleted, world.Ec2.ByHand(vpc => vpc.FindEni(loose) is null));
        Assert.Equal(isDeleted ? 1 : 0, world.Ec2.Calls.Count(call => call == $"Delete {loose}"));
    }

    [Theory] // A whole sweep has seen it before; or none has since the silo started.
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_has_leaked_in_one_zone_is_deleted_while_another_cannot_be_read(bool isSeenBefore)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 }, secondZone: "eu-west-1b");
        await ReadyAsync(world);
        var loose = world.Ec2.ByHand(vpc => Made(vpc, "i-0123456789abcdef0", "test", ""));
        await PassAsync(world, isSeenBefore ? TimeSpan.FromMinutes(4) : TimeSpan.Zero);
        var refusals = 0;
        world.Ec2.BeforeListing = call => call != "DescribeNetworkInterfaces eu-west-1b" ? Task.CompletedTask
            : throw new Refusal(Ec2Fault.EffectUnknown, "Unavailable", $"refusal {Interlocked.Increment(ref refusals)} of a zone, as the test wished");

        await UntilAsync(world, () => Task.FromResult(world.Ec2.ByHand(vpc => vpc.FindEni(loose) is null)), "it to be deleted");
        Assert.True(refusals > 0);
    }

    [Fact]
    public async Task What_was_seen_loose_in_a_zone_and_then_could_not_be_read_is_not_forgotten_nor_deleted_unseen()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 }, secondZone: "eu-west-1b");
        await ReadyAsync(world);
        var loose = world.Ec2.ByHand(vpc => Made(vpc, "i-0123456789abcdef0", "test", ""));
        await PassAsync(world, TimeSpan.FromMinutes(3));
        var isImpaired = true;
        world.Ec2.BeforeListing = call => isImpaired && call == "DescribeNetworkInterfaces eu-west-1a" ? throw new Refusal(Ec2Fault.EffectUnknown, "Unavailable", "refused, as the test wished") : Task.CompletedTask;
        await PassAsync(world, TimeSpan.FromMinutes(6));
        Assert.NotNull(world.Ec2.ByHand(vpc => vpc.FindEni(loose)));

        isImpaired = false;
        await PassAsync(world, TimeSpan.FromMinutes(3)); // Less than a leak has to be seen for.
        Assert.Null(world.Ec2.ByHand(vpc => vpc.FindEni(loose)));
    }

    [Fact]
    public async Task An_interface_of_a_node_that_is_there_is_deleted_by_it()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var (id, _) = await ReadyAsync(world);
        var loose = world.Ec2.ByHand(vpc => Made(vpc, id, "test", ""));
        await PassAsync(world, TimeSpan.FromMinutes(4));
        Assert.NotNull(world.Ec2.ByHand(vpc => vpc.FindEni(loose)));

        await UntilAsync(world, () => Task.FromResult(world.Ec2.ByHand(vpc => vpc.FindEni(loose) is null)), "it to be deleted");
        Assert.Equal(1, world.Ec2.Calls.Count(call => call == $"Delete {loose}"));
    }

    [Fact]
    public async Task An_interface_that_cannot_be_attached_for_long_is_none_that_nobody_has()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 }); // One interface of m5.large has nine.
        world.Ec2.Fail("Attach", Ec2Fault.Throttled, times: 10_000);
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 9, "9 leased addresses");
        await executor.SyncAsync();
        await UntilAsync(world, () => Task.FromResult(world.Ec2.Calls.Any(call => call.StartsWith("Attach", StringComparison.Ordinal))), "an attach");
        await PassAsync(world, TimeSpan.FromMinutes(12));

        Assert.Equal(2, world.Ec2.ByHand(vpc => vpc.Enis.Count()));
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Delete", StringComparison.Ordinal));
    }

    [Theory] // On another node; on this one.
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_loose_interface_that_somebody_takes_before_it_is_deleted_is_theirs(bool isOnTheNode)
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var (id, _) = await ReadyAsync(world);
        var other = world.Launch();
        var loose = world.Ec2.ByHand(vpc => Made(vpc, id, "test", ""));
        var shown = (await world.Ec2.DescribeInterfacesAsync(new Ec2InterfaceQuery { VpcId = GrainWorld.VpcId }, null, Token)).Interfaces.Single(eni => eni.EniId == loose);
        world.Ec2.ByHand(vpc => vpc.AttachNetworkInterface(loose, isOnTheNode ? id : other, 1));

        await world.Grains.GetGrain<INodeGrain>(id).LeakedAsync(shown); // A sweep had begun before that.

        await UntilAsync(world, () => Task.FromResult(world.Ec2.Calls.Contains($"Delete {loose}") && !Document(world, id)!.Contains(loose, StringComparison.Ordinal)), "it to be let alone");
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Detach", StringComparison.Ordinal));
        await UntilAsync(world, () => Task.FromResult(world.Ec2.ByHand(vpc => IsDetached(vpc, loose))), "hands to detach it");
        await PassAsync(world, TimeSpan.FromMinutes(4));
        Assert.NotNull(world.Ec2.ByHand(vpc => vpc.FindEni(loose))); // Again five minutes.
    }

    [Fact]
    public async Task What_the_last_report_said_has_ended_is_in_the_history_though_the_store_refused_it_then()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var (id, executor) = await ReadyAsync(world);
        var address = await executor.AddedAsync("pod");
        await executor.SyncAsync();
        var claim = executor.Claims[address];
        executor.Claims.Remove(address);
        world.Book.BeforeRelease = _ => throw new StoreException("refused");
        var ended = new EndedAssignment(claim.Sandbox, address, executor.NextStamp(), 1) { Had = new EndedClaim(claim.Pod, claim.Stamp, 9) };
        await Assert.ThrowsAsync<StoreException>(() => executor.Node.SyncAsync(executor.Report() with { Ended = [ended] }));
        world.Book.BeforeRelease = null;

        world.Ec2.ByHand(vpc => Terminated(vpc, id));
        await UntilAsync(world, () => Task.FromResult(Document(world, id) is null), "its document to go");

        Assert.Equal("pod", Assert.Single(await HistoryAsync(world, address)).Pod.Name);
    }

    [Fact]
    public async Task What_a_node_that_is_gone_has_used_is_in_the_history_with_or_without_a_row_and_when_it_is_told_late()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        var (id, executor) = await ReadyAsync(world);
        Assert.IsType<AssignReply.Offered>(await executor.AddAsync("offered"));
        var (unlisted, told) = (Ip.Parse("10.0.0.250"), executor.Leased.Last());
        executor.Claims.Add(unlisted, new Claim(new SandboxKey("pod", "eth0"), new PodName("default", "pod", ""), unlisted, "", executor.NextStamp(), 5));
        await executor.SyncAsync(); // The offer is settled, and not claimed.
        world.Ec2.ByHand(vpc => Terminated(vpc, id));
        await UntilAsync(world, async () => (await HistoryAsync(world, unlisted)).Length > 0, "the claim that has no row to be in the history");
        var late = new EndedAssignment(new SandboxKey("late", "eth0"), told, executor.NextStamp(), 1) { Had = new EndedClaim(new PodName("default", "late", ""), executor.NextStamp(), 9) };
        await executor.Node.SyncAsync(executor.Report() with { Ended = [late] });

        Assert.Equal("late", Assert.Single(await HistoryAsync(world, told)).Pod.Name);
        Assert.Equal("pod", Assert.Single(await HistoryAsync(world, unlisted)).Pod.Name);
        await UntilAsync(world, () => Task.FromResult(Document(world, id) is null), "its document to go");
        foreach (var address in executor.Leased.Where(address => address != told))
        {
            Assert.Empty(await HistoryAsync(world, address)); // The offer was nobody's.
        }
    }

    [Fact]
    public async Task A_node_that_is_gone_with_an_interface_in_the_making_is_retired_when_there_is_provisioning_again()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 12 });
        world.Ec2.Fail("Attach", Ec2Fault.Throttled, times: 12);
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 9, "9 leased addresses");
        await UntilAsync(world, () => Task.FromResult(world.Ec2.Calls.Any(call => call.StartsWith("Attach", StringComparison.Ordinal))), "an attach");
        world.Settings.Pool = world.Settings.Pool with { Provisions = false };
        world.Ec2.ByHand(vpc => Terminated(vpc, id));

        await PassAsync(world, TimeSpan.FromMinutes(5));
        Assert.Contains(id, await Vpc(world).NodesAsync()); // What has been begun waits.
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Delete", StringComparison.Ordinal));
        world.Settings.Pool = world.Settings.Pool with { Provisions = true };

        await UntilAsync(world, async () => !(await Vpc(world).NodesAsync()).Contains(id) && Document(world, id) is null, "it to leave the register, and its document to go");
        Assert.Equal(0, world.Ec2.ByHand(vpc => vpc.Enis.Count()));
    }

    [Fact]
    public async Task Where_somebody_else_provisions_nothing_is_deleted()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 4 });
        await ReadyAsync(world);
        world.Settings.Pool = world.Settings.Pool with { Provisions = false };
        var loose = world.Ec2.ByHand(vpc => Made(vpc, "i-0123456789abcdef0", "test", ""));
        await PassAsync(world, TimeSpan.FromMinutes(12));

        Assert.NotNull(world.Ec2.ByHand(vpc => vpc.FindEni(loose)));
    }

    private static async Task<(string Id, FakeExecutor Executor)> ReadyAsync(GrainWorld world)
    {
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 4, "4 leased addresses");
        await executor.SyncAsync(); // Its interface is set up.
        return (id, executor);
    }

    /// <summary>As a node's grain makes it.</summary>
    private static string Made(Vpc vpc, string node, string cluster, string noManage)
    {
        var eni = vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 3 });
        foreach (var (key, value) in new[] { (NodeGrain.ClusterTag, cluster), (NodeGrain.NodeTag, node), (NodeGrain.IntentTag, node + "/1.0.a"), (NodeGrain.NoManageTag, noManage) })
        {
            if (cluster.Length > 0 && value.Length > 0)
            {
                eni.Tags[key] = value;
            }
        }

        return eni.Id;
    }

    private static bool Terminated(Vpc vpc, string id)
    {
        vpc.Terminate(id);
        return true;
    }

    private static bool IsDetached(Vpc vpc, string eni)
    {
        vpc.Advance();
        if (vpc.FindEni(eni)!.Attachment is { Status: AttachmentStatus.Attached } attachment)
        {
            vpc.DetachNetworkInterface(attachment.Id);
        }

        return vpc.FindEni(eni)!.Attachment is null;
    }

    private static async Task<AddressRow[]> HistoryAsync(GrainWorld world, Ip address) =>
        [.. await world.Book.ReadHistoryAsync(address, DateTimeOffset.MinValue, DateTimeOffset.MaxValue, Token)];

    private static IVpcGrain Vpc(GrainWorld world) => world.Grains.GetGrain<IVpcGrain>(GrainWorld.VpcId);

    private static string? Document(GrainWorld world, string id) => world.Documents.Read("node", GrainId.Create("node", id)).Json;

    /// <summary>In steps shorter than a sweep's period, each with time for the timers.</summary>
    private static async Task PassAsync(GrainWorld world, TimeSpan length)
    {
        for (var passed = TimeSpan.Zero; passed < length; passed += TimeSpan.FromSeconds(30))
        {
            world.Time.Shift(TimeSpan.FromSeconds(30));
            world.Ec2.ByHand(vpc =>
            {
                vpc.Advance();
                return true;
            });
            await Task.Delay(200, Token);
        }
    }

    private static async Task UntilAsync(GrainWorld world, Func<Task<bool>> holds, string what)
    {
        for (var tries = 0; !await holds(); tries++)
        {
            Assert.True(tries < 60, $"waited half an hour of the silo's clock for: {what}");
            await PassAsync(world, TimeSpan.FromSeconds(30));
        }
    }
}
