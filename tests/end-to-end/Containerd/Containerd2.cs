using AwsVpcCni.Tests.EndToEnd.Harness;
using Xunit;

namespace AwsVpcCni.Tests.EndToEnd.Containerd;

/// <summary>containerd 2 of a newer Debian, unpacked into artifacts/ once.</summary>
internal static class Containerd2
{
    private static readonly TimeSpan FetchTakes = TimeSpan.FromMinutes(5); // The script gives up before.

    /// <summary>The folder of its programs. The test is skipped, with the reason, where it cannot be had.</summary>
    public static async Task<string> ProgramsOrSkipAsync()
    {
        var folder = Path.Combine(Repository.Root, "artifacts", "containerd2");
        var (exitCode, _, why) = await Shell.TryAsync(FetchTakes, Path.Combine(Repository.Root, "scripts", "containerd2.sh"), folder);
        Assert.SkipUnless(exitCode == 0, $"No containerd 2: {why.Trim()}");
        return Path.Combine(folder, "usr", "bin");
    }
}
