using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Scheduling;

namespace AwsVpcCni.Tests.Simulation.Faults;

/// <summary>The store goes back to an earlier moment of this run, or to nothing, while no silo runs. Nodes, pods and EC2 go on meanwhile.</summary>
/// <param name="kill">Ends an activation.</param>
internal sealed class Restores(World world, Action<Activation> kill)
{
    private const int Most = 2; // In a seed.

    // As operators are told: longer than a call under way may still come to effect, or readers of EC2 lag behind.
    private static readonly TimeSpan LeastAway = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan MostAway = TimeSpan.FromSeconds(90);

    private static readonly TimeSpan ReadAnew = TimeSpan.FromSeconds(60); // By then each node has been, whatever strikes.

    private readonly Scheduler _scheduler = world.Scheduler;
    private StoreCopy _copy = StoreCopy.Nothing;
    private int _moments;
    private int _restored;
    private TimeSpan _backAt;

    /// <summary>No silo runs until then; zero when they do.</summary>
    public TimeSpan Left => _backAt > _scheduler.Now ? _backAt - _scheduler.Now : TimeSpan.Zero;

    /// <summary>Whether what hands do now only a store could tell that is lost: nodes may not have been read anew yet. ADR 0010 says what comes of it.</summary>
    public bool IsUnread => _backAt > TimeSpan.Zero && _scheduler.Now < _backAt + ReadAnew;

    public void EachSecond()
    {
        if (_scheduler.Random.Next(++_moments) == 0)
        {
            _copy = world.Store.Copy(); // Each of the moments so far is as likely.
        }

        if (_restored < Most && Left == TimeSpan.Zero && world.Faults.Strikes(FaultKind.StoreRestored))
        {
            _restored++;
            world.Transport.Live.ToList().ForEach(kill);
            world.Silos.ForEach(silo => silo.Life.End());
            var (copy, away) = (_scheduler.Random.Next(3) == 0 ? StoreCopy.Nothing : _copy, _scheduler.Between(LeastAway, MostAway));
            _backAt = _scheduler.Now + away;
            _scheduler.After(away, () =>
            {
                _scheduler.Trace?.Invoke($"the store is as it was {(copy.At is { } at ? $"at {at.TotalSeconds:0} s" : "in the beginning: empty")}");
                world.Store.Restore(copy);
                world.Restored();
                world.Silos.ForEach(world.StartSilo);
            });
        }
    }
}
