using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Tests.Simulation.Scheduling;

namespace AwsVpcCni.Tests.Simulation.Faults;

/// <summary>Which faults strike, and how often: a swarm, so that mild and wild seeds find different things.</summary>
internal sealed class Swarm
{
    private static readonly TimeSpan LeastLatency = TimeSpan.FromMilliseconds(0.2);
    private static readonly TimeSpan MostLatency = TimeSpan.FromMilliseconds(3);

    private readonly Scheduler _scheduler;
    private readonly SortedDictionary<FaultKind, double> _rates = [];
    private readonly HashSet<(string, string)> _cuts = [];
    private readonly Dictionary<(Ec2Action, string), TimeSpan> _refusedUntil = [];

    public Swarm(Scheduler scheduler, bool isCalm)
    {
        _scheduler = scheduler;
        var wildness = Math.Pow(10, -2 * scheduler.Random.NextDouble()); // From 0.01 to 1, the logarithm even.
        foreach (var kind in Enum.GetValues<FaultKind>())
        {
            var isIn = scheduler.Random.Next(3) > 0;
            var rate = RateOf(kind) * (IsDecided(kind) ? Math.Sqrt(wildness) : wildness) * (0.5 + scheduler.Random.NextDouble());
            if (isIn && !isCalm)
            {
                _rates[kind] = rate;
            }
        }
    }

    /// <summary>False once everything has to heal.</summary>
    public bool IsOn { get; set; } = true;

    public SortedDictionary<FaultKind, int> Struck { get; } = [];

    /// <summary>How often each fault met each EC2 action.</summary>
    public SortedDictionary<(FaultKind Kind, Ec2Action Action), int> OnEc2 { get; } = [];

    /// <summary>Awaits of the node's grain at which an activation was killed.</summary>
    public HashSet<(Type Machine, int Await)> KilledAt { get; } = [];

    public int Count => Struck.Values.Sum();

    /// <summary>Decides about one occasion, and counts it.</summary>
    /// <param name="times">So much likelier than at the kind's own rate, where occasions are rare.</param>
    public bool Strikes(FaultKind kind, int times = 1)
    {
        var strikes = IsOn && _scheduler.Chance(Math.Min(0.5, times * _rates.GetValueOrDefault(kind)));
        if (strikes)
        {
            Add(kind);
        }

        return strikes;
    }

    /// <summary>Decides about a call for an interface that EC2 refuses for a reason of its own, for seconds or minutes: its instance is stopped, say.</summary>
    public bool Refuses(Ec2Action action, string target, int times)
    {
        if (Strikes(FaultKind.Ec2Refuses, times))
        {
            _refusedUntil[(action, target)] = _scheduler.Now + (_scheduler.Random.Next(2) == 0 ? _scheduler.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30)) : _scheduler.Between(TimeSpan.FromSeconds(120), TimeSpan.FromSeconds(400)));
        }

        return IsOn && _refusedUntil.GetValueOrDefault((action, target)) > _scheduler.Now;
    }

    /// <summary>A seed that shows too little gets wilder; one in which no pod comes through, milder.</summary>
    public void Stir(double times)
    {
        foreach (var kind in _rates.Keys.ToArray())
        {
            _rates[kind] = Math.Min(0.5, times * _rates[kind]);
        }
    }

    /// <summary>One that somebody else has decided about.</summary>
    public void Add(FaultKind kind)
    {
        Struck[kind] = Struck.GetValueOrDefault(kind) + 1;
        _scheduler.Trace?.Invoke($"FAULT {kind}");
    }

    /// <summary>When a message arrives: never, once or twice.</summary>
    public IEnumerable<TimeSpan> Deliveries()
    {
        if (Strikes(FaultKind.MessageLost))
        {
            yield break;
        }

        yield return Latency() + (Strikes(FaultKind.MessageLate) ? _scheduler.Between(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(8)) : TimeSpan.Zero);
        if (Strikes(FaultKind.MessageTwice))
        {
            yield return Latency() + _scheduler.Between(TimeSpan.Zero, TimeSpan.FromSeconds(5));
        }
    }

    public TimeSpan Latency() => _scheduler.Between(LeastLatency, MostLatency);

    public bool IsCut(string one, string other) => _cuts.Count > 0 && (_cuts.Contains((one, other)) || _cuts.Contains((other, one)));

    public void Cut(string one, string other, TimeSpan time)
    {
        if (_cuts.Add((one, other)))
        {
            _scheduler.After(time, () => _cuts.Remove((one, other)));
        }
    }

    public void Heal()
    {
        IsOn = false;
        _cuts.Clear();
    }

    /// <summary>What EC2 refuses and people do is not so rare in mild seeds, where whatever follows can come to its end.</summary>
    private static bool IsDecided(FaultKind kind) => kind is FaultKind.NotAuthorized or FaultKind.Ec2NoRoom or FaultKind.Ec2Limit or FaultKind.Ec2Refuses
        or FaultKind.HandsTake or FaultKind.HandsAdd or FaultKind.HandsDetach or FaultKind.HandsLeave or FaultKind.HandsAttach or FaultKind.NamesTaken or FaultKind.PolicyChanged or FaultKind.StoreRestored or FaultKind.Retagged or FaultKind.Switched or FaultKind.BoundTold;

    /// <summary>At full wildness, each occasion.</summary>
    private static double RateOf(FaultKind kind) => kind switch
    {
        FaultKind.ActivationKilled => 0.002,
        FaultKind.ActivationStalled => 0.002,
        FaultKind.SiloCrashed => 0.0003,
        FaultKind.ExecutorCrashed => 0.0006,
        FaultKind.Split => 0.05,
        FaultKind.OlderBuild => 0.2,
        FaultKind.MessageLost or FaultKind.MessageLate or FaultKind.MessageTwice => 0.05,
        FaultKind.StoreRefuses or FaultKind.StoreAnswerLost => 0.03,
        FaultKind.StoreSlow => 0.05,
        FaultKind.Throttled or FaultKind.Ec2ErrorBefore or FaultKind.Ec2ErrorAfter or FaultKind.Ec2Silent or FaultKind.Ec2Late => 0.15,
        FaultKind.NotAuthorized or FaultKind.Ec2NoRoom or FaultKind.Ec2Limit or FaultKind.Ec2Refuses => 0.05,
        FaultKind.DiskRefuses => 0.01,
        FaultKind.KernelRefuses or FaultKind.KernelHalf or FaultKind.RuntimeRestarts => 0.05,
        FaultKind.NamesTaken => 0.5,
        // Once a second.
        FaultKind.Partition => 0.03,
        FaultKind.StreamCut => 0.03,
        FaultKind.InstanceLost => 0.003,
        FaultKind.StoreRestored => 0.01,
        FaultKind.Rebooted or FaultKind.PowerCut => 0.005,
        FaultKind.ReadersLag => 0.01,
        FaultKind.ClockJumps => 0.02,
        FaultKind.HandsTake or FaultKind.HandsAdd => 0.02,
        FaultKind.HandsDetach => 0.01,
        FaultKind.HandsLeave => 0.01,
        FaultKind.HandsAttach => 0.4,
        FaultKind.NeighbourActs => 0.2,
        FaultKind.PolicyChanged => 0.05,
        FaultKind.Retagged => 0.03,
        FaultKind.Switched => 0.01,
        FaultKind.BoundTold => 0.1,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "no rate"),
    };
}
