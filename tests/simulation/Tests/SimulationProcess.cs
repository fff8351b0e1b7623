using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace AwsVpcCni.Tests.Simulation.Tests;

/// <summary>This program once more, in a process of its own: xunit's threads would look like escapes.</summary>
internal static class SimulationProcess
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(30);

    public static async Task<(int ExitCode, string Output)> RunAsync(params string[] words)
    {
        using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, words) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
        }
        catch (TimeoutException)
        {
            process.Kill(entireProcessTree: true); // A run of seeds has processes of its own.
            Assert.Fail($"{string.Join(' ', words)} has not ended within {Patience.TotalMinutes} minutes");
        }

        return (process.ExitCode, await output);
    }

    /// <summary>A figure of its last lines, <c>name: value</c>.</summary>
    public static double Figure(string output, string name) =>
        double.Parse(Regex.Match(output, $@"(?m)^{name}: (\S+)$").Groups[1].Value, CultureInfo.InvariantCulture);
}
