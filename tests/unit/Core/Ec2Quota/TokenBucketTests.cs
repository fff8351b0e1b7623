using AwsVpcCni.Core.Ec2Quota;
using CsCheck;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Core.Ec2Quota;

public sealed class TokenBucketTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(Ec2Action.AssignPrivateIpAddresses, 80, 4)]
    [InlineData(Ec2Action.DescribeNetworkInterfaces, 80, 16)]
    public void Our_share_of_the_documented_bucket_is_four_fifths(Ec2Action action, double size, double refill)
    {
        var bucket = TokenBucket.For(action, TokenBucket.DefaultShare, Start);
        Assert.Equal((size, refill, size), (bucket.Size, bucket.RefillPerSecond, bucket.Level));
    }

    [Fact]
    public void Every_action_that_we_call_has_a_bucket() =>
        Assert.All(Enum.GetValues<Ec2Action>(), action => Assert.True(TokenBucket.For(action, 1, Start).Size > 0));

    [Fact]
    public void However_it_is_asked_no_more_is_granted_than_size_and_refill_allow() =>
        Gen.Int[0, 2000].Array[1, 200].Sample(pauses =>
        {
            var bucket = new TokenBucket(10, 4, 10, Start);
            var (now, granted) = (Start, 0);
            foreach (var pause in pauses)
            {
                now += TimeSpan.FromMilliseconds(pause);
                (bucket, var taken, _) = bucket.Take(3, now);
                granted += taken;
            }

            return granted <= 10 + ((now - Start).TotalSeconds * 4) + 1e-6;
        });

    [Fact]
    public void After_the_wait_that_it_names_a_token_is_there() =>
        Gen.Double[0, 0.999].Sample(level =>
        {
            var (bucket, taken, wait) = new TokenBucket(10, 4, level, Start).Take(1, Start);
            return taken == 0 && wait > TimeSpan.Zero && bucket.Take(1, Start + wait + TimeSpan.FromMicroseconds(1)).Taken == 1;
        });

    [Fact]
    public void A_clock_that_goes_back_refills_nothing_and_from_there_as_usual()
    {
        var back = new TokenBucket(10, 4, 3, Start).Refilled(Start - TimeSpan.FromHours(1));
        Assert.Equal((3, 7), (back.Level, back.Refilled(Start - TimeSpan.FromHours(1) + TimeSpan.FromSeconds(1)).Level));
    }
}
