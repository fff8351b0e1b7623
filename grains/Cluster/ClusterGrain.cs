using AwsVpcCni.Grains.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Storage;

namespace AwsVpcCni.Grains.Cluster;

/// <summary>The operators' decisions as one versioned document. Silos copy it every few seconds; nodes never wait for it.</summary>
public sealed partial class ClusterGrain(
    IGrainContext context,
    [PersistentState("cluster", DocumentJson.StorageName)] IPersistentState<ClusterDocument> document,
    TimeProvider time,
    ILogger<ClusterGrain> logger) : IGrainBase, IClusterGrain
{
    private const int KeptChanges = 50;

    /// <inheritdoc/>
    public IGrainContext GrainContext => context;

    /// <inheritdoc/>
    public async Task<ClusterPolicies> ReadAsync()
    {
        await document.ReadStateAsync(); // An activation that another one has overtaken must not answer from its memory: it might never hear of it.
        return Now(document.State);
    }

    /// <inheritdoc/>
    public async Task<PolicyReply> ChangeAsync(PolicyChange change)
    {
        var doc = document.State;
        if (change.ExpectedVersion != doc.Version)
        {
            return new PolicyReply(false, Now(doc));
        }

        var note = new PolicyNote(doc.Version + 1, change.InstanceId, change.Who, change.Why, time.GetUtcNow());
        var next = doc with { Version = note.Version, Changes = [.. doc.Changes.TakeLast(KeptChanges - 1), note] };
        next = change switch
        {
            { InstanceId: null } => next with { Pool = change.Pool },
            { Pool: { } pool, InstanceId: { } node } => next with { Nodes = doc.Nodes.SetItem(node, pool) },
            { InstanceId: { } node } => next with { Nodes = doc.Nodes.Remove(node) },
        };
        document.State = next;
        try
        {
            await document.WriteStateAsync();
        }
        catch (Exception exception) when (exception is InconsistentStateException or StoreException)
        {
            // Rule 11: another activation wrote, or nobody knows. The next one reads what is true.
            this.DeactivateOnIdle();
            throw;
        }

        LogChanged(context.GrainId.Key.ToString()!, note.Version, change.InstanceId ?? "all nodes", change.Pool?.ToString() ?? "as the settings say", change.Who, change.Why);
        return new PolicyReply(true, Now(next));
    }

    private static ClusterPolicies Now(ClusterDocument doc) => new(doc.Version, doc.Pool, doc.Nodes, doc.Changes.LastOrDefault());

    [LoggerMessage(EventId = 2500, Level = LogLevel.Information, Message = "{Cluster}: policy version {Version}: {Nodes}: {Policy}; by {Who}: {Why}")]
    private partial void LogChanged(string cluster, long version, string nodes, string policy, string who, string why);
}
