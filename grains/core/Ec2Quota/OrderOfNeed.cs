using System.Collections.Immutable;

namespace AwsVpcCni.Core.Ec2Quota;

/// <summary>Who gets the next permit of one action. Immutable; time comes in.</summary>
/// <remarks>The less a call is needed, the more of the bucket it must leave to others. So that nothing starves, each need has a share of the refill besides: a
/// permit that is set aside for it while it waits.</remarks>
public sealed class OrderOfNeed
{
    /// <summary>Of the refill, for each need.</summary>
    public const double Share = 0.05;

    private static readonly double[] Leaves = [0, 0.05, 0.15, 0.2, 0.3]; // Of the bucket's size, by CallPriority.
    private static readonly TimeSpan ComesBack = TimeSpan.FromSeconds(2); // After the wait that it was told, at the latest; else its permit is not kept for it.

    private readonly ImmutableArray<double> _shares = [.. Leaves.Select(_ => 1.0)];
    private readonly ImmutableArray<DateTimeOffset> _waitsUntil = [.. Leaves.Select(_ => DateTimeOffset.MinValue)];
    private readonly DateTimeOffset _at;

    /// <param name="now">UTC.</param>
    public OrderOfNeed(DateTimeOffset now) => _at = now;

    private OrderOfNeed(ImmutableArray<double> shares, ImmutableArray<DateTimeOffset> waitsUntil, DateTimeOffset at) => (_shares, _waitsUntil, _at) = (shares, waitsUntil, at);

    /// <summary>One call asks.</summary>
    /// <param name="available">Whole permits that are there.</param>
    /// <param name="bucket">Its size and its refill as they are now.</param>
    /// <returns>Whether it is granted; else how long to wait before asking again.</returns>
    public (OrderOfNeed After, bool Granted, TimeSpan Wait) Take(double available, TokenBucket bucket, CallPriority need, DateTimeOffset now)
    {
        var (own, gained) = ((int)need, Math.Max(0, (now - _at).TotalSeconds) * bucket.RefillPerSecond * Share);
        var shares = _shares.Select(share => Math.Min(1, share + gained)).ToImmutableArray();
        var waits = _waitsUntil.Select(until => until - now > TimeSpan.FromMinutes(10) ? DateTimeOffset.MinValue : until).ToImmutableArray(); // A clock that went back.
        var kept = Enumerable.Range(0, Leaves.Length).Count(other => other != own && shares[other] >= 1 && waits[other] > now);
        var missing = 1 + kept + (Leaves[own] * bucket.Size) - available;
        if (missing <= 0)
        {
            return (new OrderOfNeed(shares, waits.SetItem(own, DateTimeOffset.MinValue), now), true, TimeSpan.Zero);
        }

        if (shares[own] >= 1 && available >= 1)
        {
            return (new OrderOfNeed(shares.SetItem(own, 0), waits.SetItem(own, DateTimeOffset.MinValue), now), true, TimeSpan.Zero);
        }

        var untilShare = Math.Max((1 - shares[own]) / Share, 1 - available) / bucket.RefillPerSecond;
        var wait = TimeSpan.FromSeconds(Math.Min(missing / bucket.RefillPerSecond, untilShare)) + TimeSpan.FromMilliseconds(1);
        return (new OrderOfNeed(shares, waits.SetItem(own, now + wait + ComesBack), now), false, wait);
    }
}
