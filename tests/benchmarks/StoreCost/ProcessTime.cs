using System.Globalization;

namespace AwsVpcCni.Benchmarks.StoreCost;

/// <summary>What the kernel counts of a process.</summary>
internal static class ProcessTime
{
    private const double TicksPerSecond = 100; // USER_HZ: the same on every x86-64 Linux.

    /// <summary>CPU seconds so far, of all its threads, in steps of 10 ms.</summary>
    public static double Of(int process)
    {
        // proc(5): the name, in brackets, may have spaces; utime and stime are the fields 14 and 15.
        var stat = File.ReadAllText($"/proc/{process}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
    }

    /// <summary>The machine's load: running and waiting threads, mean of the last minute.</summary>
    public static string Load() => File.ReadAllText("/proc/loadavg").Split(' ')[0];
}
