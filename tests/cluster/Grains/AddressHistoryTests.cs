using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.History;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Who had an address when: what executors have used, all of it and nothing else.</summary>
public sealed class AddressHistoryTests
{
    private static readonly PoolPolicy Four = new() { WarmIps = 4 };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_offer_that_was_refused_or_never_claimed_was_nobodys()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var stamp = executor.NextStamp();
        var refused = Offered(await executor.AddAsync("pod", stamp));
        var used = Offered(await executor.AddAsync("pod", stamp, refused));
        executor.Claims.Add(used, new Claim(Sandbox("pod"), Pod("pod"), used, "", stamp, 0));
        var unclaimed = Offered(await executor.AddAsync("gone"));
        await executor.SyncAsync(); // All is settled, and one is claimed.
        await executor.DeletedAsync("pod");

        Assert.Equal("pod", Assert.Single(await HistoryAsync(world, used)).Sandbox.ContainerId);
        Assert.Empty(await HistoryAsync(world, refused));
        Assert.Empty(await HistoryAsync(world, unclaimed));
        Assert.All(await world.Book.ReadNodeAsync(executor.Node.GetPrimaryKeyString(), Token), row => Assert.NotNull(row.Released));
    }

    [Fact]
    public async Task What_began_and_ended_without_a_silo_is_in_it_once_however_often_it_is_told()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var address = executor.Leased.First();
        var (release, had) = (executor.NextStamp(), new EndedClaim(Pod("pod"), executor.NextStamp(), HeldSeconds: 50));
        var ended = new EndedAssignment(Sandbox("pod"), address, release, FreedSeconds: 20) { Had = had };
        var now = world.Time.GetUtcNow();
        await executor.Node.SyncAsync(executor.Report() with { Ended = [ended] });
        world.Time.Shift(TimeSpan.FromSeconds(3));
        await executor.Node.SyncAsync(executor.Report() with { Ended = [ended with { FreedSeconds = 23, Had = had with { HeldSeconds = 53 } }] });
        await world.Grains.GetGrain<IManagementGrain>(0).ForceActivationCollection(TimeSpan.Zero, Token); // Another activation knows nothing of it.
        await executor.Node.ReleaseAsync(new ReleaseRequest(release, ended.Sandbox, address, FreedSeconds: 23) { Had = had with { HeldSeconds = 53 } });

        var row = Assert.Single(await HistoryAsync(world, address));
        Assert.Equal((Pod("pod"), had.Stamp), (row.Pod, row.Stamp));
        Assert.InRange(row.Since, now.AddSeconds(-51), now.AddSeconds(-45));
        Assert.InRange(row.Released!.Value, now.AddSeconds(-21), now.AddSeconds(-15));
    }

    [Fact] // Simulation: a silo's late answer writes the row, when the executor has long spent its lease.
    public async Task A_row_that_was_written_late_ends_with_the_beginning_of_its_claim()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var address = await executor.AddedAsync("pod");
        var claim = executor.Claims[address];
        executor.Claims[address] = claim with { HeldSeconds = 30 };
        await executor.SyncAsync();
        var now = world.Time.GetUtcNow();
        Assert.InRange((await executor.Node.HolderAsync(address))!.Since, now.AddSeconds(-35), now.AddSeconds(-29));

        await executor.Node.ReleaseAsync(new ReleaseRequest(executor.NextStamp(), claim.Sandbox, address, 0) { Had = new EndedClaim(claim.Pod, claim.Stamp, 31) });
        Assert.InRange(Assert.Single(await HistoryAsync(world, address)).Since, now.AddSeconds(-36), now.AddSeconds(-29));
    }

    [Fact]
    public async Task An_end_that_is_told_twice_at_once_is_answered_when_the_store_has_it()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var address = await executor.AddedAsync("pod");
        await executor.SyncAsync();
        var (gate, release) = (new TaskCompletionSource(), new ReleaseRequest(executor.NextStamp(), Sandbox("pod"), address, 0));
        world.Book.BeforeRelease = _ => gate.Task;

        var (first, second) = (executor.Node.ReleaseAsync(release), executor.Node.ReleaseAsync(release));
        await Task.WhenAny(first, second, Task.Delay(500, Token));
        Assert.False(first.IsCompleted || second.IsCompleted);
        gate.SetResult();

        Assert.Contains(true, (await Task.WhenAll(first, second)).Select(reply => reply.Known));
        Assert.Single(await HistoryAsync(world, address));
    }

    [Fact]
    public async Task What_a_long_outage_has_ended_is_recorded_some_at_a_time_and_a_second_telling_goes_on_where_the_first_was_left()
    {
        const int Ends = 100;
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var ended = Enumerable.Range(0, Ends).Select(pod => new EndedAssignment(Sandbox($"pod-{pod}"), executor.Leased.First(), executor.NextStamp(), Ends - pod)
        {
            Had = new EndedClaim(Pod($"pod-{pod}"), executor.NextStamp(), HeldSeconds: Ends - pod + 0.5),
        }).ToArray();
        var (gate, writes, most, atOnce) = (new TaskCompletionSource(), 0, 0, 0);
        world.Book.BeforeRelease = async _ =>
        {
            most = Math.Max(most, Interlocked.Increment(ref atOnce));
            await (Interlocked.Increment(ref writes) > 20 ? gate.Task : Task.Delay(1, Token));
            Interlocked.Decrement(ref atOnce);
        };

        var first = executor.Node.SyncAsync(executor.Report() with { Ended = [.. ended] });
        await WaitAsync(() => writes > 20);
        var second = executor.Node.SyncAsync(executor.Report() with { Ended = [.. ended] }); // The first was given up.
        await Task.Delay(200, Token);
        Assert.False(first.IsCompleted || second.IsCompleted);
        gate.SetResult();

        await Assert.ThrowsAsync<OrleansException>(() => first);
        await second;
        Assert.Equal((Ends, Ends), (writes, (await HistoryAsync(world, executor.Leased.First())).Length));
        Assert.InRange(most, 2, 16);
    }

    [Fact]
    public async Task Who_has_an_address_and_who_had_it_before_is_told_with_their_nodes()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { MinimumIps = 1, WarmIps = 0, Cooldown = TimeSpan.FromSeconds(1) });
        var executor = await ReadyAsync(world, 1);
        var address = await executor.AddedAsync("first");
        await executor.SyncAsync();
        world.Time.Shift(TimeSpan.FromMinutes(2));
        var first = world.Time.GetUtcNow();
        await executor.DeletedAsync("first");
        world.Time.Shift(TimeSpan.FromMinutes(2));
        var between = world.Time.GetUtcNow();
        world.Time.Shift(TimeSpan.FromMinutes(2));
        await executor.SyncAsync();
        Assert.Equal(address, await executor.AddedAsync("second"));
        world.Time.Shift(TimeSpan.FromMinutes(2));
        var history = world.Grains.GetGrain<IAddressHistoryGrain>(GrainWorld.VpcId);

        Assert.Equal(["second", "first"], Names(await history.WhoAsync(address, null)));
        Assert.Equal(["first"], Names(await history.WhoAsync(address, first.AddMinutes(-1))));
        Assert.Empty(Names(await history.WhoAsync(address, between)));
        Assert.Equal(["second"], Names(await history.WhoAsync(address, world.Time.GetUtcNow())));
        var other = await history.WhoAsync(Ip.Parse("192.168.0.1"), null);
        Assert.True(other is { SubnetId: null, Holders: [] });

        static string[] Names(AddressHolders answer) => [.. answer.Holders.Select(row => row.Pod.Name)];
    }

    [Fact]
    public async Task Who_has_an_address_is_known_when_nobody_has_told_the_ledger_yet_what_it_holds()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var address = await executor.AddedAsync("pod");
        await executor.SyncAsync();
        await world.Grains.GetGrain<IManagementGrain>(0).ForceActivationCollection(TimeSpan.Zero, Token);

        var answer = await world.Grains.GetGrain<IAddressHistoryGrain>(GrainWorld.VpcId).WhoAsync(address, null);

        Assert.Equal("pod", Assert.Single(answer.Holders).Pod.Name);
    }

    [Fact]
    public async Task Whether_a_pod_has_an_address_is_not_known_while_its_executor_has_not_reported_to_the_grain_that_is_asked()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var (id, history) = (executor.Node.GetPrimaryKeyString(), world.Grains.GetGrain<IAddressHistoryGrain>(GrainWorld.VpcId));
        var address = executor.Leased.First(); // A pod gets it of the lease, with no silo there, and then the executor ends.
        await world.Grains.GetGrain<IManagementGrain>(0).ForceActivationCollection(TimeSpan.Zero, Token);

        var answer = await history.WhoAsync(address, null);
        Assert.Equal((0, id), (answer.Holders.Length, Assert.Single(answer.NotHeard!.Value).NodeId));
        Assert.InRange(answer.NotHeard!.Value[0].Since!.Value, world.Time.GetUtcNow().AddMinutes(-1), world.Time.GetUtcNow());
        Assert.Equal(id, Assert.Single((await history.WhoAsync(address, world.Time.GetUtcNow().AddMinutes(-5))).NotHeard!.Value).NodeId);
        Assert.Empty((await history.WhoAsync(Ip.Parse("10.0.0.200"), null)).NotHeard!.Value); // It is no address of the node.

        var stamp = executor.NextStamp();
        executor.Claims.Add(address, new Claim(Sandbox("pod"), Pod("pod"), address, "", stamp, 60));
        await executor.SyncAsync();
        answer = await history.WhoAsync(address, null);
        Assert.Equal(("pod", 0), (Assert.Single(answer.Holders).Pod.Name, answer.NotHeard!.Value.Length));
    }

    [Fact]
    public async Task An_executor_that_reports_no_more_may_have_given_the_address_to_another_pod_since()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var address = await executor.AddedAsync("pod");
        await executor.SyncAsync();
        var history = world.Grains.GetGrain<IAddressHistoryGrain>(GrainWorld.VpcId);
        var reported = world.Time.GetUtcNow();
        world.Time.Shift(TimeSpan.FromMinutes(2));

        var answer = await history.WhoAsync(address, null);
        Assert.Equal("pod", Assert.Single(answer.Holders).Pod.Name);
        Assert.InRange(Assert.Single(answer.NotHeard!.Value).Since!.Value, reported.AddSeconds(-20), reported);
        Assert.Empty((await history.WhoAsync(address, reported.AddSeconds(-30))).NotHeard!.Value); // It has told all until then.
    }

    [Fact]
    public async Task Of_a_node_on_a_silo_of_the_build_before_only_whom_it_names_is_known()
    {
        await using var world = await GrainWorld.StartAsync(Four);
        var executor = await ReadyAsync(world);
        var (id, history) = (executor.Node.GetPrimaryKeyString(), world.Grains.GetGrain<IAddressHistoryGrain>(GrainWorld.VpcId));
        var address = await executor.AddedAsync("pod");
        await executor.SyncAsync();
        world.Fails = method => method == nameof(INodeGrain.HeldAsync) ? new TypeLoadException("A silo of before.") : null;

        var answer = await history.WhoAsync(address, null);
        Assert.Equal(("pod", 0), (Assert.Single(answer.Holders).Pod.Name, answer.NotHeard!.Value.Length));
        answer = await history.WhoAsync(executor.Leased.First(leased => leased != address), null);
        Assert.Equal((0, new NotHeard(id, null)), (answer.Holders.Length, Assert.Single(answer.NotHeard!.Value)));
        answer = await history.WhoAsync(address, world.Time.GetUtcNow().AddMinutes(-5)); // Who had it before this pod?
        Assert.Equal((0, new NotHeard(id, null)), (answer.Holders.Length, Assert.Single(answer.NotHeard!.Value)));

        world.Fails = method => method switch
        {
            nameof(INodeGrain.HeldAsync) => new TypeLoadException("A silo of before."),
            nameof(INodeGrain.HolderAsync) => new TimeoutException("It has just gone."),
            _ => null,
        };
        answer = await history.WhoAsync(address, null);
        Assert.Equal((0, new NotHeard(id, null)), (answer.Holders.Length, Assert.Single(answer.NotHeard!.Value)));
    }

    private static async Task<FakeExecutor> ReadyAsync(GrainWorld world, int addresses = 4)
    {
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == addresses, "leased addresses");
        await executor.SyncAsync(); // Its interface is set up.
        return executor;
    }

    private static async Task WaitAsync(Func<bool> holds)
    {
        for (var tries = 0; !holds(); tries++)
        {
            Assert.True(tries < 200, "waited 20 s");
            await Task.Delay(100, Token);
        }
    }

    private static SandboxKey Sandbox(string name) => new(name, "eth0");

    private static PodName Pod(string name) => new("default", name, "");

    private static Ip Offered(AssignReply reply) => Assert.IsType<AssignReply.Offered>(reply).Address;

    private static async Task<AddressRow[]> HistoryAsync(GrainWorld world, Ip address) =>
        [.. await world.Book.ReadHistoryAsync(address, DateTimeOffset.MinValue, DateTimeOffset.MaxValue, Token)];
}
