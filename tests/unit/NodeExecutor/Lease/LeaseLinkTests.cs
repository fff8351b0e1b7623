using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

public sealed class LeaseLinkTests : IDisposable
{
    private readonly OneThread lane = new();
    private readonly Silo silo = new();
    private readonly Store store = new();
    private readonly FakeInterfaces interfaces = new();
    private readonly Lines log = new();
    private readonly CancellationTokenSource stop = new();
    private LeaseLink link = null!;

    /// <summary>A node whose loops run, with addresses 0 to 2.</summary>
    private void Begin(NodeLease? lease = null)
    {
        link = new LeaseLink(silo, store, lane.Time, new LeaseLinkOptions(), lease ?? Node(), interfaces, log);
        lane.Do(() => _ = link.RunAsync(stop.Token));
    }

    public void Dispose() => stop.Dispose();

    /// <summary>What the log says of silos.</summary>
    private IEnumerable<string> SaidOfSilos => log.Said.Where(line => line.Contains(" 3121 ", StringComparison.Ordinal) || line.Contains(" 3122 ", StringComparison.Ordinal));

    private Task<AddOutcome> Add(int sandbox, long turn = 0) => AddUntil(sandbox, turn, CancellationToken.None);

    private Task<AddOutcome> AddUntil(int sandbox, long turn, CancellationToken killed, TimeSpan waited = default) =>
        lane.Start(() => link.AssignAsync(Sandbox(sandbox), Pod, "aws-cni", turn, waited, killed));

    private static AddOutcome? OutcomeOf(Task<AddOutcome> add) => add.IsCompletedSuccessfully ? add.Result : null;

    private static Ip? AddressOf(Task<AddOutcome> add) => OutcomeOf(add) is AddOutcome.Granted(var grant, _) ? grant.Address : null;

    private static AssignReply.Offered Offer(int n) => new AssignReply.Offered(Address(n), Eni);

    private static AssignReply.NotYet NotYet(ReasonCode code) => new AssignReply.NotYet(new Reason(code, $"because of {code}"));

    [Fact]
    public void An_offer_is_claimed_and_in_the_file_before_the_ADD_goes_on()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(Offer(1));

