using System.Diagnostics;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Plugin;

/// <summary>One run of the shipped plugin.</summary>
internal sealed class PluginProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(100);

    private readonly Process process;

    private PluginProcess(Process process) => this.process = process;

    /// <summary>Or what <c>AWS_VPC_CNI_TEST_PLUGIN</c> names: scripts/arm64.sh has that of another machine.</summary>
    public static string Program { get; } = Environment.GetEnvironmentVariable("AWS_VPC_CNI_TEST_PLUGIN") is { Length: > 0 } other ? other : Repository.Artifact("plugin", "aws-vpc-cni");

    /// <summary>Starts it and gives it its stdin, which it may leave unread.</summary>
    /// <param name="environment"><c>NAME=value</c>; nothing else is in its environment.</param>
    public static async Task<PluginProcess> StartAsync(IEnumerable<string> environment, byte[] stdin, params string[] around)
    {
        var plugin = Start(environment, around);
        await plugin.GiveAsync(stdin);
        return plugin;
    }

    /// <summary>Starts it; it waits for its stdin.</summary>
    public static PluginProcess Start(IEnumerable<string> environment, params string[] around)
    {
        string[] command = [.. around, Program];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Clear();
        foreach (var variable in environment)
        {
            var equals = variable.IndexOf('=', StringComparison.Ordinal);
            start.Environment[variable[..equals]] = variable[(equals + 1)..];
        }

        return new PluginProcess(Process.Start(start)!);
    }

    /// <summary>All of its stdin.</summary>
    public async Task GiveAsync(byte[] stdin)
    {
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(stdin);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has answered without reading (VERSION, or stdin beyond the limit), or was killed.
        }
    }

    public void Kill() => process.Kill();

    public async Task<PluginResult> ResultAsync()
    {
        using var deadline = new CancellationTokenSource(Patience);
        using var stdout = new MemoryStream();
        var error = process.StandardError.ReadToEndAsync(deadline.Token);
        await process.StandardOutput.BaseStream.CopyToAsync(stdout, deadline.Token);
        await process.WaitForExitAsync(deadline.Token);
        return new PluginResult(process.ExitCode, stdout.ToArray(), await error);
    }

    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill();
        }

        process.Dispose();
    }
}

internal sealed record PluginResult(int ExitCode, byte[] Stdout, string Stderr);
