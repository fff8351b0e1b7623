using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Core.Instances;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Subnet;
using AwsVpcCni.Grains.Vpc;

namespace AwsVpcCni.Grains.Node;

/// <content>The end of a node whose instance is gone: its rows end, its ledgers hear that it holds nothing, its document goes, and the register forgets
/// it. Each step can be done again, and the register calls a grain that was stopped on the way.</content>
public sealed partial class NodeGrain
{
    private InstanceFate _fate;
    private DateTimeOffset _goneAt; // When it was known; a later activation finds it out anew.

    /// <summary>Any look tells this, however old: nobody comes back.</summary>
    private void LookAtFate(InstanceView view)
    {
        var (now, wasGone) = (time.GetUtcNow(), _fate.IsGone);
        _fate = _fate.Looked(view.Instance?.State, now);
        if (_fate.IsGone && !wasGone)
        {
            (_goneAt, _isEnded) = (now, true);
            LogGone(InstanceId, _fate.IsTerminated ? "terminated" : "not found");
            Kick();
        }
    }

    private async Task RetireAsync()
    {
        if (_lost || !_fate.IsGone)
        {
            return;
        }

        try
        {
            await EndWhatIsLeftAsync();

            // What EC2 was asked for comes to its end first. And whatever was on a pod rests from the moment when no pod can have it any more.
            var isRested = _doc.Interfaces.IsEmpty || (time.GetUtcNow() - _goneAt).Duration() >= Policy.Cooldown;
            if (!isRested || !_doc.Intents.IsEmpty)
            {
                return;
            }

            await TellLedgersAsync();
            if (_fate.IsGone && !_lost && _doc.Intents.IsEmpty && !_use.Standing.Any() && _writing.IsCompleted) // Else it has been heard meanwhile, or hears of something just now.
            {
                await FinishAsync();
            }
        }
        catch (StoreException exception)
        {
            LogStoreAway(InstanceId, exception.Message);
        }
        catch (Exception exception) when (exception is TimeoutException or OrleansException)
        {
            LogNotRetired(InstanceId, exception); // Of a ledger, or the way to it; or another activation has written.
        }
    }

    /// <summary>What the last report said has ended may not be stored, since nobody says it again. What a report has shown without a row is known by it alone; what none
    /// has shown as claimed was an offer, if there was one.</summary>
    private async Task EndWhatIsLeftAsync()
    {
        if (_report is { } last)
        {
            await EndAllAsync(last, _reportAt, () => false);
        }

        foreach (var row in _use.Standing.ToArray())
        {
            var claim = _use.ClaimOf(row.Address) is { } own && own.Sandbox == row.Sandbox ? own : null;
            await EndAsync(claim is null ? row : Began(row, _reportAt, claim.HeldSeconds), _goneAt, wasUsed: claim is not null || _report is null || row.Stamp > Settled(_report) || row.Stamp.Incarnation < _report.Stamp.Incarnation);
        }

        foreach (var claim in _report?.Claims.Where(claim => _use.IsOnPod(claim.Address) && _use.RowAt(claim.Address) is not { Released: null }).ToArray() ?? [])
        {
            var ended = RowOf(claim, _reportAt) with { Released = _goneAt };
            await RecordAsync(ended);
            _use.Set(ended);
        }
    }

    private async Task TellLedgersAsync()
    {
        var held = _doc.Interfaces.ToLookup(eni => eni.SubnetId, AllOf, StringComparer.Ordinal);
        foreach (var subnet in held.Select(one => one.Key).Union(_doc.Siblings.Select(one => one.SubnetId)).Order(StringComparer.Ordinal))
        {
            await grains.GetGrain<ISubnetGrain>(subnet).RetiredAsync(InstanceId, _stored.Change, [.. held[subnet].SelectMany(blocks => blocks)]);
        }
    }

    /// <summary>From here on this activation answers nobody. What it leaves undone, the next one does: the register has it until all is done.</summary>
    private async Task FinishAsync()
    {
        (_lost, _lostWhy) = (true, new Reason(ReasonCode.NodeStarting, $"{InstanceId}: its instance is gone, and the node is being retired. Check the instance that the node's token names."));
        this.DeactivateOnIdle();
        foreach (var row in await book.ReadNodeAsync(InstanceId, CancellationToken.None)) // Another activation may have written more than this one knows.
        {
            if (!await book.TryRemoveAsync(InstanceId, row.Address, CancellationToken.None))
            {
                return; // Another activation has written it.
            }
        }

        if (document.RecordExists)
        {
            await document.ClearStateAsync();
            metrics.Retired();
            LogRetired(InstanceId);
        }

        grains.GetGrain<IVpcGrain>(settings.VpcId).RetiredAsync(InstanceId).Ignore();
    }
}
