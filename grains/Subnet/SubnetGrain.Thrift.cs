using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Core.Subnets;
using AwsVpcCni.Grains.Node;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.Grains.Subnet;

/// <content>What is done when little is left: nodes are told to keep less ready, and those that have most to spare are asked for what others' pods wait for.
/// Addresses come back as any others do: by the executor's consent, and after they have rested.</content>
public sealed partial class SubnetGrain
{
    private static readonly TimeSpan AskedAgainWithin = TimeSpan.FromSeconds(30); // A node whose pods wait asks each ten seconds.
    private static readonly TimeSpan RecallTakes = TimeSpan.FromSeconds(30); // A consent, and a call to EC2 within the budget; then others are asked.
    private static readonly TimeSpan AllTell = TimeSpan.FromMinutes(1); // What a ledger that has just started does not know: each node tells it each half minute.

    private readonly Dictionary<string, (int Addresses, DateTimeOffset At)> _waiting = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (int Addresses, DateTimeOffset At)> _recalls = new(StringComparer.Ordinal);

    private (SubnetDocument? Of, int Free) _counted;

    /// <summary>While pods wait for what is not there, nobody draws anything to keep it ready, but for a node that has nothing.</summary>
    private bool IsForWaiting(ReserveRequest request) => document.State.Level == SubnetLevel.Dry && request.Waiting == 0 && settings.PolicyOf(request.NodeId).Thrift
        && _shares.TryGetValue(request.NodeId, out var share) && !share.Held.IsEmpty;

    private async Task RecallAsync(ReserveRequest request, ImmutableArray<Block> names, DateTimeOffset now)
    {
        var given = Math.Max(0, names.Sum(name => name.Size) - (request.WithPrimary ? 1 : 0));
        if (request.Waiting <= given)
        {
            _waiting.Remove(request.NodeId);
            return;
        }

        _waiting[request.NodeId] = (request.Waiting - given + (request.WithPrimary && names.IsEmpty ? 1 : 0), now);
        await LookAtLevelAsync();
        Recall(now);
    }

    /// <summary>What is wanted and neither free nor asked for already, from those that can give it.</summary>
    private void Recall(DateTimeOffset now)
    {
        foreach (var done in _recalls.Where(one => (now - one.Value.At).Duration() >= RecallTakes).ToArray())
        {
            _recalls.Remove(done.Key);
        }

        var spare = _shares.Where(one => !_waiting.ContainsKey(one.Key) && !_recalls.ContainsKey(one.Key) && settings.PolicyOf(one.Key).Thrift && settings.ModeOf(one.Key, SubnetId) == SwitchMode.Normal)
            .Select(one => KeyValuePair.Create(one.Key, one.Value.Share.Spare));
        foreach (var (nodeId, addresses) in RecallPlanner.Plan(Waiting(now) - FreeNow(now) - _recalls.Values.Sum(one => one.Addresses), spare))
        {
            _recalls[nodeId] = (addresses, now);
            LogRecalls(SubnetId, addresses, nodeId, Waiting(now));
            Tell(nodeId, addresses);
        }
    }

    private int Waiting(DateTimeOffset now)
    {
        foreach (var gone in _waiting.Where(one => (now - one.Value.At).Duration() >= AskedAgainWithin).ToArray())
        {
            _waiting.Remove(gone.Key);
        }

        return _waiting.Values.Sum(one => one.Addresses);
    }

    /// <summary>Stores the level when it has changed, and tells all.</summary>
    private async Task LookAtLevelAsync()
    {
        var (doc, now) = (document.State, time.GetUtcNow());
        if (doc.Subnet is null)
        {
            return;
        }

        int? withheld = (now - _since).Duration() < AllTell ? null : _shares.Values.Where(one => (now - one.At).Duration() < NodesTell).Sum(one => one.Share.Withheld); // A node that is silent may have forgotten that it was here.
        var free = FreeNow(now);
        var level = settings.Pool.Thrift ? SubnetLevels.Of(doc.Level, free, Room(doc), withheld, Waiting(now)) : SubnetLevel.Plenty;
        if (level != doc.Level)
        {
            LogLeft(SubnetId, level, free, Waiting(now));
            await StoreAsync(doc with { Level = level });
            foreach (var nodeId in _shares.Keys)
            {
                Tell(nodeId);
            }
        }
    }

    /// <summary>None where EC2 refuses what is free by the ledger.</summary>
    private int FreeNow(DateTimeOffset now)
    {
        if (!ReferenceEquals(_counted.Of, document.State))
        {
            // Once for each change, not for each pod that comes or goes on a node: a /16 has 8 KiB of bits. What lapses is seen with the next sweep.
            _counted = (document.State, FreeForPods(document.State with { Reservations = Standing(document.State) }));
        }

        return IsLately(_noAddressesSince, now) ? 0 : _counted.Free;
    }

    private void Tell(string nodeId, int recalled = 0) => grains.GetGrain<INodeGrain>(nodeId).LevelAsync(SubnetId, document.State.Level, recalled).Ignore();

    [LoggerMessage(EventId = 2203, Level = LogLevel.Warning, Message = "{SubnetId} has {Level} left: {Free} addresses are free, and pods wait for {Waiting}.")]
    private partial void LogLeft(string subnetId, SubnetLevel level, int free, int waiting);

    [LoggerMessage(EventId = 2204, Level = LogLevel.Information, Message = "{SubnetId} asks {Addresses} addresses back from {NodeId}: pods elsewhere wait for {Waiting}.")]
    private partial void LogRecalls(string subnetId, int addresses, string nodeId, int waiting);
}
