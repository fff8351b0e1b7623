using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Grains.Vpc;
using Orleans.Storage;

namespace AwsVpcCni.Grains.Node;

/// <content>The document is written with compare-and-swap; document and rows are read again now and then, since another activation, which was there
/// beside this one, may have written them.</content>
public sealed partial class NodeGrain
{
    /// <summary>What two activations have done beside each other is rarely more than a row, and harms nobody: it has time.</summary>
    private static readonly TimeSpan RereadAgain = TimeSpan.FromMinutes(5);

    /// <summary>Longer than any write of a row may take.</summary>
    private static readonly TimeSpan DoubtedRowsAgain = TimeSpan.FromSeconds(10);

    private DateTimeOffset? _rereadAt;
    private bool _rowsDoubted;

    /// <summary>Writes the document. False when another activation wrote first: this one ends.</summary>
    private async Task<bool> StoreAsync(NodeDocument next)
    {
        if (_lost)
        {
            return false;
        }

        _doc = next with { Change = _doc.Change + 1 }; // Before the await: whoever comes in between builds on it.
        var change = _doc.Change;
        while (_stored.Change < change && !_lost)
        {
            if (_writing.IsCompleted)
            {
                _writing = WriteAsync(); // One at a time, else the second would lose against the first. It takes all that has come meanwhile.
            }

            await _writing;
        }

        return !_lost;
    }

    private async Task WriteAsync()
    {
        var written = document.State = _doc;
        if (!document.RecordExists)
        {
            // The register first, as far as a message arrives: should this activation end with its write, somebody else knows that there is a document.
            grains.GetGrain<IVpcGrain>(settings.VpcId).DescribeMeAsync(InstanceId, written.Change).Ignore();
        }

        try
        {
            await document.WriteStateAsync();
            Stored(written);
        }
        catch (StoreException exception)
        {
            Lose(exception.Message, ReasonCode.StoreAway); // It may be written: the next activation reads what is true.
        }
        catch (InconsistentStateException exception)
        {
            Lose(exception.Message);
        }
    }

    private void Stored(NodeDocument written)
    {
        _stored = written;
        _eniOf = [];
        foreach (var eni in written.Interfaces)
        {
            foreach (var held in eni.Addresses)
            {
                _eniOf[held.Address] = eni;
            }
        }
    }

    /// <summary>Rule 11: a lost compare-and-swap ends the activation, wherever it was seen. A write whose outcome is unknown counts as lost.</summary>
    private void Lose(string why, ReasonCode code = ReasonCode.AnotherActivation)
    {
        if (!_lost)
        {
            (_lost, _lostWhy) = (true, new Reason(code, code == ReasonCode.StoreAway
                ? $"{InstanceId}: the store does not answer: {why} Ask again; look at the silo's disk or database if it goes on."
                : $"{InstanceId}: another activation of this node's grain wrote first. Ask again."));
            LogLost(InstanceId, why);
            this.DeactivateOnIdle();
        }
    }

    private void ThrowIfLost()
    {
        if (_lost)
        {
            throw new InconsistentStateException(_lostWhy!.Text);
        }
    }

    private async Task RereadAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        _rereadAt ??= now;
        if (_lost || (now - _rereadAt.Value).Duration() < (_rowsDoubted ? DoubtedRowsAgain : RereadAgain))
        {
            return;
        }

        _rereadAt = now;
        try
        {
            if (_writing.IsCompleted && _doc.Change == _stored.Change)
            {
                await (_writing = RereadDocumentAsync()); // In a write's place: none goes out before it is known on top of what.
            }

            await RereadRowsAsync(cancellation);
        }
        catch (StoreException exception)
        {
            LogStoreAway(InstanceId, exception.Message);
        }
    }

    /// <summary>What another activation has begun there, this one would leave undone until its own next write fails.</summary>
    private async Task RereadDocumentAsync()
    {
        try
        {
            await document.ReadStateAsync();
        }
        catch (StoreException exception)
        {
            LogStoreAway(InstanceId, exception.Message);
            return;
        }

        if (document.State.Change != _stored.Change)
        {
            Lose("its document is not as this one has written it");
        }
    }

    /// <summary>The memory is compared with the store; twice in a row, since a write that is under way differs, too. A look beside which a row
    /// changed proves nothing.</summary>
    private async Task RereadRowsAsync(CancellationToken cancellation)
    {
        var changes = _use.Changes;
        var stored = await book.ReadNodeAsync(InstanceId, cancellation);
        if (changes != _use.Changes)
        {
            return;
        }

        var differs = !_use.IsAsStored(stored);
        if (differs && _rowsDoubted)
        {
            Lose("its rows are not as the store has them");
        }

        _rowsDoubted = differs;
    }
}