        Assert.Equal(Address(1), AddressOf(Add(1)));
        Assert.Equal(Sandbox(1), Assert.IsType<LeaseEntry.Claimed>(Assert.Single(store.Appended)).Hold.Sandbox);
    }

    [Fact]
    public void Silos_that_stay_away_are_said_once_and_then_once_a_minute_with_a_count()
    {
        silo.OnSync = _ => throw new NodeApiException("No silo answers.");
        Begin();
        lane.Pass(130);
        Assert.Equal(3, SaidOfSilos.Count());
        Assert.Equal("Warning 3121 No silo answers.", SaidOfSilos.First());
        Assert.All(SaidOfSilos.Skip(1), line => Assert.Matches(@"^Warning 3121 No silo answers\. \(5\d times more since this was said last\)$", line));

        silo.OnSync = report => Orders(report, report.LeaseVersion, []);
        lane.Pass(5);
        Assert.Equal(["Information 3122 A silo answers again."], SaidOfSilos.Skip(3));
    }

    [Fact]
    public void A_silo_that_fails_and_answers_by_turns_does_not_fill_the_log()
    {
        var asked = 0;
        silo.OnSync = report => ++asked % 2 == 0 ? Orders(report, report.LeaseVersion, []) : throw new NodeApiException("away");
        Begin();
        lane.Pass(50);
        Assert.True(asked > 4);
        Assert.Equal(["Warning 3121 away", "Information 3122 A silo answers again."], SaidOfSilos);
    }

    [Fact]
    public void An_ADD_that_waits_knows_why_and_when_a_silo_answered()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.Cooling));
        Add(1);
        Assert.Equal(ReasonCode.Cooling, link.Snapshot().Lease.Adds[Sandbox(1)].Why!.Code);
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.SubnetEmpty));
        lane.Pass(1.1);
        Assert.Equal(ReasonCode.SubnetEmpty, link.Snapshot().Lease.Adds[Sandbox(1)].Why!.Code);

        silo.OnAssign = _ => throw new NodeApiException("away");
        silo.OnSync = _ => throw new NodeApiException("away");
        lane.Pass(30);
        Assert.InRange(link.Snapshot().Contact!.Value.TotalSeconds, 19, 31);
        Assert.Equal("away", link.Snapshot().Failure);
    }

    [Fact]
    public void A_node_whose_lease_file_cannot_be_written_says_so_until_it_can()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(Offer(1));
        Assert.Null(link.WhyNotServable());
        store.Fails = true;
        Add(1);

        Assert.Contains("lease file cannot be written", link.WhyNotServable()!.Text, StringComparison.Ordinal);
        store.Fails = false; // No ADD comes to try it: the runtime knows.
        Assert.Null(link.WhyNotServable());
    }

    [Fact]
    public void A_claim_that_cannot_be_written_is_not_made()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(Offer(1));
        store.Fails = true;

        Assert.Contains("lease file cannot be written", Assert.IsType<AddOutcome.Failed>(OutcomeOf(Add(1))).Text, StringComparison.Ordinal);
        Assert.Empty(link.Lease.Claims);
    }

    [Fact]
    public void A_DEL_whose_release_is_answered_at_once_says_what_its_link_had()
    {
        Begin(Node().WithClaim(9, 0));
        Grant? had = null;
        lane.Do(() => had = link.Delete(Sandbox(9), turn: 1));

        Assert.Equal(Address(0), had!.Address);
        Assert.Single(silo.Released);
        Assert.Empty(link.Lease.Ended);
    }

    [Fact]
    public void Without_an_answer_the_lease_is_spent_after_400_ms()
    {
        Begin();
        silo.OnAssign = _ => new TaskCompletionSource<AssignReply>().Task;
        var add = Add(1);
        lane.Pass(0.35);
        Assert.False(add.IsCompleted);
        lane.Pass(0.1);

        Assert.NotNull(AddressOf(add));
    }

    [Fact]
    public void When_every_silo_is_away_the_lease_is_spent_at_once_and_reported()
    {
        Begin();
        silo.OnAssign = _ => throw new NodeApiException("away");
        var reports = silo.Reports.Count;

        Assert.NotNull(AddressOf(Add(1)));
        lane.Pass(0.2);
        Assert.Equal(Sandbox(1), Assert.Single(silo.Reports[reports..].Last().Claims).Sandbox);
    }

    [Fact]
    public void An_answer_that_comes_after_the_lease_was_spent_changes_nothing()
    {
        Begin();
        var late = new TaskCompletionSource<AssignReply>();
        silo.OnAssign = _ => late.Task;
        var add = Add(1);
        lane.Pass(0.5);
        var taken = AddressOf(add)!.Value;
        lane.Do(() => late.SetResult(Offer(2)));

        Assert.Equal([taken], link.Lease.Claims.Values);
    }

    [Fact]
    public void When_the_store_is_away_the_grain_says_so_and_the_lease_is_spent()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.StoreAway));

        Assert.NotNull(AddressOf(Add(1)));
    }

    [Fact]
    public void An_offer_from_a_newer_document_waits_for_its_orders()
    {
        Begin(Node(1));
        silo.OnAssign = _ => Task.FromResult<AssignReply>(Offer(2));
        silo.OnSync = report => Orders(report, version: 2, [0, 2]);

        var add = Add(1);
        lane.Pass(0.2);
        Assert.Equal(Address(2), AddressOf(add));
        Assert.All(silo.Asked, request => Assert.Empty(request.Refused));
    }

    [Fact]
    public void A_refused_offer_is_named_and_another_one_asked_for()
    {
        Begin(Node().WithClaim(9, 0));
        silo.OnAssign = request => Task.FromResult<AssignReply>(Offer(request.Refused.IsEmpty ? 0 : 1));

        Assert.Equal(Address(1), AddressOf(Add(1)));
        Assert.Equal(new Refusal(Address(0), RefusalCode.Claimed, null), Assert.Single(silo.Asked.Last().Refused));
        Assert.Single(silo.Asked.Select(request => request.Stamp).Distinct());
    }

    [Fact]
    public void A_waiting_ADD_is_reported_as_demand_and_asks_again_each_second()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.Drawing));
        var add = Add(1);
        lane.Pass(0.2);
        Assert.Equal(Sandbox(1), Assert.Single(silo.Reports.Last().Waiting).Sandbox);
        var asked = silo.Asked.Count;
        lane.Pass(5);

        Assert.InRange(silo.Asked.Count - asked, 4, 7);
        Assert.False(add.IsCompleted);
    }

    [Fact]
    public void A_hint_serves_a_waiting_ADD_at_once()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.Drawing));
        var add = Add(1);
        lane.Pass(0.3);
        silo.OnAssign = _ => Task.FromResult<AssignReply>(Offer(0));
        lane.Do(silo.Hint);
        lane.Pass(0.1);

        Assert.Equal(Address(0), AddressOf(add));
    }

    [Fact]
    public void An_ADD_gives_up_at_its_deadline_with_the_last_reason()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.SubnetEmpty));
        var add = Add(1);
        lane.Pass(199);
        Assert.False(add.IsCompleted);
        lane.Pass(2);

        Assert.Equal(new AddOutcome.Failed(true, "No address after 200 s. because of SubnetEmpty"), OutcomeOf(add));
        Assert.Empty(link.Lease.Adds);
    }

    [Fact] // F14: the daemon that is away is no reason by itself; what the lease could still give is.
    public void With_every_silo_away_an_ADD_ends_with_the_leases_numbers()
    {
        Begin(Node().WithClaim(7, 0).WithClaim(8, 1).WithClaim(9, 2));
        lane.Do(() => link.Delete(Sandbox(9), turn: 1));
        lane.Do(() => link.LinkGone(Sandbox(9), Address(2)));
        silo.OnAssign = _ => throw new NodeApiException("10.0.0.2:8443 refuses the connection");
        var add = AddUntil(1, 1, CancellationToken.None, waited: TimeSpan.FromSeconds(190));
        lane.Pass(10.5);

        var failed = Assert.IsType<AddOutcome.Failed>(OutcomeOf(add));
        Assert.True(failed.CanRetry);
        Assert.Matches(@"Its lease has 3 addresses: 2 on pods, 1 cooling \(the first for (19|20) s more\); 1 pods wait\.", failed.Text);
        Assert.Contains("10.0.0.2:8443 refuses the connection", failed.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void When_store_and_lease_are_at_an_end_an_ADD_ends_with_both()
    {
        Begin(Node(1).WithClaim(8, 0));
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.StoreAway));
        var add = Add(1);
        lane.Pass(201);

        Assert.Equal(new AddOutcome.Failed(true, "No address after 200 s. because of StoreAway Its lease has 1 addresses: 1 on pods, 0 cooling; 1 pods wait."), OutcomeOf(add));
    }

    [Fact]
    public void What_an_ADD_has_waited_for_an_earlier_request_of_its_sandbox_counts()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.SubnetEmpty));
        var add = AddUntil(1, 1, CancellationToken.None, waited: TimeSpan.FromSeconds(150));

        lane.Pass(49);
        Assert.False(add.IsCompleted);
        lane.Pass(2);
        Assert.IsType<AddOutcome.Failed>(OutcomeOf(add));
    }

    [Fact]
    public void Never_answers_at_once()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(new AssignReply.Never(new Reason(ReasonCode.NodeFull, "full")));

        Assert.Equal(new AddOutcome.Failed(false, "full"), OutcomeOf(Add(1)));
    }

    [Fact]
    public void A_DEL_ends_a_waiting_ADD_and_tells_the_grain_under_a_later_number()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.Drawing));
        var add = Add(1, turn: 1);
        lane.Do(() => link.Delete(Sandbox(1), turn: 2));

        Assert.Contains("a DEL has come", Assert.IsType<AddOutcome.Failed>(OutcomeOf(add)).Text, StringComparison.Ordinal);
        var told = Assert.Single(silo.Released);
        Assert.True(told.Stamp.Number > silo.Asked.Single().Stamp.Number);
    }

    [Fact]
    public void A_DEL_while_the_grain_answers_makes_the_late_ADD_lose()
    {
        Begin();
        var answer = new TaskCompletionSource<AssignReply>();
        silo.OnAssign = _ => answer.Task;
        var add = Add(1, turn: 1);
        lane.Do(() => link.Delete(Sandbox(1), turn: 2));
        lane.Do(() => answer.SetResult(Offer(0)));

        Assert.IsType<AddOutcome.Failed>(OutcomeOf(add));
        Assert.Empty(link.Lease.Claims);
    }

    [Fact]
    public void A_plugin_that_is_killed_leaves_nothing_waiting()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(NotYet(ReasonCode.Drawing));
        using var killed = new CancellationTokenSource();
        var add = AddUntil(1, 0, killed.Token);
        lane.Do(killed.Cancel);

        Assert.Equal(TaskStatus.Canceled, add.Status);
        Assert.Empty(link.Lease.Adds);
        Assert.Equal(Sandbox(1), Assert.Single(silo.Released).Sandbox);
    }

    [Fact]
    public void A_DEL_succeeds_with_everything_down_and_is_reported_until_acknowledged()
    {
        Begin();
        silo.OnAssign = _ => Task.FromResult<AssignReply>(Offer(0));
        Add(1);
        store.Fails = true;
        silo.OnRelease = _ => throw new NodeApiException("away");
        silo.OnSync = _ => throw new NodeApiException("away");
        Grant? held = null;
        lane.Do(() => held = link.Delete(Sandbox(1), turn: 9));
        Assert.Equal(Address(0), held?.Address);
        lane.Do(() => link.LinkGone(Sandbox(1), Address(0)));
        lane.Pass(30);
        Assert.Equal(Sandbox(1), Assert.Single(silo.Reports.Last().Ended).Sandbox);
        silo.OnSync = report => Orders(report, 1, [0, 1, 2]);
        lane.Pass(11);

        Assert.Empty(link.Lease.Ended);
    }

    [Fact]
    public void A_consent_is_on_disk_before_it_is_told()
    {
        silo.OnSync = report => Orders(report, 7, [0, 1], giveUp: [2]);
        store.Fails = true;
        Begin();
        lane.Pass(3);
        Assert.All(silo.Reports, report => Assert.Equal((1, 3), (report.LeaseVersion, report.Leased.Length)));
        store.Fails = false;
        lane.Pass(2);

        Assert.Equal((7, 2), (silo.Reports.Last().LeaseVersion, silo.Reports.Last().Leased.Length));
        Assert.Equal(7, store.Saved.Last().Version);
    }

    [Fact]
    public void A_node_without_a_file_serves_after_its_first_sync()
    {
        silo.OnSync = _ => throw new NodeApiException("no silo yet");
        silo.OnAssign = _ => Task.FromResult<AssignReply>(Offer(0));
        Begin(new NodeLease { InstanceId = "i-1" });
        var add = Add(1);
        lane.Pass(3);
        Assert.Empty(silo.Asked); // Without an incarnation no request.
        silo.OnSync = report => Orders(report, 4, [0]) with { Incarnation = 6 };
        lane.Pass(2);

        Assert.Equal(Address(0), AddressOf(add));
        Assert.Equal(6, silo.Asked.First().Stamp.Incarnation);
    }

    [Fact]
    public void Nothing_happens_for_ten_seconds_when_nothing_changes()
    {
        Begin();
        lane.Pass(1);
        var reports = silo.Reports.Count;
        lane.Pass(20);

        Assert.InRange(silo.Reports.Count - reports, 2, 3);
    }

    [Fact]
    public void A_DEL_takes_away_the_address_that_it_has_ended_not_one_that_is_still_leaving()
    {
        Begin(Node().WithClaim(1, 0, turn: 1).Delete(Sandbox(1), 2, At(0)).Lease.WithClaim(1, 1, turn: 3));

        Assert.Equal(Address(1), link.Delete(Sandbox(1), turn: 4)?.Address);
    }

    private sealed class Store : ILeaseStore
    {
        public List<NodeLease> Saved { get; } = [];

        public List<LeaseEntry> Appended { get; } = [];

        public bool Fails { get; set; }

        public void Save(NodeLease lease)
        {
            ThrowIfFailing();
            Saved.Add(lease);
        }

        public void Append(LeaseEntry entry, NodeLease after)
        {
            ThrowIfFailing();
            Appended.Add(entry);
        }

        private void ThrowIfFailing()
        {
            if (Fails)
            {
                throw new IOException("disk full");
            }
        }
    }

    /// <summary>A silo whose answers are the test's. Everything completes on the test's thread.</summary>
    private sealed class Silo : INodeApi
    {
        private Action hint = () => { };

        public List<AssignRequest> Asked { get; } = [];

        public List<ReleaseRequest> Released { get; } = [];

        public List<NodeReport> Reports { get; } = [];

        public Func<AssignRequest, Task<AssignReply>> OnAssign { get; set; } = _ => throw new NodeApiException("away");

        public Func<NodeReport, NodeOrders> OnSync { get; set; } = report => Orders(report, report.LeaseVersion, []);

        public Func<ReleaseRequest, ReleaseReply> OnRelease { get; set; } = _ => new ReleaseReply { Known = true };

        public void Hint() => hint();

        public async Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation)
        {
            Asked.Add(request);
            return await OnAssign(request).WaitAsync(cancellation);
        }

        public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation)
        {
            Released.Add(request);
            try
            {
                return Task.FromResult(OnRelease(request)); // At once, as the quickest of silos: whoever called goes on without a pause.
            }
            catch (NodeApiException e)
            {
                return Task.FromException<ReleaseReply>(e);
            }
        }

        public async Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation)
        {
            await Task.Yield();
            Reports.Add(report);
            return OnSync(report);
        }

        public async Task ListenAsync(Action hint, CancellationToken cancellation)
        {
            this.hint = hint;
            await new TaskCompletionSource().Task.WaitAsync(cancellation);
        }
    }
}
