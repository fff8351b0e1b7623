using System.Diagnostics.Metrics;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Ec2;
using AwsVpcCni.Grains.Ec2Quota;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.VpcEmulator.Model;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Grains;

/// <summary>Why a pod waits: each cause has its code, and a text that an operator can act on without asking anything else.</summary>
public sealed class ReasonTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static readonly PoolPolicy OnDemand = new() { WarmIps = 0 };

    private Stamp? _waits; // Of the pod that waits.

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_dry_subnet_is_named_with_what_is_free_and_who_holds_most()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 9 }, "10.0.0.0/28");
        var id = world.Launch();
        var first = await world.JoinAsync(id);
        await GrainWorld.UntilAsync(first, orders => orders.Lease.Length >= 9, "the subnet's other addresses");
        var second = await world.JoinAsync(world.Launch());
        await UntilJoinedAsync(second);
        world.Time.Shift(TimeSpan.FromMinutes(2)); // A sweep shows the second node's own address.

        var why = await UntilWaitsForAsync(world, second, ReasonCode.SubnetEmpty, until: text => text.StartsWith("subnet-a: 0 free addresses, ", StringComparison.Ordinal));

        Assert.Contains($"Most are held by {id} (10)", why.Text, StringComparison.Ordinal); // Its own address, too.
        Assert.Contains("Add a subnet or a CIDR", why.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_scattered_subnet_is_told_with_its_blocks_and_its_addresses()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { Prefixes = true, WarmIps = 2 }, "10.0.0.0/27"); // EC2 keeps a part of either block.
        var id = world.Launch();
        var executor = await world.JoinAsync(id);

        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "single addresses");
        var trouble = "";
        await GrainWorld.UntilAsync(executor, _ =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(1)); // The ledger is asked again when its word has become old.
            trouble = world.Grains.GetGrain<INodeGrain>(id).SummarizeAsync().Result.Trouble ?? "";
            return trouble.Contains("scattered", StringComparison.Ordinal);
        }, "the node to say what is wrong with its subnet");

        Assert.Contains("subnet-a: no whole /28 block", trouble, StringComparison.Ordinal);
        Assert.Contains("0 blocks are whole, 24 single addresses are free", trouble, StringComparison.Ordinal);
        var subnet = await world.SubnetAsync();
        Assert.Equal((0, 24L), (subnet.FreePrefixes, subnet.Free));
    }

    [Fact]
    public async Task A_spent_budget_is_told_with_the_time_until_the_next_call()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand with { MaxEnis = 1 }); // No way but this one.
        var executor = await world.JoinAsync(world.Launch());
        await UntilJoinedAsync(executor);
        await ThrottleDrawsAsync(world);

        var why = await UntilWaitsForAsync(world, executor, ReasonCode.Throttled);

        Assert.Matches(@"1 addresses are to be drawn, and the account's budget for AssignPrivateIpAddresses lets this node's call through in 1\d\.\d s\.", why.Text);
        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Assign", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Ec2Fault.Throttled, ReasonCode.Throttled, "EC2 throttles AssignPrivateIpAddresses")]
    [InlineData(Ec2Fault.NotAuthorized, ReasonCode.NotAuthorized, "may not call ec2:AssignPrivateIpAddresses")]
    [InlineData(Ec2Fault.Credentials, ReasonCode.NotAuthorized, "does not take the silo's credentials or its clock for AssignPrivateIpAddresses")]
    [InlineData(Ec2Fault.Refused, ReasonCode.Ec2Refused, "EC2 refused AssignPrivateIpAddresses")]
    public async Task What_EC2_refuses_is_told_with_the_action_and_the_next_try(Ec2Fault fault, ReasonCode code, string said)
    {
        await using var world = await GrainWorld.StartAsync(OnDemand);
        var executor = await world.JoinAsync(world.Launch());
        await UntilJoinedAsync(executor);
        world.Ec2.Fail("Assign", fault, times: 100);

        var why = await UntilWaitsForAsync(world, executor, code, until: text => text.Contains("Tried again in", StringComparison.Ordinal));

        Assert.Contains(said, why.Text, StringComparison.Ordinal);
        Assert.Contains("1 addresses for eni-", why.Text, StringComparison.Ordinal);
        Assert.Contains("as the test wished", why.Text, StringComparison.Ordinal); // EC2's own words.
    }

    [Theory]
    [InlineData("DescribeSubnets")]
    [InlineData("DescribeInstances")]
    [InlineData("DescribeNetworkInterfaces")]
    public async Task A_permission_that_is_missing_for_the_first_look_is_no_endless_wait(string action)
    {
        await using var world = await GrainWorld.StartAsync(OnDemand);
        world.Ec2.Fail(action, Ec2Fault.NotAuthorized, times: 3);
        world.Time.Shift(TimeSpan.FromMinutes(10)); // What was read at the start is to be read again.
        var executor = await world.JoinAsync(world.Launch());

        var why = await UntilWaitsForAsync(world, executor, ReasonCode.NotAuthorized);
        Assert.Contains($"may not call ec2:{action}", why.Text, StringComparison.Ordinal);
        Assert.InRange(world.Ec2.Calls.Count(call => call.StartsWith(action, StringComparison.Ordinal)), 1, 4); // And it is not asked in a loop.

        await GrainWorld.UntilAsync(executor, orders =>
        {
            world.Time.Shift(TimeSpan.FromSeconds(1));
            return orders.Interfaces.Length == 1;
        }, "the node to be seen once the permission is there");
    }

    [Fact]
    public async Task While_draws_are_throttled_a_pod_that_waits_is_served_by_a_new_interface()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand);
        var executor = await world.JoinAsync(world.Launch());
        await UntilJoinedAsync(executor);
        await ThrottleDrawsAsync(world);

        BeginWaiting(executor);
        AssignReply? reply = null;
        await UntilAsync(executor, async () => (reply = await executor.AddAsync("waits", _waits)) is AssignReply.Offered, () => $"an address; the last answer was {reply}");

        Assert.DoesNotContain(world.Ec2.Calls, call => call.StartsWith("Assign", StringComparison.Ordinal));
        Assert.Single(world.Ec2.Calls, call => call.StartsWith("Create", StringComparison.Ordinal));
    }

    /// <summary>To 1/64 of 4 a second.</summary>
    private static async Task ThrottleDrawsAsync(GrainWorld world)
    {
        for (var i = 0; i < 6; i++)
        {
            world.Time.Shift(TimeSpan.FromSeconds(5)); // Each is one of its own.
            await world.Grains.GetGrain<IEc2QuotaGrain>(world.Settings.QuotaKey).ThrottledAsync(Ec2Action.AssignPrivateIpAddresses);
        }
    }

    [Fact]
    public async Task An_interface_that_does_not_come_to_the_node_is_named_with_the_time_that_it_has_had()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand);
        var executor = await world.JoinAsync(world.Launch("t3.nano")); // 2 interfaces, an address each.
        executor.SetsUp = order => order.DeviceIndex == 0;
        await UntilJoinedAsync(executor);
        await ServedAsync(executor, "pod-1");

        var comes = await UntilWaitsForAsync(world, executor, ReasonCode.Drawing, until: text => text.Contains("not set up yet", StringComparison.Ordinal));
        await PassAsync(world, executor);
        var stuck = await UntilWaitsForAsync(world, executor, ReasonCode.InterfaceStuck);
        Assert.Equal((0, 4), Assert.Single(world.Metrics.Nodes) is var told ? (told.Ready, told.MaxPods) : default); // What is there cannot be used yet: no pod gets an address.

        Assert.Contains("1 free addresses are on eni-", comes.Text, StringComparison.Ordinal);
        Assert.Matches(@"\(device 1\), which the node has not set up yet, 4\d s after it was to\. Usual are 10 s\.", stuck.Text);
    }

    [Fact]
    public async Task Pods_that_wait_for_an_interface_that_does_not_come_are_served_by_the_next_one()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 2 });
        var executor = await world.JoinAsync(world.Launch()); // 3 interfaces.
        executor.SetsUp = order => order.DeviceIndex != 1;
        await UntilJoinedAsync(executor);
        for (var pod = 0; pod < 9; pod++)
        {
            await ServedAsync(executor, $"pod-{pod}");
        }

        await UntilWaitsForAsync(world, executor, ReasonCode.Drawing, until: text => text.Contains("not set up yet", StringComparison.Ordinal));
        await PassAsync(world, executor);

        AssignReply? reply = null;
        await UntilAsync(executor, async () => (reply = await executor.AddAsync("waits", _waits)) is AssignReply.Offered, () => $"an address of the third interface; the last answer was {reply}");
        Assert.Equal(3, (await executor.SyncAsync()).Interfaces.Length);
    }

    [Fact]
    public async Task An_attachment_that_hangs_is_named_with_its_interface_and_its_time()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand);
        var executor = await world.JoinAsync(world.Launch("t3.nano"));
        await UntilJoinedAsync(executor);
        await ServedAsync(executor, "pod-1");
        world.Ec2.Fail("Attach", Ec2Fault.EffectUnknown, times: 100);

        await UntilWaitsForAsync(world, executor, ReasonCode.Drawing, until: text => text.Contains("has been attaching as device 1", StringComparison.Ordinal));
        world.Time.Shift(TimeSpan.FromSeconds(40));
        var stuck = await UntilWaitsForAsync(world, executor, ReasonCode.InterfaceStuck);

        Assert.Matches(@"1 addresses come with eni-\w+, which has been attaching as device 1 for 4\d s\.", stuck.Text);
        world.Settings.Pool = OnDemand with { Provisions = false };
        await UntilWaitsForAsync(world, executor, ReasonCode.NotProvisioned); // It waits, as it is, for as long as nothing may be provisioned.
    }

    [Fact]
    public async Task A_detachment_that_hangs_is_named_when_a_pod_waits_for_its_place()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 0, MinimumIps = 1 });
        var executor = await world.JoinAsync(world.Launch("t3.nano"));
        await UntilJoinedAsync(executor);
        await ServedAsync(executor, "pod-1");
        await ServedAsync(executor, "pod-2");
        world.Ec2.Fail("Detach", Ec2Fault.EffectUnknown, times: 100);
        await executor.DeletedAsync("pod-2");
        world.Time.Shift(TimeSpan.FromMinutes(3));
        await GrainWorld.UntilAsync(executor, orders => orders.Interfaces.Length == 1, "the second interface to leave");

        var leaves = await UntilWaitsForAsync(world, executor, ReasonCode.Drawing, until: text => text.Contains("has been leaving", StringComparison.Ordinal));
        world.Time.Shift(TimeSpan.FromSeconds(40));
        var stuck = await UntilWaitsForAsync(world, executor, ReasonCode.InterfaceStuck);

        Assert.Contains("the place of eni-", leaves.Text, StringComparison.Ordinal);
        Assert.Matches(@"\(device 1\), which has been leaving for \d+ s, is not free yet\.", stuck.Text);
    }

    [Fact] // F5: where the interfaces hold as much as there may be pods, a cooling address is all that a new pod can have.
    public async Task Cooling_addresses_are_counted_with_the_time_of_the_first_and_never_free()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1, MaxEnis = 1 });
        var id = world.Launch("t3.nano");
        var executor = await world.JoinAsync(id);
        await UntilJoinedAsync(executor);
        var address = await ServedAsync(executor, "pod-1");
        await executor.DeletedAsync("pod-1");

        var why = await UntilWaitsForAsync(world, executor, ReasonCode.Cooling);
        Assert.Contains("0 are on pods, 1 cool down (30 s each), the first for 30 s more", why.Text, StringComparison.Ordinal);
        Assert.Equal((0, 1, 0), await world.Grains.GetGrain<INodeGrain>(id).SummarizeAsync() is { } node ? (node.OnPods, node.Cooling, node.Warm) : default);
        world.Time.Shift(TimeSpan.FromSeconds(20));
        Assert.Matches("the first for (9|10) s more", (await UntilWaitsForAsync(world, executor, ReasonCode.Cooling)).Text);
        world.Time.Shift(TimeSpan.FromSeconds(10));

        Assert.Equal(address, Assert.IsType<AssignReply.Offered>(await executor.AddAsync("waits", _waits)).Address);
    }

    [Fact]
    public async Task A_store_that_is_away_is_told_as_such_whichever_write_it_was()
    {
        await using var world = await GrainWorld.StartAsync(new PoolPolicy { WarmIps = 1 });
        var executor = await world.JoinAsync(world.Launch());
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 1, "an address");
        await executor.SyncAsync();
        world.Documents.AwayFor = "node";
        executor.Incarnation++; // The document has to be written first.

        var away = Assert.IsType<AssignReply.NotYet>(await executor.AddAsync("pod-1"));

        Assert.Equal(ReasonCode.StoreAway, away.Why.Code);
        Assert.Contains("the store does not answer: the store is away, as the test wished", away.Why.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_may_draw_nothing_says_which_setting_it_is()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand with { Provisions = false });
        var executor = await world.JoinAsync(world.Launch());
        await UntilJoinedAsync(executor);

        Assert.Contains("DISABLE_NETWORK_RESOURCE_PROVISIONING", (await UntilWaitsForAsync(world, executor, ReasonCode.NotProvisioned)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_may_draw_nothing_any_more_does_not_go_on_about_its_dry_subnet()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand, "10.0.0.0/28");
        var executor = await world.JoinAsync(world.Launch());
        await UntilJoinedAsync(executor);
        world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 9 }));
        await UntilWaitsForAsync(world, executor, ReasonCode.SubnetEmpty);

        world.Settings.Pool = OnDemand with { Provisions = false };
        await UntilWaitsForAsync(world, executor, ReasonCode.NotProvisioned);
        world.Time.Shift(TimeSpan.FromSeconds(11)); // The ledger would be asked again.
        await UntilWaitsForAsync(world, executor, ReasonCode.NotProvisioned);
    }

    [Fact]
    public async Task A_dry_subnet_that_the_policy_has_dropped_is_not_told_any_more()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand with { Subnets = ["subnet-b"] }, "10.0.0.0/28");
        var executor = await world.JoinAsync(world.Launch());
        await UntilJoinedAsync(executor);
        world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-a", SecondaryCount = 9 }));
        world.Ec2.ByHand(vpc => vpc.CreateNetworkInterface(new CreateEni { SubnetId = "subnet-b", SecondaryCount = 250 }));
        world.Time.Shift(TimeSpan.FromMinutes(2)); // A sweep shows it.
        await UntilWaitsForAsync(world, executor, ReasonCode.SubnetEmpty, until: text => text.StartsWith("subnet-b", StringComparison.Ordinal));

        world.Settings.Pool = OnDemand;
        await UntilShiftedAsync("subnet-a");
        for (var asked = 0; asked < 5; asked++)
        {
            Assert.StartsWith("subnet-a", await UntilShiftedAsync("subnet"), StringComparison.Ordinal);
        }

        async Task<string> UntilShiftedAsync(string begins)
        {
            world.Time.Shift(TimeSpan.FromSeconds(11)); // The ledger is asked again.
            var syncs = 0;
            return (await UntilWaitsForAsync(world, executor, ReasonCode.SubnetEmpty, until: text => ++syncs > 3 && text.StartsWith(begins, StringComparison.Ordinal))).Text;
        }
    }

    [Fact]
    public async Task Who_waits_is_listed_in_turn_with_reason_and_time_and_counted_in_the_metric()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand with { Provisions = false });
        var id = world.Launch();
        var executor = await world.JoinAsync(id);
        await UntilJoinedAsync(executor);
        using var series = new Series(world.Metrics);
        Assert.All(series.Read(), one => Assert.Equal(0, one.Value));
        executor.Waiting.AddRange(new[] { 90, 30 }.Select((waited, pod) => new Waiter(new SandboxKey($"c{pod}", "eth0"), new PodName("shop", $"cart-{pod}", ""), executor.NextStamp(), waited)));

        await GrainWorld.UntilAsync(executor, _ => series.Read()[nameof(ReasonCode.NotProvisioned)] == 2, "the metric to show both");
        var waiting = await executor.Node.WaitingAsync();

        Assert.Equal([(id, "shop/cart-0"), (id, "shop/cart-1")], waiting.Select(pod => (pod.InstanceId, pod.Pod.ToString())));
        Assert.InRange(waiting[0].WaitedSeconds, 90, 110);
        Assert.InRange(waiting[1].WaitedSeconds, 30, 50);
        Assert.All(waiting, pod => Assert.Equal(ReasonCode.NotProvisioned, pod.Why.Code));
        Assert.EndsWith("1 pods of the node have waited longer and are served first.", waiting[1].Why.Text, StringComparison.Ordinal);
        var summary = await executor.Node.SummarizeAsync();
        Assert.Equal((2, waiting[0].Why.Text), (summary.Waiting, summary.Trouble));
        Assert.Equal(Enum.GetNames<ReasonCode>().Order(StringComparer.Ordinal), series.Read().Keys); // A bounded label.

        world.Settings.Pool = OnDemand;
        await GrainWorld.UntilAsync(executor, orders => orders.Lease.Length == 2, "an address for each");
        foreach (var waiter in executor.Waiting.ToArray())
        {
            Assert.IsType<AssignReply.Offered>(await executor.AddAsync(waiter.Sandbox.ContainerId, waiter.Stamp));
            executor.Waiting.Remove(waiter);
        }

        Assert.Empty(await executor.Node.WaitingAsync());
        await UntilAsync(executor, () => Task.FromResult(series.Read().Values.Sum() == 0), () => "the metric to fall to 0");
    }

    [Fact]
    public async Task An_activation_that_ends_takes_its_waiting_pods_out_of_the_metric()
    {
        await using var world = await GrainWorld.StartAsync(OnDemand with { Provisions = false });
        var executor = await world.JoinAsync(world.Launch());
        await UntilJoinedAsync(executor);
        using var series = new Series(world.Metrics);
        await UntilWaitsForAsync(world, executor, ReasonCode.NotProvisioned);
        await UntilAsync(executor, () => Task.FromResult(series.Read()[nameof(ReasonCode.NotProvisioned)] == 1), () => "the metric to show it");

        executor.Waiting.Clear(); // Else the next activation counts it again.
        world.Documents.Touch("node", executor.Node.GetGrainId());
        executor.Incarnation++;
        Assert.IsType<AssignReply.NotYet>(await executor.AddAsync("other")); // Its document write is lost: the activation ends.

        await UntilAsync(executor, () => Task.FromResult(series.Read().Values.Sum() == 0), () => "the metric to fall to 0");
    }

    /// <summary>The pod "waits" asks as an executor does, until it is told this reason.</summary>
    private async Task<Reason> UntilWaitsForAsync(GrainWorld world, FakeExecutor executor, ReasonCode code, Func<string, bool>? until = null)
    {
        BeginWaiting(executor);
        AssignReply? reply = null;
        await UntilAsync(executor, async () => (reply = await executor.AddAsync("waits", _waits)) is AssignReply.NotYet(var why) && why.Code == code && until?.Invoke(why.Text) != false,
            () => $"{code}; the last answer was {reply}");
        var told = ((AssignReply.NotYet)reply!).Why;
        Assert.Equal(code, Assert.Single(await world.Grains.GetGrain<INodeGrain>(executor.Node.GetPrimaryKeyString()).WaitingAsync()).Why.Code);
        return told;
    }

    private void BeginWaiting(FakeExecutor executor)
    {
        if (_waits is null)
        {
            _waits = executor.NextStamp();
            executor.Waiting.Add(new Waiter(new SandboxKey("waits", "eth0"), new PodName("default", "waits", ""), _waits.Value, 0));
        }
    }

    /// <summary>40 s, in which the executor is not away.</summary>
    private static async Task PassAsync(GrainWorld world, FakeExecutor executor)
    {
        for (var half = 0; half < 2; half++)
        {
            world.Time.Shift(TimeSpan.FromSeconds(20));
            await executor.SyncAsync();
        }
    }

    /// <summary>An ADD that waits for its address, and claims it.</summary>
    private static async Task<Ip> ServedAsync(FakeExecutor executor, string pod)
    {
        var waiter = new Waiter(new SandboxKey(pod, "eth0"), new PodName("default", pod, ""), executor.NextStamp(), 0);
        executor.Waiting.Add(waiter);
        AssignReply? reply = null;
        await UntilAsync(executor, async () => (reply = await executor.AddAsync(pod, waiter.Stamp)) is AssignReply.Offered, () => $"an address; the last answer was {reply}");
        var offered = (AssignReply.Offered)reply!;
        executor.Waiting.Remove(waiter);
        executor.Claims.Add(offered.Address, new Claim(waiter.Sandbox, waiter.Pod, offered.Address, offered.EniId, waiter.Stamp, 0));
        await executor.SyncAsync();
        return offered.Address;
    }

    private static Task UntilJoinedAsync(FakeExecutor executor) => UntilAsync(executor, async () => !(await executor.SyncAsync()).Interfaces.IsEmpty, () => "the interface");

    /// <summary>Syncs and asks, on each hint and each tenth of a second, until it holds.</summary>
    private static async Task UntilAsync(FakeExecutor executor, Func<Task<bool>> holds, Func<string> what)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await holds())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Patience, $"waited {Patience.TotalSeconds} s for: {what()}");
            await executor.Hinted.WaitAsync(TimeSpan.FromMilliseconds(100), Token);
            await executor.SyncAsync();
        }
    }

    /// <summary>What a collector of metrics sees of one silo.</summary>
    private sealed class Series : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly SortedDictionary<string, int> _last = new(StringComparer.Ordinal);

        public Series(NodeMetrics metrics)
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == metrics && instrument.Name == NodeMetrics.WaitingPods)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<int>((_, value, tags, _) => _last[(string)Assert.Single(tags.ToArray(), tag => tag.Key == "reason").Value!] = value);
            _listener.Start();
        }

        public SortedDictionary<string, int> Read()
        {
            _listener.RecordObservableInstruments();
            return new SortedDictionary<string, int>(_last, StringComparer.Ordinal);
        }

        public void Dispose() => _listener.Dispose();
    }
}
