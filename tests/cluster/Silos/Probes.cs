using System.Collections.Immutable;
using AwsVpcCni.Core.Contracts;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Asks each node's grain again and again, by doors of silos that live, until it is disposed: how long it does not answer.</summary>
/// <remarks>The question is an ADD that the executor has long ended: a grain that knows its document and its rows says so, and does nothing.</remarks>
internal sealed class Probes : IAsyncDisposable
{
    private static readonly AssignRequest LongEnded = new(new Stamp(0, 1), new SandboxKey("probe", "eth0"), new PodName("", "", ""), ImmutableArray<Refusal>.Empty);
    private static readonly TimeSpan Gap = TimeSpan.FromMilliseconds(200);

    private readonly Calls _calls;
    private readonly CancellationTokenSource _stop = new();
    private readonly Probe[] _probes;
    private readonly Task _running;

    /// <param name="doors">In turn.</param>
    public Probes(Calls calls, IEnumerable<string> nodes, IReadOnlyList<Uri> doors)
    {
        _calls = calls;
        _probes = [.. nodes.Select((node, index) => new Probe(node, doors[index % doors.Count]))];
        _running = Task.WhenAll(_probes.Select(probe => Task.Run(() => AskAsync(probe))));
    }

    /// <summary>Whether each grain has answered at least once.</summary>
    public bool HaveAllAnswered => _probes.All(probe => probe.Last != 0);

    /// <summary>Whether each grain has answered after this moment.</summary>
    public bool HaveAllAnsweredSince(long moment) => _probes.All(probe => probe.Last > moment);

    /// <summary>The longest time between two answers of a grain, and how many grains did not answer for more than a second.</summary>
    public (TimeSpan Longest, int Silent) Silence => (_probes.Max(probe => probe.Longest), _probes.Count(probe => probe.Longest > TimeSpan.FromSeconds(1)));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task AskAsync(Probe probe)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                if (await _calls.AssignAsync(probe.Door, probe.Node, LongEnded, _stop.Token) is AssignReply.Never { Why.Code: ReasonCode.Outdated })
                {
                    probe.Answered();
                }
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
            {
                // No answer.
            }

            await Task.Delay(Gap, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private sealed class Probe(string node, Uri door)
    {
        public string Node => node;

        public Uri Door => door;

        public long Last { get; private set; }

        public TimeSpan Longest { get; private set; }

        public void Answered()
        {
            var now = TimeProvider.System.GetTimestamp();
            if (Last != 0 && TimeProvider.System.GetElapsedTime(Last, now) is var silence && silence > Longest)
            {
                Longest = silence;
            }

            Last = now;
        }
    }
}
