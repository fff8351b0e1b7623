using System.Diagnostics;
using Xunit;

namespace AwsVpcCni.Tests.Chart;

/// <summary>Helm itself, of both majors that are in use.</summary>
internal static class Helm
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private static readonly Lazy<Task<(int ExitCode, string Said)>> Fetched = new(() => RunAsync(Path.Combine(Repository.Root, "scripts", "helm.sh"), Folder));

    public static string[] Majors => ["3", "4"];

    private static string Folder => Path.Combine(Repository.Root, "artifacts", "helm");

    /// <summary>Skips the test, saying why, where Helm cannot be had.</summary>
    public static async Task<(int ExitCode, string Said)> RunOrSkipAsync(string major, params string[] words)
    {
        var (exitCode, said) = await Fetched.Value;
        Assert.SkipUnless(exitCode == 0, $"No Helm: {said.Trim()}");
        return await RunAsync(Path.Combine(Folder, major, "helm"), words);
    }

    private static async Task<(int ExitCode, string Said)> RunAsync(string program, params string[] words)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var process = Process.Start(new ProcessStartInfo(program, words) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Repository.Root })!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(patience.Token), process.StandardError.ReadToEndAsync(patience.Token));
        await process.WaitForExitAsync(patience.Token);
        return (process.ExitCode, await output + await errors);
    }
}
