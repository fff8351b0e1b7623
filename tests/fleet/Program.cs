using System.Globalization;
using AwsVpcCni.Tests.Fleet.PerNode;

namespace AwsVpcCni.Tests.Fleet;

/// <summary>`make bench-fleet`.</summary>
internal static class Program
{
    private static int Main(string[] words)
    {
        if (words is not ["pernode", var nodes])
        {
            Console.Error.WriteLine("Which run? There is: pernode NODES");
            return 2;
        }

        var result = PerNodeFleet.Run(FleetVpc.Of(int.Parse(nodes, CultureInfo.InvariantCulture)));
        foreach (var (action, (all, throttled)) in result.Calls.ByAction)
        {
            Console.WriteLine($"{action}: {all} calls, {throttled} of them throttled");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"starts: {result.Starts}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"pernode_seconds: {result.Seconds:0.0}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"pernode_converged_seconds: {result.Converged:0.0}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"pernode_unfinished: {result.Unfinished}"));
        return 0;
    }
}
