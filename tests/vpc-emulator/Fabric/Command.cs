using System.Diagnostics;

namespace AwsVpcCni.VpcEmulator.Fabric;

/// <summary>Runs iproute2 and nftables, which do the fabric's set-up.</summary>
internal static class Command
{
    /// <summary>Runs several `ip` commands, a line each, inside a namespace, in one process. Stops at the first that fails.</summary>
    public static Task IpBatchAsync(string netns, string lines, CancellationToken cancellation) =>
        RunAsync("ip", ["-n", netns, "-batch", "-"], lines, cancellation);

    /// <summary>Applies an nftables script inside a namespace: all of it or nothing.</summary>
    public static Task NftAsync(string netns, string script, CancellationToken cancellation) =>
        RunAsync("nsenter", [$"--net={NetworkNamespace.PathOf(netns)}", "nft", "-f", "-"], script, cancellation);

    /// <returns>What the program wrote to its standard output.</returns>
    /// <exception cref="InvalidOperationException">It ended with an error; the message carries its words.</exception>
    public static async Task<string> RunAsync(string program, string[] arguments, string? input, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        try
        {
            // Both are read while the input is written: a full pipe on either side would stop the other for good.
            var output = process.StandardOutput.ReadToEndAsync(cancellation);
            var errors = process.StandardError.ReadToEndAsync(cancellation);
            await process.StandardInput.WriteAsync((input ?? "").AsMemory(), cancellation);
            process.StandardInput.Close();
            await process.WaitForExitAsync(cancellation);
            return process.ExitCode == 0
                ? await output
                : throw new InvalidOperationException(
                    $"`{program} {string.Join(' ', arguments)}` ended with {process.ExitCode}: {(await errors).Trim()}{Quote(input)}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    private static string Quote(string? input) => string.IsNullOrEmpty(input) ? "" : $"\nIts input was:\n{input}";
}
