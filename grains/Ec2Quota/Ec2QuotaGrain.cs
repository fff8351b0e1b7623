using System.Collections.Immutable;
using AwsVpcCni.Core.Ec2Quota;
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
public sealed record StoredBucket(double Level, DateTimeOffset At) : DocumentPart;

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
    private const double SlowestFactor = 1.0 / 64;
    private static readonly TimeSpan RecoveryStep = TimeSpan.FromSeconds(10); // After each quiet step the rate rises by a tenth.

    private static readonly TimeSpan BurstTakes = TimeSpan.FromSeconds(5); // Until the calls that were under way have been answered, too.

    private readonly SortedDictionary<Ec2Action, int> _ahead = []; // Taken off the stored level, not granted yet.
    private readonly Dictionary<Ec2Action, OrderOfNeed> _orders = [];
    private readonly Dictionary<(Ec2Action Action, CallPriority Need), (long Granted, long ToldToWait)> _counts = []; // Of this activation, for people.
    private readonly Dictionary<Ec2Action, long> _throttled = []; // As the counts; each refusal, those of one burst too.
    private readonly SortedDictionary<Ec2Action, (double Factor, DateTimeOffset Since)> _slowed = [];

    /// <inheritdoc/>
    public IGrainContext GrainContext => context;

    /// <inheritdoc/>
    public async Task<TimeSpan> TakeAsync(Ec2Action action, CallPriority priority)
    {
        var now = time.GetUtcNow();
        var bucket = BucketOf(action, now);
        var order = _orders.GetValueOrDefault(action) ?? new OrderOfNeed(now);
        (_orders[action], var isGranted, var wait) = order.Take(_ahead.GetValueOrDefault(action) + Math.Floor(bucket.Level), bucket with { Size = bucket.Size + Chunk }, priority, now);
        Count(action, priority, isGranted);
        if (!isGranted)
        {
            document.State.Buckets[action.ToString()] = new StoredBucket(bucket.Level, now); // In memory: else a clock that went back would stop all until it is where it was.
            return wait;
        }

        if (_ahead.GetValueOrDefault(action) == 0)
        {
            (bucket, var chunk, _) = bucket.Take(Chunk, now);
            document.State.Buckets[action.ToString()] = new StoredBucket(bucket.Level, now);
            await document.WriteStateAsync(); // Before the first grant; a lost compare-and-swap throws, and the next activation reads.
            _ahead[action] = chunk;
        }

        _ahead[action]--;
        return TimeSpan.Zero;
    }

    /// <inheritdoc/>
    public Task ThrottledAsync(Ec2Action action)
    {
        _throttled[action] = _throttled.GetValueOrDefault(action) + 1;
        var now = time.GetUtcNow();
        var known = Factor(action, now); // First: it mends what a clock that went back has left ahead of now.
        if (_slowed.TryGetValue(action, out var slowed) && now - slowed.Since < BurstTakes)
        {
            return Task.CompletedTask; // Of a call that was under way when the rate fell: it says nothing of the new one.
        }

        var factor = Math.Max(SlowestFactor, known / 2);
        _slowed[action] = (factor, now);
        _ahead[action] = 0; // What was ahead is not there: EC2 has just said so.
        document.State.Buckets[action.ToString()] = new StoredBucket(0, now);
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
                   counts.ToImmutableSortedDictionary(one => one.Key.Need.ToString(), one => one.Value.ToldToWait, StringComparer.Ordinal), _throttled.GetValueOrDefault(action)),
        ]);
    }

    /// <summary>Without what is ahead.</summary>
    private TokenBucket BucketOf(Ec2Action action, DateTimeOffset now)
    {
        var share = TokenBucket.For(action, settings.BudgetShare, now);
        var full = share with { Size = share.Size - Chunk, Level = share.Size - Chunk }; // What is ahead comes on top.
        return (document.State.Buckets.TryGetValue(action.ToString(), out var stored)
            ? full with { RefillPerSecond = full.RefillPerSecond * Factor(action, now), Level = stored.Level, At = stored.At }
            : full).Refilled(now);
    }

    private void Count(Ec2Action action, CallPriority need, bool isGranted)
    {
        var (granted, toldToWait) = _counts.GetValueOrDefault((action, need));
        _counts[(action, need)] = isGranted ? (granted + 1, toldToWait) : (granted, toldToWait + 1);
    }

    private double Factor(Ec2Action action, DateTimeOffset now)
    {
        if (!_slowed.TryGetValue(action, out var slowed))
        {
            return 1;
        }

        if (slowed.Since > now)
        {
            _slowed[action] = slowed = (slowed.Factor, now); // The clock went back.
        }

        return Math.Min(1, slowed.Factor * Math.Pow(1.1, Math.Floor((now - slowed.Since) / RecoveryStep)));
    }

    [LoggerMessage(EventId = 2400, Level = LogLevel.Warning, Message = "{Account}: EC2 throttles {Action}; its rate is now {Factor} of the usual.")]
    private partial void LogThrottled(string account, Ec2Action action, double factor);
}
