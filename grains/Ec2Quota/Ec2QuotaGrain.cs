using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Core.Pool;
using AwsVpcCni.Grains.Storage;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.Grains.Ec2Quota;

/// <summary>What is stored of the buckets.</summary>
public sealed record QuotaDocument : DocumentPart
{
    /// <summary>Of this layout.</summary>
    public int Schema { get; init; } = 1;

    /// <summary>By the action's name, since a newer silo may call others: the level that a fresh activation starts from. What is granted from the present chunk is off it already.</summary>
    public SortedDictionary<string, StoredBucket> Buckets { get; init; } = [];
}

/// <summary>A bucket's level at one moment.</summary>
/// <param name="At">UTC.</param>
/// <param name="Factor">Of the usual rate, as of <paramref name="SlowedAt"/>: else a fresh activation would fill the bucket at full rate for the time in which EC2 had slowed us.</param>
/// <param name="SlowedAt">When EC2 has refused a call last. UTC; null: never.</param>
public sealed record StoredBucket(double Level, DateTimeOffset At, double Factor = 1, DateTimeOffset? SlowedAt = null) : DocumentPart;

/// <summary>Grants EC2 calls from one bucket an action, for all silos and nodes of an account's region.</summary>
/// <remarks>Tokens are taken from the store in chunks, ahead of use, so that a fresh activation never bursts a second time.</remarks>
public sealed partial class Ec2QuotaGrain(
    IGrainContext context,
    [PersistentState("quota", DocumentJson.StorageName)] IPersistentState<QuotaDocument> document,
    ClusterSettings settings,
    TimeProvider time,
    ILogger<Ec2QuotaGrain> logger) : IGrainBase, IEc2QuotaGrain
{
    private const int Chunk = 10;
    private static readonly Ec2Action[] NewInterface = [Ec2Action.CreateNetworkInterface, Ec2Action.AttachNetworkInterface]; // What it has in common with a draw is not compared.
    private const double SlowestFactor = 1.0 / 64;
    private static readonly TimeSpan RecoveryStep = TimeSpan.FromSeconds(10); // After each quiet step the rate rises by a tenth.

    private static readonly TimeSpan FullIsSaidEach = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan StoppedAskAgain = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan BurstTakes = TimeSpan.FromSeconds(5); // Until the calls that were under way have been answered, too.

    private readonly SortedDictionary<Ec2Action, int> _ahead = []; // Taken off the stored level, not granted yet.
    private readonly Dictionary<Ec2Action, OrderOfNeed> _orders = [];
    private readonly Dictionary<Ec2Action, CallQueue> _queues = []; // In memory: after a restart the order is that in which they ask again.
    private readonly Dictionary<(Ec2Action Action, CallPriority Need), (long Granted, long ToldToWait, TimeSpan Waited)> _counts = []; // Of this activation, for people.
    private readonly Dictionary<Ec2Action, long> _throttled = []; // As the counts; each refusal, those of one burst too.
    private DateTimeOffset _fullSaidAt = DateTimeOffset.MinValue; // Said.

    /// <inheritdoc/>
    public IGrainContext GrainContext => context;

    /// <summary>A second budget would be a second burst.</summary>
    /// <exception cref="WrongKeyException">It is not that of the settings.</exception>
    public Task OnActivateAsync(CancellationToken token) => context.GrainId.Key.ToString() is var key && key == settings.QuotaKey
        ? Task.CompletedTask
        : throw new WrongKeyException($"{key} is not the budget of these silos, {settings.QuotaKey} (Ec2:AccountId, Ec2:Region). Name that one, or none.");

    /// <inheritdoc/>
    public Task<TimeSpan> TakeAsync(Ec2Action action, CallPriority priority) => TakeInTurnAsync(action, priority, "");

    /// <inheritdoc/>
    public async Task<TimeSpan?> TakeForAsync(Ec2Action action, CallPriority priority, string asker, string instanceId, string subnetId) =>
        OperatorSwitches.Permits(settings.ModeOf(instanceId, subnetId), action) ? await TakeInTurnAsync(action, priority, asker) : null;

    /// <inheritdoc/>
    public async Task<TimeSpan> TakeInTurnAsync(Ec2Action action, CallPriority priority, string asker)
    {
        if (!OperatorSwitches.Permits(settings.ModeOf(asker, null), action))
        {
            return StoppedAskAgain; // By a node whose silo is of before there were switches, or has not heard.
        }

        var now = time.GetUtcNow();
        var (bucket, queue) = (BucketOf(action, now), QueueOf(action, now));
        var order = _orders.GetValueOrDefault(action) ?? new OrderOfNeed(now);
        var available = Available(action, bucket) - queue.Ahead(asker, priority, now); // Those before have what is there.
        (_orders[action], var isGranted, var wait) = order.Take(available, bucket with { Size = bucket.Size + Chunk }, priority, now);
        _queues[action] = isGranted ? queue.Without(asker) : queue.With(asker, priority, CallQueue.AskAgain(wait), now);
        Count(action, priority, isGranted, queue.WaitedBy(asker, now));
        if (!isGranted)
        {
            Set(action, bucket.Level, now); // In memory: else a clock that went back would stop all until it is where it was.
            SayWhenFull(action, queue, asker, now);
            return wait;
        }

        if (_ahead.GetValueOrDefault(action) == 0)
        {
            (bucket, var chunk, _) = bucket.Take(Chunk, now);
            Set(action, bucket.Level, now);
            await document.WriteStateAsync(); // Before the first grant; a lost compare-and-swap throws, and the next activation reads.
            _ahead[action] = chunk;
        }

        _ahead[action]--;
        return TimeSpan.Zero;
    }

    /// <inheritdoc/>
    public Task<ExpectedWaits> ExpectAsync(string asker, TimeSpan newInterfaceTakes)
    {
        var now = time.GetUtcNow();
        var (draw, made) = (TurnOf(Ec2Action.AssignPrivateIpAddresses, asker, now), newInterfaceTakes + NewInterface.Max(action => TurnOf(action, asker, now)));
        foreach (var action in draw > made ? NewInterface : [Ec2Action.AssignPrivateIpAddresses])
        {
            _queues[action] = QueueOf(action, now).With(asker, CallPriority.PodWaiting, draw > made ? made : CallQueue.AskAgain(draw), now); // An attach is asked for when the interface is made.
        }

        return Task.FromResult(new ExpectedWaits(draw, made));
    }

    /// <inheritdoc/>
    public Task ThrottledAsync(Ec2Action action)
    {
        _throttled[action] = _throttled.GetValueOrDefault(action) + 1;
        var now = time.GetUtcNow();
        var known = Factor(action, now); // First: it mends what a clock that went back has left ahead of now.
        if (document.State.Buckets.GetValueOrDefault(action.ToString())?.SlowedAt is { } slowed && now - slowed < BurstTakes)
        {
            return Task.CompletedTask; // Of a call that was under way when the rate fell: it says nothing of the new one.
        }

        var factor = Math.Max(SlowestFactor, known / 2);
        _ahead[action] = 0; // What was ahead is not there: EC2 has just said so.
        document.State.Buckets[action.ToString()] = new StoredBucket(0, now, factor, now);
        LogThrottled(context.GrainId.Key.ToString()!, action, factor);
        return document.WriteStateAsync();
    }

    /// <inheritdoc/>
    public Task PingAsync() => Task.CompletedTask;

    /// <inheritdoc/>
    public Task<ImmutableArray<ActionBudget>> SummarizeAsync()
    {
        var now = time.GetUtcNow();
        return Task.FromResult<ImmutableArray<ActionBudget>>(
        [
            .. from action in Enum.GetValues<Ec2Action>()
               let bucket = BucketOf(action, now)
               let counts = _counts.Where(one => one.Key.Action == action)
               select new ActionBudget(action.ToString(), (int)bucket.Size + Chunk, bucket.RefillPerSecond, _ahead.GetValueOrDefault(action) + (int)bucket.Level, Factor(action, now),
                   counts.ToImmutableSortedDictionary(one => one.Key.Need.ToString(), one => one.Value.Granted, StringComparer.Ordinal),
                   counts.ToImmutableSortedDictionary(one => one.Key.Need.ToString(), one => one.Value.ToldToWait, StringComparer.Ordinal), _throttled.GetValueOrDefault(action),
                   Enum.GetValues<CallPriority>().Sum(need => QueueOf(action, now).Ahead("", need, now)), TurnOf(action, "", now),
                   counts.ToImmutableSortedDictionary(one => one.Key.Need.ToString(), one => one.Value.Waited.TotalSeconds, StringComparer.Ordinal)),
        ]);
    }

    /// <summary>How far away the turn of a pod's call is.</summary>
    private TimeSpan TurnOf(Ec2Action action, string asker, DateTimeOffset now)
    {
        var bucket = BucketOf(action, now);
        var missing = 1 + QueueOf(action, now).Ahead(asker, CallPriority.PodWaiting, now) - Available(action, bucket);
        return TimeSpan.FromSeconds(Math.Max(0, missing) / bucket.RefillPerSecond);
    }

    private CallQueue QueueOf(Ec2Action action, DateTimeOffset now) => _queues[action] = (_queues.GetValueOrDefault(action) ?? CallQueue.Empty).Standing(now);

    /// <summary>Whole permits that are there.</summary>
    private double Available(Ec2Action action, TokenBucket bucket) => _ahead.GetValueOrDefault(action) + Math.Floor(bucket.Level);

    /// <summary>Without what is ahead.</summary>
    private TokenBucket BucketOf(Ec2Action action, DateTimeOffset now)
    {
        var share = TokenBucket.For(action, settings.BudgetShare, now);
        var full = share with { Size = share.Size - Chunk, Level = share.Size - Chunk }; // What is ahead comes on top.
        return (document.State.Buckets.TryGetValue(action.ToString(), out var stored)
            ? full with { RefillPerSecond = full.RefillPerSecond * Factor(action, now), Level = stored.Level, At = stored.At }
            : full).Refilled(now);
    }

    /// <summary>As many wait as there are places for: who comes beyond stands behind all of its need, and has no turn that is kept.</summary>
    private void SayWhenFull(Ec2Action action, CallQueue queue, string asker, DateTimeOffset now)
    {
        if (queue.IsFullFor(asker) && (now - _fullSaidAt).Duration() > FullIsSaidEach)
        {
            _fullSaidAt = now;
            LogFull(context.GrainId.Key.ToString()!, action, CallQueue.Most, asker);
        }
    }

    private void Count(Ec2Action action, CallPriority need, bool isGranted, TimeSpan waited)
    {
        var (granted, toldToWait, all) = _counts.GetValueOrDefault((action, need));
        _counts[(action, need)] = isGranted ? (granted + 1, toldToWait, all + waited) : (granted, toldToWait + 1, all);
    }

    private double Factor(Ec2Action action, DateTimeOffset now)
    {
        if (document.State.Buckets.GetValueOrDefault(action.ToString()) is not { SlowedAt: { } since } stored)
        {
            return 1;
        }

        if (since > now)
        {
            document.State.Buckets[action.ToString()] = stored with { SlowedAt = since = now }; // The clock went back.
        }

        return Math.Min(1, stored.Factor * Math.Pow(1.1, Math.Floor((now - since) / RecoveryStep)));
    }

    private void Set(Ec2Action action, double level, DateTimeOffset now) => document.State.Buckets[action.ToString()] =
        document.State.Buckets.GetValueOrDefault(action.ToString()) is { } known ? known with { Level = level, At = now } : new StoredBucket(level, now);

    [LoggerMessage(EventId = 2401, Level = LogLevel.Warning, Message = "{Account}: {Most} wait for {Action}, as many as have places: {Asker} gets none, and asks again behind all of them. Fewer calls are needed: look at the warm targets and at what EC2 throttles.")]
    private partial void LogFull(string account, Ec2Action action, int most, string asker);

    [LoggerMessage(EventId = 2400, Level = LogLevel.Warning, Message = "{Account}: EC2 throttles {Action}; its rate is now {Factor} of the usual.")]
    private partial void LogThrottled(string account, Ec2Action action, double factor);
}
