using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Storage;
using Microsoft.Extensions.Logging;
using Orleans.Storage;

namespace AwsVpcCni.Grains.Cluster;

/// <summary>The operators' decisions as one versioned document. Silos copy it every few seconds; nodes never wait for it.</summary>
public sealed partial class ClusterGrain(
    IGrainContext context,
    [PersistentState("cluster", DocumentJson.StorageName)] IPersistentState<ClusterDocument> document,
    ClusterSettings settings,
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
        var note = new PolicyNote(doc.Version + 1, change.InstanceId, change.Who, change.Why, time.GetUtcNow());
        var reply = await StoreAsync(change.ExpectedVersion, note, change switch
        {
            { InstanceId: null } => doc with { Pool = change.Pool },
            { Pool: { } pool, InstanceId: { } node } => doc with { Nodes = doc.Nodes.SetItem(node, pool) },
            { InstanceId: { } node } => doc with { Nodes = doc.Nodes.Remove(node) },
        });
        if (reply.IsDone)
        {
            LogChanged(Name, note.Version, change.InstanceId ?? "all nodes", change.Pool?.ToString() ?? "as the settings say", change.Who, change.Why);
        }

        return reply;
    }

    /// <inheritdoc/>
    public async Task<PolicyReply> SwitchAsync(SwitchChange change)
    {
        var (doc, now) = (document.State, time.GetUtcNow());
        var note = new PolicyNote(doc.Version + 1, null, change.Who, change.Why, now, change.Target, change.Mode);
        var others = doc.Switches.Where(one => one.Target != change.Target);
        var reply = await StoreAsync(change.ExpectedVersion, note, doc with
        {
            Switches = change.Mode == SwitchMode.Normal ? [.. others] : [.. others.Append(new OperatorSwitch(change.Target, change.Mode, change.Who, change.Why, now)).OrderBy(one => one.Target, StringComparer.Ordinal)],
        });
        if (reply.IsDone)
        {
            LogSwitched(Name, note.Version, change.Target, change.Mode, change.Who, change.Why);
        }

        return reply;
    }

    private string Name => context.GrainId.Key.ToString()!;

    /// <param name="next">The change itself; version and note are put in here.</param>
    private async Task<PolicyReply> StoreAsync(long expected, PolicyNote note, ClusterDocument next)
    {
        var doc = document.State;
        if (expected != doc.Version)
        {
            return new PolicyReply(false, Now(doc));
        }

        document.State = next with { Version = note.Version, Changes = [.. doc.Changes.TakeLast(KeptChanges - 1), note] };
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

        return new PolicyReply(true, Now(document.State));
    }

    private ClusterPolicies Now(ClusterDocument doc) => new(doc.Version, doc.Pool, doc.Nodes, doc.Changes.LastOrDefault(), doc.Switches, settings.PoolOfSettings);

    [LoggerMessage(EventId = 2500, Level = LogLevel.Information, Message = "{Cluster}: policy version {Version}: {Nodes}: {Policy}; by {Who}: {Why}")]
    private partial void LogChanged(string cluster, long version, string nodes, string policy, string who, string why);

    [LoggerMessage(EventId = 2501, Level = LogLevel.Warning, Message = "{Cluster}: version {Version}: {Target} is switched to {Mode}; by {Who}: {Why}")]
    private partial void LogSwitched(string cluster, long version, string target, SwitchMode mode, string who, string why);
}
