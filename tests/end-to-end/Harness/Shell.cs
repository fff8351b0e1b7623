using System.Diagnostics;

namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>Programs that end by themselves: `ip`, `ctr`, `ping`.</summary>
internal static class Shell
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>What it prints. An exit code other than 0 is an exception with all that it printed.</summary>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        var (exitCode, stdout, stderr) = await TryAsync(program, arguments);
        return exitCode == 0
            ? stdout
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: exit code {exitCode}: {stderr}{stdout}");
    }

    public static Task<(int ExitCode, string Stdout, string Stderr)> TryAsync(string program, params string[] arguments) => TryAsync(Patience, program, arguments);

    public static async Task<(int ExitCode, string Stdout, string Stderr)> TryAsync(TimeSpan patience, string program, params string[] arguments)
    {
        using var deadline = new CancellationTokenSource(patience);
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        try
        {
            var stderr = process.StandardError.ReadToEndAsync(deadline.Token);
            var stdout = await process.StandardOutput.ReadToEndAsync(deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            return (process.ExitCode, stdout, await stderr);
        }
        catch (OperationCanceledException e)
        {
            process.Kill();
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} did not end within {patience.TotalSeconds} s.", e);
        }
    }
}
