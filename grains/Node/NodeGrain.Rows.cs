using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Grains.Node;

/// <content>The rows, looked at again now and then.</content>
public sealed partial class NodeGrain
{
    /// <summary>What two activations have done beside each other is rarely more than a row, and harms nobody: it has time.</summary>
    private static readonly TimeSpan RowsAgain = TimeSpan.FromMinutes(5);

    /// <summary>Longer than any write of a row may take.</summary>
    private static readonly TimeSpan DoubtedRowsAgain = TimeSpan.FromSeconds(10);

    private DateTimeOffset? _rowsReadAt;
    private bool _rowsDoubted;

    /// <summary>Another activation may have written a row that this one will never touch. So the memory is compared with the store; twice
    /// in a row, since a write that is under way differs, too. A look beside which a row changed proves nothing.</summary>
    private async Task CheckRowsAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        _rowsReadAt ??= now;
        if (_lost || (now - _rowsReadAt.Value).Duration() < (_rowsDoubted ? DoubtedRowsAgain : RowsAgain))
        {
            return;
        }

        _rowsReadAt = now;
        try
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
        catch (StoreException exception)
        {
            LogStoreAway(InstanceId, exception.Message);
        }
    }
}
