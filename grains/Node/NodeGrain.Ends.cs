using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Node;

/// <content>An assignment ends: its row, and what the history says of it.</content>
public sealed partial class NodeGrain
{
    /// <summary>A silo's clock may have been set back since the same end was recorded.</summary>
    private static readonly TimeSpan ClocksDiffer = TimeSpan.FromMinutes(5);

    /// <summary>From a row to its claim, and what clocks differ by.</summary>
    private static readonly TimeSpan OffersTake = TimeSpan.FromSeconds(1);

    /// <summary>Of a report: a long outage leaves thousands, and the store takes many writes at a time.</summary>
    private const int EndsAtOnce = 16;

    private readonly Dictionary<Stamp, Task> _recorded = []; // By the stamp of their release: what reports go on naming until one is answered.

    /// <inheritdoc/>
    public Task<AddressRow?> HolderAsync(Ip address) => Task.FromResult(
        _use.RowAt(address) is { Released: null } row ? _use.ClaimOf(address) is { } own && own.Sandbox == row.Sandbox ? Began(row, _reportAt, own.HeldSeconds) : row
        : _use.IsOnPod(address) && _use.ClaimOf(address) is { } claim ? RowOf(claim, _reportAt) // Its row comes with a look, or is being written.
        : null);

    /// <inheritdoc/>
    public async Task<AddressHeld> HeldAsync(Ip address, DateTimeOffset? at)
    {
        // A lease is spent without silos. What the document does not list is in no lease, but where it is being made anew (ADR 0010).
        var maySpend = (!_isEnded || at is not null) && (EniOf(address) is not null || (_stored.Interfaces.IsEmpty && _stored.LeaseVersion > 0));
        var hasTold = _report is not null && (!IsSilent || at <= _reportAt);
        return new AddressHeld(await HolderAsync(address), maySpend && !hasTold ? _report is null ? _since : _reportAt : null);
    }

    /// <param name="at">When the claim was reported.</param>
    private AddressRow RowOf(Claim claim, DateTimeOffset at) => new()
    {
        NodeId = InstanceId, Address = claim.Address, Sandbox = claim.Sandbox, Pod = claim.Pod, Stamp = claim.Stamp, Since = at - TimeSpan.FromSeconds(claim.HeldSeconds),
    };

    /// <summary>All that a report names: those of one sandbox in their order. What one telling has not done before its caller gave up, the next one finds done.</summary>
    /// <param name="at">When the report came.</param>
    /// <exception cref="OrleansException">A later report has come, and names them, too: this one acknowledges nothing.</exception>
    private async Task EndAllAsync(NodeReport report, DateTimeOffset at, Func<bool> isOvertaken)
    {
        foreach (var some in report.Ended.GroupBy(ended => ended.Sandbox).Chunk(EndsAtOnce))
        {
            await Task.WhenAll(some.Select(async one =>
            {
                foreach (var ended in one)
                {
                    await EndNamedAsync(ended, at);
                }
            }));
            if (isOvertaken())
            {
                throw new OrleansException($"{InstanceId}: a later report has come while {report.Ended.Length} ended assignments of this one were recorded. Its answer holds.");
            }
        }
    }

    /// <summary>What the executor says has ended. A row of another address is an offer that it has not used; a claim that no silo has heard of is written into the
    /// history alone.</summary>
    /// <returns>Whether there was a row.</returns>
    private async Task<bool> EndNamedAsync(EndedAssignment ended, DateTimeOffset at)
    {
        var rows = _use.RowsOf(ended.Sandbox).Where(row => row.Stamp <= ended.Stamp).ToArray();
        var earlier = _recorded.TryGetValue(ended.Stamp, out var recording) && !recording.IsFaulted ? recording : null;
        if (earlier is null || rows.Length > 0)
        {
            var ending = EndAsync(ended, rows, at, isTold: earlier is not null);
            _recorded[ended.Stamp] = earlier is null ? ending : Task.WhenAll(earlier, ending);
        }

        await _recorded[ended.Stamp]; // Also another call's: an answer says that it is stored.
        return rows.Length > 0;
    }

    private async Task EndAsync(EndedAssignment ended, AddressRow[] rows, DateTimeOffset at, bool isTold)
    {
        var freed = at - TimeSpan.FromSeconds(ended.FreedSeconds);
        bool WasUsed(AddressRow row) => row.Address == ended.Address;
        await Task.WhenAll(rows.Select(row => EndAsync(WasUsed(row) && ended.Had is { } had ? Began(row, at, had.HeldSeconds) : row, freed, WasUsed(row))));
        if (!isTold && !rows.Any(WasUsed) && ended is { Address: { } address, Had: { } claim })
        {
            await RecordAsync(new AddressRow
            {
                NodeId = InstanceId, Address = address, Sandbox = ended.Sandbox, Pod = claim.Pod, Stamp = claim.Stamp,
                Since = at - TimeSpan.FromSeconds(claim.HeldSeconds), Released = freed,
            });
        }
    }

    /// <summary>The row with the moment of its claim, when it was written only after that: where a silo answered late, the executor had spent its lease.</summary>
    private static AddressRow Began(AddressRow row, DateTimeOffset now, double heldSeconds) =>
        now - TimeSpan.FromSeconds(heldSeconds) is var claimed && row.Since - claimed > OffersTake ? row with { Since = claimed } : row;

    /// <summary>An end that has no row here. It may be in the history all the same, by a call whose answer was lost, with a beginning that differs by moments.</summary>
    private async Task RecordAsync(AddressRow ended)
    {
        var known = await book.ReadHistoryAsync(ended.Address, ended.Since - ClocksDiffer, time.GetUtcNow() + ClocksDiffer, CancellationToken.None);
        if (!known.Any(one => one.NodeId == InstanceId && one.Sandbox == ended.Sandbox && one.Stamp == ended.Stamp))
        {
            await book.TryReleaseAsync(ended, CancellationToken.None);
        }
    }

    /// <param name="wasUsed">Its executor has claimed it. Else it is in no history.</param>
    private async Task EndAsync(AddressRow row, DateTimeOffset freed, bool wasUsed)
    {
        var ended = row with { Released = freed };
        _use.Set(ended); // Before the await; a store that is away makes the caller ask again.
        try
        {
            if (!await (wasUsed ? book.TryReleaseAsync(ended, CancellationToken.None) : book.TryWithdrawAsync(ended, CancellationToken.None)))
            {
                Lose("the row of " + row.Address + " is not the one that was read");
            }
        }
        catch (StoreException)
        {
            _use.Set(row);
            throw;
        }

        LogReleased(InstanceId, row.Sandbox, row.Address);
    }
}
