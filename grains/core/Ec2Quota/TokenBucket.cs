namespace AwsVpcCni.Core.Ec2Quota;

/// <summary>How fast one action may be called. Immutable; time comes in.</summary>
/// <param name="Size">Most tokens it holds.</param>
/// <param name="RefillPerSecond">Tokens that come back each second.</param>
/// <param name="Level">Tokens at <paramref name="At"/>.</param>
/// <param name="At">UTC.</param>
public readonly record struct TokenBucket(double Size, double RefillPerSecond, double Level, DateTimeOffset At)
{
    /// <summary>The share of EC2's buckets that we use; the rest is for the account's others (design, deadlines and bounds).</summary>
    public const double DefaultShare = 0.8;

    /// <summary>The bucket that AWS documents for the action (EC2 API developer guide, request throttling), times our share. Starts full.</summary>
    public static TokenBucket For(Ec2Action action, double share, DateTimeOffset now)
    {
        var (size, refill) = action switch
        {
            Ec2Action.AssignPrivateIpAddresses or Ec2Action.UnassignPrivateIpAddresses or Ec2Action.CreateNetworkInterface or
                Ec2Action.ModifyNetworkInterfaceAttribute or Ec2Action.DeleteNetworkInterface => (100, 5),
            Ec2Action.AttachNetworkInterface or Ec2Action.DetachNetworkInterface => (50, 5),
            Ec2Action.DescribeInstances or Ec2Action.DescribeNetworkInterfaces or Ec2Action.DescribeSubnets or Ec2Action.DescribeInstanceTypes or Ec2Action.GetSubnetCidrReservations => (100, 20),
            _ => throw new ArgumentOutOfRangeException(nameof(action), action, "no documented bucket"),
        };
        return new TokenBucket(size * share, refill * share, size * share, now);
    }

    /// <summary>The bucket as it stands at <paramref name="now"/>. A clock that went back refills nothing.</summary>
    public TokenBucket Refilled(DateTimeOffset now) => now <= At
        ? this with { At = now }
        : this with { Level = Math.Min(Size, Level + ((now - At).TotalSeconds * RefillPerSecond)), At = now };

    /// <summary>Takes as many whole tokens as there are, up to <paramref name="most"/>.</summary>
    /// <returns>The bucket afterwards, how many were taken, and, when none was, how long until one is there.</returns>
    public (TokenBucket After, int Taken, TimeSpan Wait) Take(int most, DateTimeOffset now)
    {
        var bucket = Refilled(now);
        var taken = (int)Math.Min(most, Math.Floor(bucket.Level));
        return (bucket with { Level = bucket.Level - taken }, taken, taken > 0 ? TimeSpan.Zero : TimeSpan.FromSeconds((1 - bucket.Level) / RefillPerSecond));
    }
}
