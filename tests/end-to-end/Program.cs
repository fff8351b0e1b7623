using AwsVpcCni.Tests.EndToEnd.Cluster;
using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;

namespace AwsVpcCni.Tests.EndToEnd;

/// <summary>Runs the tests, or with one word what shares their cluster: <c>demo</c>, the demonstration, or <c>footprint</c>, what the programs weigh.</summary>
internal static class Program
{
    private static Task<int> Main(string[] words) =>
        words is ["demo"] ? Demo.RunAsync()
        : words is ["footprint"] ? Footprint.RunAsync()
        : words is ["trace", .. var traced] ? Task.FromResult(KillPoints.Tracer.Run(traced))
        // As xunit's own entry point has it: the first are how `dotnet test` calls.
        : words.Any(w => w is "--server" or "--internal-msbuild-node") ? TestPlatformTestFramework.RunAsync(words, SelfRegisteredExtensions.AddSelfRegisteredExtensions)
        : ConsoleRunner.Run(words);
}
