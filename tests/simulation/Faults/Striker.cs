using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Simulation.Faults;

/// <summary>Faults that strike a machine, a silo or the VPC, not one call: at a turn, or each second.</summary>
internal sealed class Striker(World world)
{
    private const int AimedSeeds = 4, Aims = 30; // One seed of so many, and how many awaits it aims at.
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Early = TimeSpan.FromSeconds(20); // Awaits that a seed has not met by then are rare ones: most of them are aimed at, in every seed.
    private readonly Scheduler _scheduler = world.Scheduler;
    private readonly Swarm _faults = world.Faults;
    private readonly Operators _operators = new(world);
    private readonly Restores _restores = new(world, activation => Kill(world.Faults, activation));
    private readonly HashSet<(Type, int)> _aims = []; // Awaits of the node's grain at which an activation is to be killed when it first comes there: rare ones would hardly ever be met by chance.
    private readonly HashSet<(Type, int)> _met = [];
    private readonly Hands _hands = new(world.Vpc, new Random(world.Scheduler.Random.Next()));

    public void Begin()
    {
        if (_scheduler.Random.Next(AimedSeeds) == 0)
        {
            _aims.UnionWith(Enumerable.Range(0, Aims).Select(_ => Awaits.InOrder[_scheduler.Random.Next(Awaits.InOrder.Length)]));
        }

        _scheduler.BeforeTurn = BeforeTurn;
        _scheduler.After(Second, EachSecond);
    }

    /// <summary>From here on nothing goes wrong; what was broken is mended, but for clocks.</summary>
    public void Heal()
    {
        _faults.Heal();
        _scheduler.After(_restores.Left + Second, _operators.Settle); // It takes silos.
        world.EndLag();
        world.Silos.ForEach(Restart);
        foreach (var machine in world.Machines)
        {
            world.StartExecutor(machine);
            world.RuntimeOf(machine).IsSettling = true;
        }
    }

    private void BeforeTurn(SimLane lane)
    {
        switch (lane.Owner)
        {
            case Activation activation when IsAimed(activation) || _faults.Strikes(FaultKind.ActivationKilled):
                Kill(_faults, activation);
                break;
            case Activation when _faults.Strikes(FaultKind.ActivationStalled):
                lane.Stall(_scheduler.Between(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(20)));
                break;
            case Activation { Silo: var silo } when _faults.Strikes(FaultKind.SiloCrashed):
                world.Transport.Live.Where(one => one.Silo == silo).ToList().ForEach(one => Kill(_faults, one));
                silo.Life.End();
                _scheduler.After(_scheduler.Between(Second, 20 * Second), () => Restart(silo));
                break;
            case SimExecutor executor when _faults.Strikes(FaultKind.ExecutorCrashed):
                var machine = world.Machines.FirstOrDefault(one => one.Executor == executor);
                if (machine is not null)
                {
                    machine.KillExecutor();
                    world.Histories.Crashed(machine);
                }

                _scheduler.After(_scheduler.Between(Second, 10 * Second), () => Start(machine));
                break;
        }
    }

    private bool IsAimed(Activation activation)
    {
        if (!_faults.IsOn || activation.GrainInstance is not NodeGrain || Awaits.Of(activation).Where(_met.Add).ToList() is not { Count: > 0 } news
            || !(news.Exists(_aims.Contains) || (_scheduler.Now > Early && _scheduler.Chance(0.8))))
        {
            return false;
        }

        _faults.Add(FaultKind.ActivationKilled);
        return true;
    }

    private static void Kill(Swarm faults, Activation activation)
    {
        if (activation.GrainInstance is NodeGrain)
        {
            faults.KilledAt.UnionWith(Awaits.Of(activation));
        }

        activation.Life.End();
    }

    private void Restart(SiloNode silo)
    {
        if (!silo.IsUp && _restores.Left == TimeSpan.Zero)
        {
            world.StartSilo(silo);
        }
    }

    private void Start(SimMachine? machine)
    {
        if (machine is not null)
        {
            world.StartExecutor(machine);
        }
    }

