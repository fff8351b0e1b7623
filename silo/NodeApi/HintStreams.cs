using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using AwsVpcCni.Grains.Node;

namespace AwsVpcCni.Silo.NodeApi;

/// <summary>The hint streams that this door holds: one a node, the newest.</summary>
/// <remarks>An executor that starts again opens a new one before the old connection is known to be dead, so the new one ends
/// the old one. That is the bound, too.</remarks>
internal sealed partial class HintStreams(IGrainFactory grains, IHostApplicationLifetime lifetime, ILogger<HintStreams> logger)
{
    private readonly ConcurrentDictionary<string, Stream> _byNode = new();

    /// <summary>Hints for the node until the caller goes, a newer stream comes or the silo stops. The first comes at once: what
    /// happened before the stream was open is news too.</summary>
    public async IAsyncEnumerable<string> ReadAsync(string instanceId, INodeGrain node, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var stream = new Stream();
        stream.Reference = grains.CreateObjectReference<INodeHints>(stream);
        _byNode.AddOrUpdate(instanceId, stream, (_, older) =>
        {
            older.End();
            return stream;
        });
        using var stopping = lifetime.ApplicationStopping.Register(stream.End);
        try
        {
            await SubscribeAsync(instanceId, node, stream.Reference);
            await stream.SyncNowAsync();
            await foreach (var hint in stream.Hints.ReadAllAsync(cancellation))
            {
                yield return hint;
            }
        }
        finally
        {
            _byNode.TryRemove(KeyValuePair.Create(instanceId, stream));
            grains.DeleteObjectReference<INodeHints>(stream.Reference);
        }
    }

    /// <summary>Registers the node's stream with its grain once more, if this door holds one.</summary>
    public Task RenewAsync(string instanceId, INodeGrain node) =>
        _byNode.TryGetValue(instanceId, out var stream) && stream.Reference is { } reference ? node.SubscribeAsync(reference) : Task.CompletedTask;

    private async Task SubscribeAsync(string instanceId, INodeGrain node, INodeHints reference)
    {
        try
        {
            await node.SubscribeAsync(reference);
        }
#pragma warning disable CA1031 // The border: whatever a grain throws, the stream stays, and the sync that its first hint causes registers it again.
        catch (Exception e)
        {
            LogNotSubscribed(instanceId, e.Message);
        }
#pragma warning restore CA1031
    }

    [LoggerMessage(EventId = 3102, Level = LogLevel.Warning, Message = "The grain of {InstanceId} does not know its hint stream yet: {Why}")]
    private partial void LogNotSubscribed(string instanceId, string why);

    // Orleans holds an observer weakly; the dictionary and the reading method hold it here.
    private sealed class Stream : INodeHints
    {
        // One place: two hints that nobody has read yet say no more than one.
        private readonly Channel<string> _hints = Channel.CreateBounded<string>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

        public INodeHints? Reference { get; set; }

        public ChannelReader<string> Hints => _hints.Reader;

        public Task SyncNowAsync()
        {
            _hints.Writer.TryWrite("sync");
            return Task.CompletedTask;
        }

        public void End() => _hints.Writer.TryComplete();
    }
}
