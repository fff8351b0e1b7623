using System.Diagnostics;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Metrics;

/// <summary>Debian's promtool (package prometheus), which knows what Prometheus takes.</summary>
internal static class Promtool
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Fails with all that it says when it finds something.</summary>
    /// <param name="input">For its standard input.</param>
    /// <param name="folder">Where it runs.</param>
    public static async Task<string> RunAsync(string input, string folder, params string[] words)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var process = Process.Start(new ProcessStartInfo("promtool", words) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder })!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(patience.Token), process.StandardError.ReadToEndAsync(patience.Token));
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        await process.WaitForExitAsync(patience.Token);
        var said = await output + await errors;
        Assert.True(process.ExitCode == 0, $"promtool {string.Join(' ', words)} ended with {process.ExitCode}:\n{said}");
        return said;
    }
}
