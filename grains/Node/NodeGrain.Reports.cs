using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Node;

/// <content>What the executor reports, and what it is told in answer.</content>
public sealed partial class NodeGrain
{
    /// <inheritdoc/>
    public async Task<NodeOrders> SyncAsync(NodeReport report)
    {
        if (report.Claims.Length > MostPods || report.Waiting.Length > MostPods)
        {
            throw new ArgumentException($"{InstanceId}: a report of {report.Claims.Length} claims and {report.Waiting.Length} waiting pods; a node has at most {MostPods} of each.");
        }

        if (_fate.IsTerminated)
        {
            ThrowIfLost();
            await EndAllAsync(report, time.GetUtcNow(), () => false);
            ThrowIfLost();
            return Orders(report); // It was sent before the end.
        }

        _fate = _fate.Heard();
        var incarnation = report.Stamp.Incarnation;
        if (incarnation == 0)
        {
            await StoreAsync(_doc with { Incarnation = _doc.Incarnation + 1 });
        }
        else if (incarnation >= _doc.Incarnation && (_report is null || report.Stamp > _report.Stamp))
        {
            if (incarnation > _doc.Incarnation)
            {
                await StoreAsync(_doc with { Incarnation = incarnation });
            }

            if (report.LeaseVersion > _doc.LeaseVersion)
            {
                // The store is older than the node (ADR 0010): what it lists may have moved away. Go on above the node's version, from what EC2 shows.
                LogOlderStore(InstanceId, _doc.LeaseVersion, report.LeaseVersion);
                await StoreAsync(_doc with { LeaseVersion = report.LeaseVersion + 1, Interfaces = [], Intents = [] });
            }

            if (!_lost && (_report is null || report.Stamp > _report.Stamp)) // A later one may have come meanwhile.
            {
                _looks = _report is null ? 0 : _looks; // What looks have shown before was not used.
                _report = report;
                _reportAt = time.GetUtcNow();
                await TakeInAsync(report);
            }
        }

        ThrowIfLost();
        Kick();
        return Orders(report);
    }

    /// <summary>Takes a report in: rows become what the executor says, since its claim is what makes an address used. Ends when a later report
    /// comes in between: what this one says may have ended since.</summary>
    private async Task TakeInAsync(NodeReport report)
    {
        bool IsOvertaken() => !ReferenceEquals(_report, report);
        var now = time.GetUtcNow();
        var before = _use.Report(report, now);
        // A report has shown it; or an executor that has ended since, which may have lost what it had claimed with its machine's power.
        bool WasUsed(AddressRow row) => before.GetValueOrDefault(row.Address)?.Sandbox == row.Sandbox || row.Stamp.Incarnation < report.Stamp.Incarnation;
        foreach (var told in _recorded.Keys.Except(report.Ended.Select(ended => ended.Stamp)).ToArray())
        {
            _recorded.Remove(told);
        }

        foreach (var (sandbox, _) in _waiters.Where(waiter => waiter.Value.Stamp < report.Stamp).ToArray())
        {
            _waiters.Remove(sandbox);
        }

        foreach (var waiter in report.Waiting)
        {
            _waiters[waiter.Sandbox] = new WaitingAdd(waiter.Stamp, waiter.Pod, now - TimeSpan.FromSeconds(waiter.WaitedSeconds));
        }

        await EndAllAsync(report, now, IsOvertaken);

        // What was offered and settled without a claim of just this address has ended: an ADD may have claimed another one.
        foreach (var row in _use.Standing.Where(row => row.Stamp <= Settled(report) && _use.ClaimOf(row.Address)?.Sandbox != row.Sandbox).ToArray())
        {
            if (IsOvertaken())
            {
                return;
            }

            await EndAsync(row, now, WasUsed(row));
        }

        // What the document does not list gets its row once a look has shown it; until then the claim alone keeps it from others.
        foreach (var claim in report.Claims.Where(claim => EniOf(claim.Address) is not null))
        {
            if (IsOvertaken())
            {
                return;
            }

            if (_use.RowAt(claim.Address) is { Released: null } standing)
            {
                if (standing.Sandbox == claim.Sandbox || standing.Stamp > Settled(report))
                {
                    continue; // As it should be; or an offer under way, which the executor will refuse.
                }

                await EndAsync(standing, now, WasUsed(standing));
                if (IsOvertaken())
                {
                    return;
                }
            }

            var row = RowOf(claim, now);
            _use.Set(await book.TryAssignAsync(row, CancellationToken.None) ?? row);
            LogReported(InstanceId, claim.Sandbox, claim.Address);
        }
    }

    private NodeOrders Orders(NodeReport report) => new()
    {
        Answers = report.Stamp,
        Incarnation = _stored.Incarnation,
        LeaseVersion = _stored.LeaseVersion,
        Lease = [.. from eni in _stored.Interfaces from held in eni.Addresses select new LeasedAddress(held.Address, eni.EniId)],
        GiveUp = [.. from eni in _stored.Interfaces from held in eni.Addresses where held.AskedBackAt is not null select held.Address],
        Interfaces = [.. _stored.Interfaces.Select(eni => new InterfaceOrder(eni.EniId, eni.Mac, eni.DeviceIndex, eni.NetworkCard, eni.PrimaryAddress, eni.SubnetCidr))],
        Policy = new NodePolicy(Policy.Cooldown.TotalSeconds, Policy.PreferredRest.TotalSeconds),
    };

    private static Stamp Settled(NodeReport report) => report.Stamp with { Number = report.SettledNumber };
}