    private void EachSecond()
    {
        if (!_faults.IsOn)
        {
            return;
        }

        _scheduler.After(Second, EachSecond);
        if ((int)_scheduler.Now.TotalSeconds % 60 == 0)
        {
            var isSlow = _scheduler.Now > Seed.LongTrouble && world.PodEvents < Seed.LeastPodEvents;
            _faults.Stir(_faults.Count < Seed.LeastFaults ? 3 : isSlow ? 0.5 : 1);
            if (isSlow)
            {
                _operators.Settle(); // Where provisioning is left to somebody else, each pod waits its deadline out.
            }
        }

        _restores.EachSecond();
        if (_faults.Strikes(FaultKind.NeighbourActs))
        {
            world.Neighbour.Act();
            world.Invariants.Changed();
        }

        if (_faults.Strikes(FaultKind.PolicyChanged))
        {
            _operators.Act();
        }

        if (_faults.Strikes(FaultKind.Retagged))
        {
            _operators.Retag();
        }

        if (_faults.Strikes(FaultKind.Switched))
        {
            _operators.Switch();
        }

        if (_faults.Strikes(FaultKind.BoundTold))
        {
            _operators.TellBound();
        }

        var alive = world.Machines.Where(machine => !machine.IsGone).ToList();
        var machine = alive[_scheduler.Random.Next(alive.Count)];
        if (_faults.Strikes(FaultKind.Partition))
        {
            var silo = world.Silos[_scheduler.Random.Next(world.Silos.Count)];
            var other = _scheduler.Random.Next(2) == 0 ? machine.InstanceId : world.Silos[_scheduler.Random.Next(world.Silos.Count)].Name;
            _faults.Cut(silo.Name, other, _scheduler.Between(Second, 30 * Second));
        }

        if (_faults.Strikes(FaultKind.StreamCut))
        {
            machine.Executor?.Api.CutStream();
        }

        if (_faults.Strikes(FaultKind.ClockJumps))
        {
            var wall = _scheduler.Random.Next(2) == 0 ? machine.Wall : world.Silos[_scheduler.Random.Next(world.Silos.Count)].Wall;
            wall.Offset += _scheduler.Between(TimeSpan.FromMinutes(-10), TimeSpan.FromMinutes(10));
        }

        if (alive.Count > 2 && _faults.Strikes(FaultKind.InstanceLost))
        {
            world.HeldByLost.UnionWith(world.Vpc.EnisOf(world.Vpc.FindInstance(machine.InstanceId)!).SelectMany(eni => eni.Delivered).Select(Ip.From));
            world.Histories.Stopped(machine);
            machine.End();
            world.Vpc.Terminate(machine.InstanceId);
            world.Transport.RepeatReport(machine.InstanceId, Enumerable.Range(0, 8).Select(_ => _scheduler.Between(TimeSpan.Zero, TimeSpan.FromMinutes(4))));
            world.TryLaunch();
        }
        else if (_faults.Strikes(FaultKind.Rebooted))
        {
            world.Reboot(machine, cutsPower: false);
        }
        else if (_faults.Strikes(FaultKind.PowerCut))
        {
            world.Reboot(machine, cutsPower: true);
        }

        if (_faults.Strikes(FaultKind.ReadersLag))
        {
            world.LagReaders();
        }

        Hands(machine);
    }

    private void Hands(SimMachine machine)
    {
        var instance = world.Vpc.FindInstance(machine.InstanceId);
        var enis = instance is not null ? world.Vpc.EnisOf(instance).Where(eni => !world.IsForeign(eni)).ToList() : [];
        if (enis.Count == 0 || _restores.IsUnread)
        {
            return;
        }

        if (_faults.Strikes(FaultKind.HandsLeave))
        {
            world.Loose.Leave(instance!);
            world.Invariants.Changed();
        }

        var eni = enis[_scheduler.Random.Next(enis.Count)];
        if (eni.Attachment is { DeviceIndex: > 0, Status: AttachmentStatus.Attached } && _faults.Strikes(FaultKind.HandsDetach))
        {
            world.Invariants.DetachedByHands.Add(eni.Id);
            world.Invariants.TakenByHands.UnionWith(Touched(_hands.Detach(eni)!));
            return;
        }

        if (eni.Slots > 1 && _faults.Strikes(FaultKind.HandsTake))
        {
            world.Invariants.TakenByHands.UnionWith(Touched((eni.Addresses.Count > 1 ? _hands.Unassign(eni) : _hands.UnassignPrefix(eni))!));
        }

        if (eni.Attachment is { Status: AttachmentStatus.Attached } && eni.Slots < eni.Attachment.Instance.Type.Ipv4PerEni && _faults.Strikes(FaultKind.HandsAdd))
        {
            try
            {
                Ip[] added = [.. Touched(eni.Prefixes.Count > 0 && _scheduler.Random.Next(2) == 0 ? _hands.AssignPrefix(eni) : _hands.Assign(eni))];
                world.AddedByHands.UnionWith(added);
                world.Invariants.PutByHands(added);
            }
            catch (Ec2Exception)
            {
                // The subnet is dry.
            }
        }
    }

    private IEnumerable<Ip> Touched(HandChange change)
    {
        _scheduler.Trace?.Invoke($"hands: {change.Action} {change.EniId} {string.Join(' ', change.Addresses)}");
        return change.Addresses.Select(Ip.From);
    }
}
