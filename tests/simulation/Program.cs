using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>Runs the tests, or seeds: <c>seeds COUNT [FIRST]</c>, those until one fails: <c>first COUNT</c>, one with its trace: <c>seed NUMBER</c>, the bursts: <c>burst</c>, the fleet: <c>fleet NODES</c>, the dry subnet: <c>hoard COUNT</c>, a neighbour that takes of EC2's buckets: <c>neighbour MINUTES [SEED]</c>, or many nodes that start, restart and go: <c>many NODES</c>.</summary>
internal static class Program
{
    private static Task<int> Main(string[] words) =>
        words is ["seeds", var many, .. var rest] ? Seeds.RunAsync(int.Parse(many, null), rest is [var from] ? int.Parse(from, null) : 1)
        : words is ["part", var all, var first, var part] ? Task.FromResult(Seeds.RunPart(int.Parse(all, null), int.Parse(first, null), int.Parse(part, null)))
        : words is ["first", var count] ? Task.FromResult(Seeds.RunToFirst(int.Parse(count, null)))
        : words is ["seed", var seed] ? Task.FromResult(Seeds.Replay(int.Parse(seed, null)))
        : words is ["fleet", var nodes] ? Task.FromResult(Fleet.FleetInVirtualTime.Run(int.Parse(nodes, null), seed: 1))
        : words is ["hoard", var worlds] ? Task.FromResult(Hoard.HoardRun.Run(int.Parse(worlds, null)))
        : words is ["neighbour", var minutes, .. var which] ? Task.FromResult(Budget.NeighbourRun.Run(TimeSpan.FromMinutes(int.Parse(minutes, null)), which is [var of] ? int.Parse(of, null) : 1))
        : words is ["many", var started] ? Task.FromResult(Budget.ManyNodesRun.Run(int.Parse(started, null)))
        : words is ["burst"] ? Task.FromResult(Burst.Bursts.Run())
        // As xunit's own entry point has it: the first are how `dotnet test` calls.
        : words.Any(w => w is "--server" or "--internal-msbuild-node") ? TestPlatformTestFramework.RunAsync(words, SelfRegisteredExtensions.AddSelfRegisteredExtensions)
        : ConsoleRunner.Run(words);
}
