using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Node;

/// <content>Document and rows, read again now and then: another activation, which was there beside this one, may have written them.</content>
public sealed partial class NodeGrain
{
    /// <summary>What two activations have done beside each other is rarely more than a row, and harms nobody: it has time.</summary>
    private static readonly TimeSpan RereadAgain = TimeSpan.FromMinutes(5);

    /// <summary>Longer than any write of a row may take.</summary>
    private static readonly TimeSpan DoubtedRowsAgain = TimeSpan.FromSeconds(10);

    private DateTimeOffset? _rereadAt;
    private bool _rowsDoubted;

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
