using AwsVpcCni.Tests.Fleet;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace AwsVpcCni.Tests.Unit.Fleet;

public sealed class FleetBoundTests
{
    private static readonly Way Draw = FleetBound.Ways()[0];
    private static readonly Way NewInterface = FleetBound.Ways()[1];

    [Theory]
    [InlineData(1000, 85.0)]
    [InlineData(5000, 485.0)]
    [InlineData(150, 0)] // Both buckets are full at first.
    [InlineData(151, 0.2)]
    [InlineData(152, 0.2)]
    [InlineData(0, 0)]
    public void Draws_serve_some_nodes_and_new_interfaces_the_others(int nodes, double seconds) => Assert.Equal(seconds, Of(nodes, FleetBound.Ways()), 6);

    [Fact]
    public void One_way_alone_is_no_bound()
    {
        Assert.Equal(180, Of(1000, Draw), 6);
        Assert.Equal(190, Of(1000, NewInterface), 6); // Attach has the smaller bucket of the two.
    }

    [Fact]
    public void An_attach_that_takes_time_shifts_its_way() => Assert.Equal(87.6, Of(1000, FleetBound.Ways(TimeSpan.FromSeconds(5))), 6);

    [Fact]
    public void The_bound_is_of_the_emulators_own_table()
    {
        var changed = new Throttle(TimeProvider.System, new Dictionary<string, BucketSize> { ["AssignPrivateIpAddresses"] = new(0, 1), ["AttachNetworkInterface"] = new(0, 1) });
        Assert.Equal(50, FleetBound.Of(100, changed, FleetBound.Ways()).TotalSeconds, 6);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    public void Calls_that_take_every_token_serve_the_nodes_just_then(int attachSeconds)
    {
        var time = new FakeTimeProvider();
        var began = time.GetUtcNow();
        var buckets = new Throttle(time);
        var ways = FleetBound.Ways(TimeSpan.FromSeconds(attachSeconds));
        List<double> served = [];
        while (time.GetUtcNow() - began < TimeSpan.FromSeconds(100))
        {
            foreach (var way in ways)
            {
                while (Takes(buckets, way))
                {
                    served.Add((time.GetUtcNow() - began + way.Takes).TotalSeconds);
                }
            }

            time.Advance(TimeSpan.FromSeconds(0.2)); // A token of each bucket.
        }

        served.Sort();
        Assert.All([1, 100, 150, 151, 200, 333, 500, 777, 1000], count => Assert.Equal(served[count - 1], FleetBound.Of(count, buckets, ways).TotalSeconds, 6));
    }

    private static bool Takes(Throttle buckets, Way way)
    {
        try
        {
            return way.Actions.Select(action => buckets.Take(action, filtered: true)).Order().First() >= 0;
        }
        catch (Ec2Exception)
        {
            return false;
        }
    }

    private static double Of(int nodes, params Way[] ways) => FleetBound.Of(nodes, new Throttle(TimeProvider.System), ways).TotalSeconds;
}
