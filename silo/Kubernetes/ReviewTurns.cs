using System.Net;
using System.Threading.RateLimiting;

namespace AwsVpcCni.Silo.Kubernetes;

/// <summary>How many questions of the health port's callers are led on to the API server: at once and in a second, of one address and of all. So a flood is no flood there, and one caller's is not the others'.</summary>
/// <remarks>By the real clock, as the other limits of this port.</remarks>
internal sealed class ReviewTurns : IDisposable
{
    /// <summary>Under way at once.</summary>
    public const int AtOnceOfOne = 4, AtOnce = 16;

    /// <summary>Those who wait, for each that is under way: a page that asks ten things at once.</summary>
    public const int WaitingForEach = 8;

    private const int SecondlyOfOne = 50, Secondly = 200; // A delegating client's rate in k8s.io/apiserver is 200, too.
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(100);

    private readonly PartitionedRateLimiter<IPAddress>[] _limits =
    [
        AtMost(AtOnceOfOne, caller => caller), InASecond(SecondlyOfOne, caller => caller), AtMost(AtOnce, _ => IPAddress.Any), InASecond(Secondly, _ => IPAddress.Any),
    ];

    private readonly PartitionedRateLimiter<IPAddress> _all;

    public ReviewTurns() => _all = PartitionedRateLimiter.CreateChained(_limits);

    /// <summary>Waits for a turn, or is told that there are too many.</summary>
    public ValueTask<RateLimitLease> TakeAsync(IPAddress caller, CancellationToken cancellation) => _all.AcquireAsync(caller, cancellationToken: cancellation);

    /// <inheritdoc/>
    public void Dispose()
    {
        _all.Dispose();
        Array.ForEach(_limits, limit => limit.Dispose());
    }

    private static PartitionedRateLimiter<IPAddress> AtMost(int count, Func<IPAddress, IPAddress> share) => PartitionedRateLimiter.Create<IPAddress, IPAddress>(caller =>
        RateLimitPartition.GetConcurrencyLimiter(share(caller), _ => new() { PermitLimit = count, QueueLimit = count * WaitingForEach }));

    private static PartitionedRateLimiter<IPAddress> InASecond(int count, Func<IPAddress, IPAddress> share) => PartitionedRateLimiter.Create<IPAddress, IPAddress>(caller =>
        RateLimitPartition.GetTokenBucketLimiter(share(caller), _ => new() { TokensPerPeriod = count / 10, ReplenishmentPeriod = Period, TokenLimit = 2 * count }));
}
