using System.Globalization;
using AwsVpcCni.VpcEmulator.Control;

namespace AwsVpcCni.Tests.Fleet.RealTime;

/// <summary>What a fleet of our executors came to.</summary>
/// <param name="Seconds">Until the last node's first pod had its address.</param>
/// <param name="Served">Each node's.</param>
/// <param name="Converged">Until nothing was under way any more.</param>
/// <param name="Calls">To EC2 until then.</param>
/// <param name="SteadyCallsPerSecond">After that; null: not watched.</param>
internal sealed record FleetResult(double Seconds, IReadOnlyList<double> Served, double Converged, IReadOnlyList<CallEntry> Calls, double? SteadyCallsPerSecond);

/// <summary>As many empty nodes as wanted boot at once, in real time, and each asks for its first pod.</summary>
internal static class FleetRun
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(900);
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(30); // What is under way makes a call more often than that.

    /// <param name="settings">Of the silo, over its own.</param>
    /// <param name="steady">How long to watch afterwards; zero: not.</param>
    public static async Task<FleetResult> RunAsync(int nodes, IReadOnlyDictionary<string, string> settings, TimeSpan steady, Action<string> say)
    {
        using var deadline = new CancellationTokenSource(Longest + steady, TimeProvider.System);
        var vpc = FleetVpc.Of(nodes);
        await using var programs = await Programs.StartAsync(vpc, settings, deadline.Token);
        await using var watch = new AttachWatch(programs);
        List<FleetNode> fleet = [.. vpc.Instances.Select(instance => new FleetNode(programs.Prepared(instance.Id!), programs.Nodes, [programs.Door], watch))];
        try
        {
            watch.Start();
            say($"{nodes} nodes boot");
            var (began, clock) = (TimeProvider.System.GetUtcNow(), TimeProvider.System.GetTimestamp());
            var served = new double[nodes];
            var count = 0;
            var adds = fleet.Select(async (node, index) =>
            {
                node.Start();
                await node.AddAsync(deadline.Token);
                served[index] = TimeProvider.System.GetElapsedTime(clock).TotalSeconds;
                Interlocked.Increment(ref count);
            }).ToList();
            var all = Task.WhenAll(adds);
            while (!all.IsCompleted)
            {
                await Task.WhenAny(all, Task.Delay(TimeSpan.FromSeconds(10), TimeProvider.System, deadline.Token));
                var (silo, ec2) = programs.Cpu();
                say(string.Create(CultureInfo.InvariantCulture, $"{Volatile.Read(ref count)} pods have an address; CPU: silo {silo:0} s, emulator {ec2:0} s; failed ADDs {fleet.Sum(node => node.Failures)}, unanswered calls {fleet.Sum(node => node.Unanswered)}"));
            }

            await all;
            var (converged, calls) = await ConvergeAsync(fleet, programs, deadline.Token);
            say(string.Create(CultureInfo.InvariantCulture, $"nothing is under way since {(converged - began).TotalSeconds:0.0} s"));
            double? rate = null;
            if (steady > TimeSpan.Zero)
            {
                await Task.Delay(steady, TimeProvider.System, deadline.Token);
                rate = (await programs.CallsAsync(calls.Max(call => call.Sequence), deadline.Token)).Count / steady.TotalSeconds;
            }

            return new FleetResult(served.Max(), [.. served.Order()], Math.Max(served.Max(), (converged - began).TotalSeconds), [.. calls.Where(call => call.At <= converged)], rate);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            throw new TimeoutException($"Not through after {Longest + steady}: "
                + string.Join("; ", fleet.Where(node => node.LastFailure is not null).Take(3).Select(node => $"{node.Id}: {node.LastFailure}")));
        }
        finally
        {
            await Task.WhenAll(fleet.Select(node => node.DisposeAsync().AsTask()));
        }
    }

    private static async Task<(DateTimeOffset At, IReadOnlyList<CallEntry> Calls)> ConvergeAsync(List<FleetNode> fleet, Programs programs, CancellationToken cancellation)
    {
        List<CallEntry> calls = [];
        var lastSetUp = DateTimeOffset.MinValue;
        while (true)
        {
            calls.AddRange(await programs.CallsAsync(calls.Count == 0 ? 0 : calls.Max(call => call.Sequence), cancellation));
            var now = TimeProvider.System.GetUtcNow();
            lastSetUp = fleet.TrueForAll(node => node.IsSetUp) ? lastSetUp : now;
            var last = FleetCalls.LastChange(calls) is { } change && change > lastSetUp ? change : lastSetUp;
            if (now - last > Quiet)
            {
                return (last, calls);
            }

            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancellation);
        }
    }
}
