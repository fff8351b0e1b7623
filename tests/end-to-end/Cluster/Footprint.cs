using System.Diagnostics;
using System.Globalization;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.Tests.EndToEnd.Plugin;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

/// <summary>`make footprint`: what the programs weigh. Memory of silo and executor at idle, 30 s after a cluster of two nodes with a
/// pod each has come up; size of the plugin, and its run with VERSION beside /bin/true, alternating.</summary>
internal static class Footprint
{
    private const int Runs = 300;
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(30);

    public static async Task<int> RunAsync()
    {
        await using var cluster = await TestCluster.StartAsync(new ClusterSettings("avcfootprint"), Console.WriteLine);
        foreach (var node in cluster.Nodes)
        {
            await node.Cri.RunPodAsync("pod");
        }

        await Task.Delay(Settling, TimeProvider.System);
        var figures = new List<(string Name, double Value)>
        {
            ("silo_rss_mib", ResidentMib(cluster.Silo.Daemon!)),
            ("executor_rss_mib", cluster.Nodes.Max(node => ResidentMib(node.Executor!))),
            ("executor_size_mib", new FileInfo(Repository.Artifact("node-executor", "node-executor")).Length / 1048576.0),
            ("plugin_size_mib", new FileInfo(PluginProcess.Program).Length / 1048576.0),
        };
        var (plugin, nothing) = (new List<double>(), new List<double>());
        for (var run = 0; run < Runs; run++)
        {
            nothing.Add(Milliseconds("/bin/true"));
            plugin.Add(Milliseconds(PluginProcess.Program));
        }

        figures.Add(("plugin_exec_ms_median", Median(plugin)));
        figures.Add(("plugin_exec_ratio_to_true", Median([.. plugin.Zip(nothing, (one, other) => one / other)])));
        foreach (var (name, value) in figures)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {value:0.00}"));
        }

        return 0;
    }

    private static double ResidentMib(Daemon daemon)
    {
        var line = File.ReadLines($"/proc/{daemon.Id.Pid}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
    }

    private static double Milliseconds(string program)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["CNI_COMMAND"] = "VERSION";
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        process.WaitForExit();
        return clock.Elapsed.TotalMilliseconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
