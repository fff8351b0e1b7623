using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Fleet;

/// <summary>One way to give a node its first address: a call of each of these actions.</summary>
/// <param name="Takes">From the calls until the address can be used.</param>
internal sealed record Way(TimeSpan Takes, params string[] Actions);

/// <summary>The least time in which EC2's buckets let nodes have their first address, when all ask at once and no token is wasted. Pure.</summary>
/// <remarks>Calls take no time here, and nobody else uses the account. What is in the way besides buckets makes a run longer, never shorter.</remarks>
internal static class FleetBound
{
    /// <summary>A node's present interface draws; or it gets another interface, which brings addresses along.</summary>
    /// <param name="attachTakes">Zero: the bound by buckets alone.</param>
    public static Way[] Ways(TimeSpan attachTakes = default) =>
        [new(TimeSpan.Zero, "AssignPrivateIpAddresses"), new(attachTakes, "CreateNetworkInterface", "AttachNetworkInterface")];

    /// <summary>When the last of so many nodes is served, each by the way that is free first.</summary>
    /// <param name="buckets">Whose sizes hold; all of them are full.</param>
    public static TimeSpan Of(int nodes, Throttle buckets, params Way[] ways)
    {
        var served = new int[ways.Length];
        var last = TimeSpan.Zero;
        for (var n = 0; n < nodes; n++)
        {
            var (at, way) = Enumerable.Range(0, ways.Length).Select(index => (At(served[index] + 1, buckets, ways[index]), index)).Min();
            served[way]++;
            last = at; // Each way's times only grow, and so do the smallest of them.
        }

        return last;
    }

    /// <summary>When a way has served this many.</summary>
    private static TimeSpan At(int count, Throttle buckets, Way way) => way.Takes + way.Actions
        .Select(action => buckets.SizeOf(action, filtered: true))
        .Max(bucket => TimeSpan.FromSeconds(Math.Max(0, count - bucket.Size) / bucket.RefillPerSecond));
}
