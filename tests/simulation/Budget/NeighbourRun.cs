using System.Globalization;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Fleet;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Simulation.Budget;

/// <summary>Somebody else in the account takes half of what AssignPrivateIpAddresses gives, evenly and then in bursts, while each of our nodes always has a pod that
/// waits for a draw. How many of our calls EC2 refuses, how much of what is left we get, and how soon we are back when the other has gone.</summary>
internal sealed class NeighbourRun
{
    private const string Assign = "AssignPrivateIpAddresses";
    private const int Nodes = 160;
    private const int PodsANode = 29; // What an m5.4xlarge's own interface has room for: a draw each, since there is no other way.
    private const long MostSteps = 200_000_000;
    private const double Refill = 5; // A second, by EC2's documentation.
    private const double OurRate = Refill * Core.Ec2Quota.TokenBucket.DefaultShare;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Alone = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Recovery = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan RateOver = TimeSpan.FromSeconds(20);

    private readonly World _world;
    private readonly List<int> _ours = []; // Calls that EC2 has carried out, each second's sum since the beginning.
    private int _taken; // By the neighbour.
    private int _refused; // To the neighbour.

    private NeighbourRun(int seed)
    {
        var description = FleetVpc.Of(Nodes) with { VpcId = World.VpcId };
        description = description with { Instances = [.. description.Instances.Select(instance => instance with { Type = "m5.4xlarge" })] };
        var pool = new PoolOptions { WarmIps = 0, MinimumIps = 1, MaxEnis = 1 };
        _world = new World(seed, isCalm: true, shape: new WorldShape("m5.4xlarge", pool, _ => TimeSpan.FromMilliseconds(100), description.Times) { Vpc = description });
        for (var n = 0; n < Nodes; n++)
        {
            _world.Launch();
        }
    }

    /// <summary>The last lines are figures.</summary>
    /// <param name="length">Of each of the neighbour's two ways.</param>
    /// <exception cref="InvalidOperationException">The world has failed, or our nodes have not asked all the time.</exception>
    public static int Run(TimeSpan length, int seed)
    {
        var run = new NeighbourRun(seed);
        run.Pass(Second, () => run._world.Machines.TrueForAll(machine => machine.Executor is not null));
        run._world.Machines.ForEach(machine => run.Ask(machine, 1, 1));
        run.Pass(Alone);
        run.Beside("even", TimeSpan.FromSeconds(0.4), 1, length);
        run.Beside("bursts", TimeSpan.FromSeconds(10), 25, length);
        run.Recover();
        return 0;
    }

    private void Beside(string name, TimeSpan period, int calls, TimeSpan length)
    {
        var (end, left, ours, throttled, taken, refused) = (_world.Scheduler.Now + length, _world.Throttle!.Level(Assign, filtered: true), Ours(), _world.Throttled, _taken, _refused);
        Act(period, calls, end);
        Pass(length);
        (ours, throttled, taken, refused) = (Ours() - ours, _world.Throttled - throttled, _taken - taken, _refused - refused);
        left += (Refill * length.TotalSeconds) - taken;
        Console.WriteLine(FormattableString.Invariant($"{name}: we made {ours} calls, and {throttled} were throttled; the neighbour {taken}, and {refused} were throttled; {left:0} were left to us"));
        Say($"neighbour_{name}_throttled_percent", 100.0 * throttled / (ours + throttled));
        Say($"neighbour_{name}_of_rest_percent", 100.0 * ours / left);
    }

    /// <summary>Until we are back at nine tenths of our usual rate.</summary>
    private void Recover()
    {
        var began = _ours.Count;
        Pass(Recovery);
        var window = (int)RateOver.TotalSeconds;
        var back = Enumerable.Range(began, _ours.Count - began - window + 1).FirstOrDefault(second => (_ours[second + window - 1] - _ours[second - 1]) >= 0.9 * OurRate * window, -1);
        Say("neighbour_recovery_seconds", back < 0 ? double.PositiveInfinity : back - began);
    }

    private void Act(TimeSpan period, int calls, TimeSpan end)
    {
        if (_world.Scheduler.Now >= end)
        {
            return;
        }

        for (var n = 0; n < calls; n++)
        {
            try
            {
                _world.Throttle!.Take(Assign, filtered: true);
                _taken++;
            }
            catch (Ec2Exception)
            {
                _refused++;
            }
        }

        _world.Scheduler.After(period, () => Act(period, calls, end));
    }

    private void Ask(SimMachine machine, int number, int attempt)
    {
        var sandbox = new SandboxKey($"{number}-{attempt}", "eth0");
        new SimLane(_world.Scheduler, machine.Boot, $"ADD {sandbox} on {machine.InstanceId}").Start("ADD", async () =>
        {
            var reply = await machine.Executor!.ServeAsync("ADD", sandbox, $"pod-{number}", (SafeFileHandle?)machine.Kernel.OpenNamespace((number * 1000) + attempt), CancellationToken.None);
            if (reply is not { ExitCode: 0 })
            {
                Ask(machine, number, attempt + 1);
            }
            else if (number < PodsANode)
            {
                Ask(machine, number + 1, 1);
            }
            else
            {
                _world.Scheduler.Fail($"{machine.InstanceId} is full: it asks for nothing more, and its share of what is left would be missing.");
            }
        });
    }

    private int Ours() => _world.Ec2.Calls.Count(call => call.StartsWith("Assign", StringComparison.Ordinal));

    private void Pass(TimeSpan length, Func<bool>? until = null)
    {
        for (var end = _world.Scheduler.Now + length; _world.Scheduler.Now < end && until?.Invoke() != true;)
        {
            _world.Scheduler.RunUntil(_world.Scheduler.Now + Second, MostSteps);
            if (_world.Scheduler.Failure is { } failure)
            {
                throw new InvalidOperationException(failure);
            }

            _ours.Add(Ours());
        }
    }

    private static void Say(string name, double value) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {value:0.##}"));
}
