using AwsVpcCni.VpcEmulator.Model;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.VpcEmulator;

public sealed class ThrottleTests
{
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData("AssignPrivateIpAddresses", false, 100, 5)]
    [InlineData("UnassignPrivateIpAddresses", false, 100, 5)]
    [InlineData("CreateNetworkInterface", false, 100, 5)]
    [InlineData("DeleteNetworkInterface", false, 100, 5)]
    [InlineData("ModifyNetworkInterfaceAttribute", false, 100, 5)]
    [InlineData("AttachNetworkInterface", false, 50, 5)]
    [InlineData("DetachNetworkInterface", false, 50, 5)]
    [InlineData("CreateTags", false, 100, 10)]
    [InlineData("DeleteTags", false, 100, 10)]
    [InlineData("DescribeSubnets", false, 100, 20)]
    [InlineData("DescribeVpcs", false, 100, 20)]
    [InlineData("DescribeInstanceTypes", false, 100, 20)]
    [InlineData("DescribeInstances", true, 100, 20)]
    [InlineData("DescribeInstances", false, 50, 10)]
    [InlineData("DescribeNetworkInterfaces", true, 100, 20)]
    [InlineData("DescribeNetworkInterfaces", false, 50, 10)]
    [InlineData("DescribeSecurityGroups", true, 100, 20)]
    [InlineData("DescribeSecurityGroups", false, 50, 10)]
    public void A_bucket_has_the_documented_size_and_refill(string action, bool filtered, int size, int refill)
    {
        var throttle = new Throttle(_time);
        Assert.Equal(size, Drain(throttle, action, filtered));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(2 * refill, Drain(throttle, action, filtered));
    }

    [Fact]
    public void A_token_comes_back_in_fractions()
    {
        var throttle = new Throttle(_time);
        Drain(throttle, "CreateNetworkInterface", false);
        _time.Advance(TimeSpan.FromMilliseconds(150));
        Assert.Equal(0, Drain(throttle, "CreateNetworkInterface", false));
        _time.Advance(TimeSpan.FromMilliseconds(50));
        Assert.Equal(1, Drain(throttle, "CreateNetworkInterface", false));
    }

    [Fact]
    public void Actions_have_buckets_of_their_own_and_so_have_unfiltered_describes()
    {
        var throttle = new Throttle(_time, new Dictionary<string, BucketSize> { ["DescribeInstances.Unfiltered"] = new(3, 1), ["CreateTags"] = new(2, 1) });
        Assert.Equal(3, Drain(throttle, "DescribeInstances", false));
        Assert.Equal(100, Drain(throttle, "DescribeInstances", true));
        Assert.Equal(2, Drain(throttle, "CreateTags", false));
        Assert.Equal(100, Drain(throttle, "DeleteTags", false));
    }

    [Fact]
    public void No_span_of_time_lets_more_through_than_the_bucket_and_its_refill() =>
        Gen.Select(Gen.Double[1, 20], Gen.Double[0.5, 20], Gen.Int[0, 400].Array[1, 200]).Sample((size, refill, gapsMs) =>
        {
            var now = DateTimeOffset.UnixEpoch;
            var bucket = new TokenBucket(new BucketSize(size, refill), now);
            var taken = new List<DateTimeOffset>();
            foreach (var gap in gapsMs)
            {
                now += TimeSpan.FromMilliseconds(gap);
                if (bucket.TryTake(now))
                {
                    taken.Add(now);
                }
            }

            for (var first = 0; first < taken.Count; first++)
            {
                for (var last = first; last < taken.Count; last++)
                {
                    var allowed = size + ((taken[last] - taken[first]).TotalSeconds * refill);
                    Assert.True(last - first + 1 <= allowed + 1e-6, $"{last - first + 1} calls in a span that allows {allowed}");
                }
            }
        });

    private static int Drain(Throttle throttle, string action, bool filtered)
    {
        for (var calls = 0; ; calls++)
        {
            try
            {
                throttle.Take(action, filtered);
            }
            catch (Ec2Exception e) when (e is { Code: "RequestLimitExceeded", Status: 503, Message: "Request limit exceeded." })
            {
                return calls;
            }
        }
    }
}
