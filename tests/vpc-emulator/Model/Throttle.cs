namespace AwsVpcCni.VpcEmulator.Model;

/// <summary>EC2's token buckets, one per action, as the request-throttling page of its developer guide lists them.</summary>
/// <remarks>A refused call spends nothing; a failed one and a dry run spend their token.</remarks>
public sealed class Throttle(TimeProvider time, IReadOnlyDictionary<string, BucketSize>? changed = null)
{
    private const string Unfiltered = ".Unfiltered";
    private readonly Dictionary<string, TokenBucket> _buckets = [];

    /// <summary>The documented bucket of an action, or the changed one.</summary>
    /// <param name="filtered">Whether the call has a filter or is paginated: some describes have a smaller bucket for the others.
    /// Whether an id list alone counts is not documented; here it does not.</param>
    public BucketSize SizeOf(string action, bool filtered)
    {
        var key = KeyOf(action, filtered);
        return changed?.GetValueOrDefault(key) ?? DocumentedSizeOf(key);
    }

    /// <summary>Spends a token.</summary>
    /// <returns>What is left in the bucket.</returns>
    /// <exception cref="Ec2Exception">RequestLimitExceeded: there is no whole token.</exception>
    public double Take(string action, bool filtered)
    {
        var bucket = Of(action, filtered);
        return bucket.TryTake(time.GetUtcNow()) ? bucket.Tokens : throw Ec2Exception.Of("RequestLimitExceeded");
    }

    /// <summary>What is in the bucket.</summary>
    public double Level(string action, bool filtered)
    {
        var bucket = Of(action, filtered);
        bucket.Refill(time.GetUtcNow());
        return bucket.Tokens;
    }

    /// <summary>EC2's own figure, whatever this emulator was told.</summary>
    public static BucketSize DocumentedSizeOf(string action, bool filtered) => DocumentedSizeOf(KeyOf(action, filtered));

    private TokenBucket Of(string action, bool filtered)
    {
        var key = KeyOf(action, filtered);
        if (!_buckets.TryGetValue(key, out var bucket))
        {
            _buckets[key] = bucket = new TokenBucket(SizeOf(action, filtered), time.GetUtcNow());
        }

        return bucket;
    }

    private static string KeyOf(string action, bool filtered) =>
        !filtered && action is "DescribeInstances" or "DescribeNetworkInterfaces" or "DescribeSecurityGroups" ? action + Unfiltered : action;

    private static BucketSize DocumentedSizeOf(string key) => key switch
    {
        "AssignPrivateIpAddresses" or "UnassignPrivateIpAddresses" or "CreateNetworkInterface" or "DeleteNetworkInterface"
            or "ModifyNetworkInterfaceAttribute" => new(100, 5),
        "CreateTags" or "DeleteTags" => new(100, 10),
        "CreateSubnetCidrReservation" or "DeleteSubnetCidrReservation" => new(5, 1),
        "GetSubnetCidrReservations" => new(100, 20),
        _ when key.EndsWith(Unfiltered, StringComparison.Ordinal) => new(50, 10),
        _ when key.StartsWith("Describe", StringComparison.Ordinal) => new(100, 20),
        _ => new(50, 5),
    };
}

/// <summary>A bucket that refills in fractions of a token. Starts full.</summary>
public sealed class TokenBucket(BucketSize size, DateTimeOffset now)
{
    private DateTimeOffset _at = now;

    public double Tokens { get; private set; } = size.Size;

    public void Refill(DateTimeOffset now)
    {
        if (now > _at)
        {
            Tokens = Math.Min(size.Size, Tokens + ((now - _at).TotalSeconds * size.RefillPerSecond));
            _at = now;
        }
    }

    public bool TryTake(DateTimeOffset now)
    {
        Refill(now);
        if (Tokens < 1)
        {
            return false;
        }

        Tokens--;
        return true;
    }
}
