using System.Diagnostics;
using System.Globalization;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>What a process weighs, as Linux tells it now.</summary>
internal sealed class ProcessFigures(Process process)
{
    public double RssKib => Of("status", "VmRSS:");

    public double RssMib => RssKib / 1024;

    public double PeakRssMib => Of("status", "VmHWM:") / 1024;

    /// <summary>What it has in common with others is shared out among them.</summary>
    public double PssKib => Of("smaps_rollup", "Pss:");

    public double CpuSeconds
    {
        get
        {
            process.Refresh();
            return process.TotalProcessorTime.TotalSeconds;
        }
    }

    private double Of(string file, string name) => double.Parse(
        File.ReadLines($"/proc/{process.Id}/{file}").First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
}
