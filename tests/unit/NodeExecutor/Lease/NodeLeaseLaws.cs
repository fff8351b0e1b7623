using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;
using CsCheck;
using Xunit;
using static AwsVpcCni.Tests.Unit.NodeExecutor.Lease.LeaseBuilder;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

/// <summary>Whatever order ADDs, DELs, reports and orders of any age come in.</summary>
public sealed class NodeLeaseLaws
{
    private const int Addresses = 5;
    private static readonly Gen<Step[]> Steps =
        Gen.Select(Gen.Int[0, 9], Gen.Int[0, 3], Gen.Int[0, Addresses - 1], Gen.Int[0, 20], (kind, sandbox, n, wait) => new Step(kind, sandbox, n, wait))
            .Array[0, 80];

    [Fact]
    public void No_address_is_on_two_sandboxes_and_each_rests_and_nothing_older_adds_after_a_consent_and_numbers_settle_upwards() =>
        Steps.Sample(steps => new Play().Run(steps), iter: 2_000);

    private sealed record Step(int Kind, int Sandbox, int N, int Wait);

    /// <summary>Keeps its own account of kernel links, freed times and consents, and compares.</summary>
    private sealed class Play
    {
        private readonly Dictionary<Ip, SandboxKey> links = [];
        private readonly HashSet<Ip> leaving = [];
        private readonly Dictionary<Ip, TimeSpan> gone = [];
        private readonly Dictionary<Ip, long> consentedAt = [];
        private readonly Dictionary<SandboxKey, long> open = [];
        private readonly List<NodeOrders> sent = [];
        private NodeLease lease = Node(Addresses);
        private long turn;
        private long settled;
        private TimeSpan now;

        public void Run(Step[] steps)
        {
            foreach (var step in steps)
            {
                now += TimeSpan.FromSeconds(step.Wait);
                Do(step);
                Check();
            }
        }

        private void Do(Step step)
        {
            var sandbox = Sandbox(step.Sandbox);
            switch (step.Kind)
            {
                case 0 or 1:
                    (lease, var start) = lease.Begin(sandbox, Pod, ++turn, now);
                    if (start is AddStart.Asks(var number))
                    {
                        open[sandbox] = number;
                    }

                    break;
                case 2 when open.TryGetValue(sandbox, out var offering):
                    (lease, var offered) = lease.TryClaim(sandbox, offering, Address(step.N), now);
                    Claimed(sandbox, offered);
                    break;
                case 3 when open.TryGetValue(sandbox, out var picking):
                    (lease, var own) = lease.ClaimBest(sandbox, picking, now);
                    Claimed(sandbox, own);
                    break;
                case 4:
                    lease = lease.Delete(sandbox, ++turn, now).Lease;
                    Leaves(sandbox);
                    break;
                case 5 when open.TryGetValue(sandbox, out var failed):
                    lease = lease.Undo(sandbox, failed).Lease;
                    Leaves(sandbox); // Each ADD that has begun is over or is undone here: numbers in "open" are the latest.
                    break;
                case 6 when links.TryGetValue(Address(step.N), out var owner):
                    lease = lease.LinkGone(owner, Address(step.N), now);
                    if (leaving.Remove(Address(step.N)))
                    {
                        links.Remove(Address(step.N));
                        gone[Address(step.N)] = now;
                    }

                    break;
                case 7 or 8:
                    (lease, var report) = lease.Report(now);
                    Assert.True(report.SettledNumber < open.Values.Where(IsOpen).DefaultIfEmpty(long.MaxValue).Min());
                    int[] giveUp = step.Kind == 7 ? [step.N] : [];
                    sent.Add(Orders(report, sent.Count + 2, [.. Enumerable.Range(0, Addresses).Except(giveUp)], giveUp));
                    break;
                case 9 when sent.Count > 0: // Any of the orders that were ever on their way, even twice.
                    Applied(sent[(step.N + (step.Sandbox * Addresses)) % sent.Count]);
                    break;
            }
        }

        private void Leaves(SandboxKey sandbox) => leaving.UnionWith(links.Where(link => link.Value == sandbox).Select(link => link.Key));

        private bool IsOpen(long number) => lease.Adds.Values.Any(add => add.Number == number);

        private void Claimed(SandboxKey sandbox, ClaimResult result)
        {
            if (result is not ClaimResult.Claimed(var grant))
            {
                return;
            }

            Assert.True(links.TryAdd(grant.Address, sandbox), $"{grant.Address} is on {links[grant.Address]} and {sandbox}");
            Assert.True(!gone.TryGetValue(grant.Address, out var at) || now - at >= TimeSpan.FromSeconds(Policy.CooldownSeconds));
            Assert.False(consentedAt.ContainsKey(grant.Address), $"{grant.Address} was given up");
        }

        private void Applied(NodeOrders orders)
        {
            var before = lease;
            (lease, var applied) = lease.Apply(orders, now);
            Assert.True(applied.MustSave || lease.Version == before.Version);
            foreach (var address in orders.GiveUp.Where(a => orders.LeaseVersion >= before.Version && !lease.Slots.ContainsKey(a)))
            {
                consentedAt[address] = orders.LeaseVersion;
            }

            foreach (var leased in orders.Lease.Where(l => orders.LeaseVersion > before.Version))
            {
                consentedAt.Remove(leased.Address); // A document that was stored after the consent may add it again.
            }
        }

        private void Check()
        {
            Assert.True(lease.SettledNumber >= settled);
            settled = lease.SettledNumber;
            Assert.Equal(links.Where(link => !leaving.Contains(link.Key)).OrderBy(link => link.Key).Select(link => (link.Value, link.Key)),
                lease.Claims.OrderBy(claim => claim.Value).Select(claim => (claim.Key, claim.Value)));
            Assert.Equal(lease.Claims.Count, lease.Claims.Values.Distinct().Count());
            Assert.All(consentedAt, given => Assert.True(!lease.Slots.ContainsKey(given.Key) && lease.Version >= given.Value));
            Assert.All(links.Keys, address => Assert.True(
                lease.Slots[address].Hold is not null, $"{address} has a link, and the lease does not know"));
        }
    }
}
