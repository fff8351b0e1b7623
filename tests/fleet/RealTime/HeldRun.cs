using System.Globalization;
using System.Text.Json;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>What a fleet costs that only runs.</summary>
/// <param name="RssMib">Of the silo, after a while without news.</param>
/// <param name="PeakRssMib">Its largest until then, while all joined.</param>
/// <param name="SweepSeconds">From a sweep's first question to EC2 until the last ledger has its answer; the longest that was seen.</param>
/// <param name="QueryMs">What each subnet has left, asked over HTTP when no answer was kept: each time that it took, in order.</param>
/// <param name="SyncsPerSecond">That were answered.</param>
/// <param name="FailedSyncs">While that was watched.</param>
/// <param name="CpuShare">Of one core, for all of this.</param>
internal sealed record HeldResult(double RssMib, double PeakRssMib, double SweepSeconds, IReadOnlyList<double> QueryMs, double SyncsPerSecond, long FailedSyncs, double CpuShare);

/// <summary>As many nodes as wanted, each with its pods, join a silo and then do what nodes do all day: sync each ten seconds. In real time.</summary>
internal static class HeldRun
{
    private const int JoinAtOnce = 16; // More ADDs at once than a loaded machine answers in time would only be asked again.
    private const int Queries = 200;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(60);
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan BetweenQueries = TimeSpan.FromMilliseconds(1100); // An answer is kept for a second.

    public static async Task<HeldResult> RunAsync(int nodes, int pods, Action<string> say)
    {
        using var deadline = new CancellationTokenSource(Longest, TimeProvider.System);
        var vpc = HeldVpc.Of(nodes, pods);
        await using var programs = await Programs.StartAsync(vpc, new Dictionary<string, string> { ["Pool__WarmIps"] = "0", ["Pool__MinimumIps"] = $"{pods}" }, deadline.Token);
        say($"silo and EC2 run; the silo has {programs.Silo.RssMib:0} MiB");
        var syncs = new Syncs();
        List<FleetNode> fleet = [.. vpc.Instances.Select(instance => new FleetNode(programs.Prepared(instance.Id!), programs.Nodes, [programs.Door], watch: null, syncs))];
        try
        {
            var joined = 0;
            using var join = new SemaphoreSlim(JoinAtOnce);
            var all = Task.WhenAll(fleet.Select(async node =>
            {
                await join.WaitAsync(deadline.Token);
                node.Start();
                await Task.WhenAll(Enumerable.Range(1, pods).Select(pod => node.AddAsync(deadline.Token, pod)));
                Interlocked.Increment(ref joined);
                join.Release();
            }));
            while (!all.IsCompleted)
            {
                await Task.WhenAny(all, Task.Delay(TimeSpan.FromSeconds(10), TimeProvider.System, deadline.Token));
                say(string.Create(CultureInfo.InvariantCulture, $"{Volatile.Read(ref joined)} nodes have their {pods} pods; the silo has {programs.Silo.RssMib:0} MiB; CPU: silo {programs.Cpu().Silo:0} s; failed ADDs {fleet.Sum(node => node.Failures)} {fleet.Find(node => node.LastFailure is not null)?.LastFailure}"));
            }

            await all;
            await Task.Delay(Settling, TimeProvider.System, deadline.Token);
            var (began, (answered, failed), cpu) = (TimeProvider.System.GetTimestamp(), syncs.Counts, programs.Cpu().Silo);
            var (queries, readAt) = (new List<double>(), new HashSet<DateTimeOffset>());
            for (var n = 0; n < Queries; n++)
            {
                var asked = TimeProvider.System.GetTimestamp();
                using var subnets = JsonDocument.Parse(await programs.AskAsync("/api/v1/subnets", deadline.Token));
                queries.Add(TimeProvider.System.GetElapsedTime(asked).TotalMilliseconds);
                readAt.UnionWith(subnets.RootElement.GetProperty("items").EnumerateArray().Select(subnet => subnet.GetProperty("readAt").GetDateTimeOffset()));
                await Task.Delay(BetweenQueries, TimeProvider.System, deadline.Token);
            }

            var seconds = TimeProvider.System.GetElapsedTime(began).TotalSeconds;
            var after = syncs.Counts;
            var sweeps = SweepTimes.Of(await programs.CallsAsync(0, deadline.Token), readAt);
            say($"sweeps took {string.Join(", ", sweeps.Select(sweep => string.Create(CultureInfo.InvariantCulture, $"{sweep:0.0} s")))}");
            queries.Sort();
            return new HeldResult(programs.Silo.RssMib, programs.Silo.PeakRssMib, sweeps.Max(), queries, (after.Answered - answered) / seconds, after.Failed - failed, (programs.Cpu().Silo - cpu) / seconds);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            throw new TimeoutException($"Not through after {Longest}: "
                + string.Join("; ", fleet.Where(node => node.LastFailure is not null).Take(3).Select(node => $"{node.Id}: {node.LastFailure}")));
        }
        finally
        {
            await Task.WhenAll(fleet.Select(node => node.DisposeAsync().AsTask()));
        }
    }
}
