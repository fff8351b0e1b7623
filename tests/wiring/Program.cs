using AwsVpcCni.Tests.Wiring.Fuzz;
using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;

namespace AwsVpcCni.Tests.Wiring;

/// <summary>Runs the tests, or broken inputs: <c>fuzz INPUTS EXECS [SEED]</c>, and one of them again: <c>fuzz-one KIND SEED INPUT</c>.</summary>
internal static class Program
{
    private static Task<int> Main(string[] words) =>
        words is ["fuzz", var inputs, var execs, .. var rest] ? Fuzzing.RunAsync(int.Parse(inputs, null), int.Parse(execs, null), rest is [var seed] ? int.Parse(seed, null) : Fuzzing.Seed())
        : words is ["fuzz-one", var kind, var of, var input] ? Fuzzing.ReplayAsync(kind, int.Parse(of, null), int.Parse(input, null))
        // As xunit's own entry point has it: the first are how `dotnet test` calls.
        : words.Any(w => w is "--server" or "--internal-msbuild-node") ? TestPlatformTestFramework.RunAsync(words, SelfRegisteredExtensions.AddSelfRegisteredExtensions)
        : ConsoleRunner.Run(words);
}
