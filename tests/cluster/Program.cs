using System.Globalization;
using AwsVpcCni.Tests.Cluster.Silos;
using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;

namespace AwsVpcCni.Tests.Cluster;

/// <summary>Runs the tests, or a silo's ends under pods that come and go: <c>soak RUNS</c>.</summary>
internal static class Program
{
    private static Task<int> Main(string[] words) =>
        words is ["soak", var runs] ? Soak.RunAsync(int.Parse(runs, CultureInfo.InvariantCulture))
        // As xunit's own entry point has it: the first are how `dotnet test` calls.
        : words.Any(word => word is "--server" or "--internal-msbuild-node") ? TestPlatformTestFramework.RunAsync(words, SelfRegisteredExtensions.AddSelfRegisteredExtensions)
        : ConsoleRunner.Run(words);
}
