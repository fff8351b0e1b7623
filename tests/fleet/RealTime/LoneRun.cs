using System.Diagnostics;
using System.Globalization;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>What a connection costs: executors in processes of their own, each with its own connection, on one silo or on edges before it. In real time.</summary>
/// <param name="DoorRssKib">More memory of a silo, or of all edges together, with all executors than with the first third of them, for each of the others: what its code takes as it runs the first time is not counted.</param>
/// <param name="DoorCpuUs">Each second, for each of them, of silo or edges.</param>
/// <param name="SiloCpuUs">The same of the silo behind edges; null: there is none.</param>
/// <param name="ExecutorPssKib">Of an executor: its share of what it has in common with the others counts once.</param>
/// <param name="ExecutorCpuUs">Of an executor, each second.</param>
internal sealed record LoneResult(double DoorRssKib, double DoorCpuUs, double? SiloCpuUs, double ExecutorPssKib, double ExecutorRssKib, double ExecutorCpuUs);

/// <summary>Starts them, few at a time, waits until each has its pod, and watches them for a minute.</summary>
internal static class LoneRun
{
    private const int StartAtOnce = 4;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Watched = TimeSpan.FromSeconds(60);

    /// <param name="edges">0: they go to the silo.</param>
    public static async Task<LoneResult> RunAsync(int executors, int edges, Action<string> say)
    {
        using var deadline = new CancellationTokenSource(Longest, TimeProvider.System);
        var vpc = HeldVpc.Of(executors, pods: 1);
        await using var programs = await Programs.StartAsync(vpc, new Dictionary<string, string> { ["Pool__WarmIps"] = "0", ["Pool__MinimumIps"] = "1" }, deadline.Token);
        for (var n = 0; n < edges; n++)
        {
            await programs.StartEdgeAsync(deadline.Token);
        }

        IReadOnlyList<ProcessFigures> doors = edges == 0 ? [programs.Silo] : programs.Edges;
        var (before, first) = (0.0, executors / 3 / StartAtOnce * StartAtOnce);
        var running = new List<Process>();
        try
        {
            var began = TimeProvider.System.GetTimestamp();
            foreach (var batch in vpc.Instances.Select((instance, index) => (Id: programs.Prepared(instance.Id!), Index: index)).Chunk(StartAtOnce))
            {
                if (running.Count == first)
                {
                    await Task.Delay(Settling, TimeProvider.System, deadline.Token);
                    before = doors.Sum(door => door.RssKib);
                }

                var started = batch.Select(one => Start(one.Id, programs, programs.DoorsFrom(one.Index))).ToList();
                running.AddRange(started);
                foreach (var process in started)
                {
                    var line = await process.StandardOutput.ReadLineAsync(deadline.Token);
                    if (line != LoneExecutor.Ready)
                    {
                        throw new InvalidOperationException($"An executor has ended: {line} {await process.StandardError.ReadToEndAsync(deadline.Token)}");
                    }
                }
            }

            say(string.Create(CultureInfo.InvariantCulture, $"{executors} executors have their pod after {TimeProvider.System.GetElapsedTime(began).TotalSeconds:0} s"));
            await Task.Delay(Settling, TimeProvider.System, deadline.Token);
            var clients = running.Select(process => new ProcessFigures(process)).ToList();
            var (clientCpu, doorCpu, siloCpu) = (clients.Sum(one => one.CpuSeconds), doors.Sum(one => one.CpuSeconds), programs.Silo.CpuSeconds);
            await Task.Delay(Watched, TimeProvider.System, deadline.Token);
            double Each(double now, double then) => (now - then) / Watched.TotalSeconds / executors * 1e6;
            return new LoneResult(
                (doors.Sum(door => door.RssKib) - before) / (executors - first), Each(doors.Sum(one => one.CpuSeconds), doorCpu), edges == 0 ? null : Each(programs.Silo.CpuSeconds, siloCpu),
                clients.Average(one => one.PssKib), clients.Average(one => one.RssKib), Each(clients.Sum(one => one.CpuSeconds), clientCpu));
        }
        finally
        {
            foreach (var process in running)
            {
                process.Kill();
                await process.WaitForExitAsync(CancellationToken.None);
                process.Dispose();
            }
        }
    }

    private static Process Start(string id, Programs programs, IReadOnlyList<Uri> doors)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["executor", id, programs.Nodes.FullName, .. doors.Select(door => door.OriginalString)])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment["DOTNET_TieredPGO"] = "0"; // As the shipped one, it is to be small.
        return Process.Start(start)!;
    }
}

/// <summary>One of those processes: an executor's lease and link without a kernel.</summary>
internal static class LoneExecutor
{
    /// <summary>Its line when its pod has an address.</summary>
    public const string Ready = "ready";

    /// <summary>Until its standard input ends, so that none outlives who has started it.</summary>
    /// <param name="folder">Where its token is, and its lease file comes to be.</param>
    public static async Task<int> RunAsync(string id, string folder, IReadOnlyList<Uri> doors)
    {
        await using var node = new FleetNode(id, new DirectoryInfo(folder), doors, watch: null);
        node.Start();
        await node.AddAsync(CancellationToken.None);
        Console.WriteLine(Ready);
        await Console.In.ReadToEndAsync();
        return 0;
    }
}
