using System.Diagnostics;

namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>A program of the environment that runs until it is stopped. Its output goes to a file, its process id to another.</summary>
internal sealed class Daemon : IAsyncDisposable
{
    public const string PidFileEnding = ".pid";
    public const string Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private readonly Process process;
    private readonly string pidFile;

    private Daemon(string name, Process process, ProcessId id, string logFile, string pidFile) =>
        (Name, this.process, Id, LogFile, this.pidFile) = (name, process, id, logFile, pidFile);

    public string Name { get; }

    public ProcessId Id { get; }

    public string LogFile { get; }

    public bool HasExited => process.HasExited;

    public int ExitCode => process.ExitCode;

    /// <summary>Starts it with the environment given and a PATH, and nothing else: no credential or setting of the caller reaches it.</summary>
    /// <param name="name">Of the files.</param>
    /// <param name="netns">Path of the network namespace to start it in; null: the caller's. By nsenter, since `ip netns exec` also remounts /sys.</param>
    public static Daemon Start(WorkFolder work, string name, string? netns, IReadOnlyDictionary<string, string> environment, params string[] command)
    {
        var (log, pidFile) = (work.Path(name + ".log"), work.Path(name + PidFileEnding));
        string[] entering = netns is null ? [] : ["nsenter", "--net=" + netns];
        File.AppendAllText(log, ""); // Whoever reads it may come before the shell.

        // The shell gives it its files and becomes the program itself, so that the process id stays; a log outlives its runs.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1 </dev/null", "sh", log, .. entering, .. command])
        {
            WorkingDirectory = work.Root,
        };
        start.Environment.Clear();
        start.Environment["PATH"] = Path;
        foreach (var (key, value) in environment)
        {
            start.Environment[key] = value;
        }

        File.AppendAllText(log, ""); // It is there to be read, even before the shell has opened it.
        var process = Process.Start(start)!;
        var id = ProcessId.Of(process.Id) ?? throw new InvalidOperationException($"{name} ended at once.");
        File.WriteAllText(pidFile, id.ToString());
        return new Daemon(name, process, id, log, pidFile);
    }

    /// <summary>Waits until it can serve, and says with its log when it ends instead.</summary>
    /// <param name="whyNot">Null when it can.</param>
    public Task ReadyAsync(TimeSpan patience, Func<CancellationToken, Task<string?>> whyNot) =>
        Eventually.HoldsAsync($"{Name} to be ready (log: {LogFile})", patience, async cancellation =>
            process.HasExited
                ? throw new InvalidOperationException($"{Name} ended with exit code {process.ExitCode} before it was ready. Its log ends:\n{LogEnd()}")
                : await whyNot(cancellation));

    /// <summary>Starts it, and waits until it has ended by itself.</summary>
    /// <returns>Its exit code and all that it said.</returns>
    public static async Task<(int ExitCode, string Output)> RunOnceAsync(WorkFolder work, string name, string? netns, IReadOnlyDictionary<string, string> environment, params string[] command)
    {
        File.Delete(work.Path(name + ".log"));
        await using var daemon = Start(work, name, netns, environment, command);
        await Eventually.HoldsAsync($"{name} to end (log: {daemon.LogFile})", TimeSpan.FromSeconds(30), _ => Task.FromResult(daemon.HasExited ? null : "it runs"));
        return (daemon.ExitCode, daemon.LogEnd());
    }

    /// <summary>Waits for an end that comes by itself.</summary>
    public Task EndedAsync(CancellationToken cancellation) => process.WaitForExitAsync(cancellation);

    /// <summary>SIGTERM, and SIGKILL when that does not help.</summary>
    /// <returns>Its exit code; 137 after SIGKILL.</returns>
    public async Task<int> StopAsync(TimeSpan? patience = null)
    {
        await Id.EndAsync(patience ?? TimeSpan.FromSeconds(10));
        return await ExitedAsync();
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        await Id.KillAsync();
        await ExitedAsync();
    }

    public string LogEnd(int lines = 30) => string.Join('\n', File.Exists(LogFile) ? File.ReadAllLines(LogFile).TakeLast(lines) : []);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        process.Dispose();
    }

    private async Task<int> ExitedAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        await process.WaitForExitAsync(deadline.Token);
        File.Delete(pidFile);
        return process.ExitCode;
    }
}
