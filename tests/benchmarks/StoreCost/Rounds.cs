using System.Diagnostics;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Storage;

namespace AwsVpcCni.Benchmarks.StoreCost;

/// <summary>What one block has done.</summary>
/// <param name="Count">Assignments.</param>
/// <param name="Seconds">What they took.</param>
/// <param name="Cpu">CPU seconds of each process that was watched, meanwhile.</param>
internal sealed record Block(int Count, double Seconds, double[] Cpu)
{
    public double Rate => Count / Seconds;

    /// <summary>CPU of an assignment in microseconds.</summary>
    public double Microseconds(int process) => Cpu[process] / Count * 1e6;
}

/// <summary>Gives each address of each node to a pod of its own, then frees them all, again and again: the same rows, in the same order, on both sides of
/// the comparison. Only the giving is timed and counted; the freeing is neither, nor is the quarter of a second of quiet after it.</summary>
/// <param name="inFlight">Calls at once.</param>
/// <param name="assign">Makes a row stand; fails when it cannot.</param>
/// <param name="freeAll">Ends all of them.</param>
internal sealed class Rounds(IReadOnlyList<string> nodes, int addresses, int inFlight, Func<int, AddressRow, Task> assign, Func<Task> freeAll)
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(250);

    private long _pods;

    /// <summary>Rows of a round.</summary>
    public int Size => nodes.Count * addresses;

    /// <summary>Ends after the round in which <paramref name="seconds"/> of giving are through.</summary>
    /// <param name="watched">Processes by number.</param>
    public async Task<Block> RunAsync(double seconds, IReadOnlyList<int> watched, CancellationToken cancellation)
    {
        var block = new Block(0, 0, new double[watched.Count]);
        while (block.Seconds < seconds)
        {
            await Task.Delay(Quiet, cancellation);
            var before = watched.Select(ProcessTime.Of).ToArray();
            var clock = Stopwatch.StartNew();
            await AssignAllAsync(cancellation);
            var took = clock.Elapsed.TotalSeconds;
            block = new Block(block.Count + Size, block.Seconds + took, [.. watched.Select((process, n) => block.Cpu[n] + ProcessTime.Of(process) - before[n])]);
            await freeAll();
        }

        return block;
    }

    /// <summary>As many calls a second as given, whether or not those before are answered.</summary>
    /// <returns>How long each took, from its sending; and how late each was sent. In ms.</returns>
    public async Task<(List<double> Took, List<double> Late)> PacedAsync(double rate, double seconds, CancellationToken cancellation)
    {
        List<double> took = [], late = [];
        while (took.Count < rate * seconds)
        {
            await Task.Delay(Quiet, cancellation);
            var sent = new List<Task<double>>(Size);
            var clock = Stopwatch.StartNew();
            for (var n = 0; n < Size; n++)
            {
                while (clock.Elapsed.TotalSeconds < n / rate)
                {
                    await Task.Delay(1, cancellation);
                }

                late.Add(clock.Elapsed.TotalMilliseconds - (n / rate * 1000));
                sent.Add(TimeAsync(n));
            }

            took.AddRange(await Task.WhenAll(sent).WaitAsync(cancellation));
            await freeAll();
        }

        return (took, late);
    }

    private async Task<double> TimeAsync(int n)
    {
        var clock = Stopwatch.StartNew();
        await assign(n, Row(n));
        return clock.Elapsed.TotalMilliseconds;
    }

    private async Task AssignAllAsync(CancellationToken cancellation)
    {
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, inFlight).Select(_ => Task.Run(
            async () =>
            {
                while (Interlocked.Increment(ref next) is var n && n < Size)
                {
                    await assign(n, Row(n));
                }
            },
            cancellation))).WaitAsync(cancellation);
    }

    /// <summary>One node after the other, so that all of them have calls in flight. The address is who stores it to choose.</summary>
    private AddressRow Row(int n)
    {
        var pod = Interlocked.Increment(ref _pods);
        return new AddressRow
        {
            NodeId = nodes[n % nodes.Count],
            Address = Ip.Parse("10.30.0.0") + (n / nodes.Count) + (n % nodes.Count * addresses),
            // As long as containerd's and Kubernetes' are.
            Sandbox = new SandboxKey($"{pod:x64}", "eth0"),
            Pod = new PodName("benchmark", $"deployment-6d4cf56db6-{pod:x5}", $"{pod:x8}-0000-4000-8000-000000000000"),
            Stamp = new Stamp(1, pod),
            Since = TimeProvider.System.GetUtcNow(),
        };
    }
}
