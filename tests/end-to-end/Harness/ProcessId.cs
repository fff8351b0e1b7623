using System.Globalization;
using System.Runtime.InteropServices;

namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>A process that stays the same one: its number with its start time, so that a number used again is not taken for it.</summary>
/// <param name="StartTime">Clock ticks since boot, field 22 of /proc/PID/stat.</param>
internal readonly partial record struct ProcessId(int Pid, ulong StartTime)
{
    public const int SigKill = 9, SigTerm = 15, SigStop = 19, SigCont = 18;

    private static readonly TimeSpan DeathTakes = TimeSpan.FromSeconds(10);

    /// <summary>Gone, or a zombie that waits for its parent to take note.</summary>
    public bool IsGone => Read(Pid) is not { } now || now.Id != this || now.State is 'Z' or 'X';

    /// <summary>Null when there is none.</summary>
    public static ProcessId? Of(int pid) => Read(pid)?.Id;

    public static IEnumerable<ProcessId> All() => Directory.EnumerateDirectories("/proc")
        .Select(p => int.TryParse(Path.GetFileName(p), CultureInfo.InvariantCulture, out var pid) ? Of(pid) : null)
        .OfType<ProcessId>();

    /// <summary>As written by <see cref="ToString"/>; null for anything else.</summary>
    public static ProcessId? Parse(string text) =>
        text.Split(' ') is [var pid, var start]
        && int.TryParse(pid, CultureInfo.InvariantCulture, out var number)
        && ulong.TryParse(start, CultureInfo.InvariantCulture, out var time)
            ? new ProcessId(number, time)
            : null;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Pid} {StartTime}");

    /// <summary>The arguments of its command line; empty when it is gone.</summary>
    public string[] CommandLine()
    {
        try
        {
            return File.ReadAllText($"/proc/{Pid}/cmdline").Split('\0');
        }
        catch (IOException)
        {
            return [];
        }
    }

    public void Signal(int signal)
    {
        if (!IsGone)
        {
            _ = kill(Pid, signal);
        }
    }

    /// <summary>Ends it: politely for as long as <paramref name="patience"/>, then by SIGKILL.</summary>
    public async Task EndAsync(TimeSpan patience)
    {
        Signal(SigTerm);
        try
        {
            await GoneAsync(patience);
        }
        catch (TimeoutException)
        {
            await KillAsync();
        }
    }

    public Task KillAsync()
    {
        Signal(SigKill);
        return GoneAsync(DeathTakes);
    }

    private Task GoneAsync(TimeSpan patience)
    {
        var id = this;
        return Eventually.HoldsAsync($"the end of process {Pid} ({string.Join(' ', CommandLine())})", patience, _ => Task.FromResult(id.IsGone ? null : "it runs"));
    }

    private static (ProcessId Id, char State)? Read(int pid)
    {
        try
        {
            // The name is in brackets and may hold anything, so fields are counted from the last bracket: state is 3, start time 22.
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return (new ProcessId(pid, ulong.Parse(fields[19], CultureInfo.InvariantCulture)), fields[0][0]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [LibraryImport("libc")]
    private static partial int kill(int pid, int signal);
}
