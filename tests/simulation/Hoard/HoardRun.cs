using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Simulation.Hoard;

/// <summary>A /24 whose 40 nodes keep five addresses ready each, which leaves eleven: 34 nodes get a pod, then the other six get 27 each at once. All 196 pods and
/// the nodes' own addresses fit into the subnet, if nobody keeps anything ready.</summary>
internal sealed class HoardRun
{
    private const int Nodes = 40;
    private const int Full = 6;
    private const int PodsOfFull = 27; // What an m5.large takes.
    private const long MostSteps = 50_000_000;
    private static readonly TimeSpan Joining = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan KubeletAgain = TimeSpan.FromSeconds(5);

    private readonly World _world;
    private readonly List<SimMachine> _machines;
    private int _started;

    private HoardRun(int seed, bool hasThrift)
    {
        _world = new World(seed, isCalm: true, shape: new WorldShape("m5.large", new PoolOptions { WarmIps = 5, Thrift = hasThrift }, _ => TimeSpan.FromSeconds(1),
            new VpcTimes { CreateMs = 1000, AttachMs = 5000, DetachMs = 5000 }) { IsOneSmallSubnet = true });
        _machines = [.. Enumerable.Range(0, Nodes).Select(_ => _world.Launch())];
    }

    /// <summary>With thrift and recall, and without; the last lines are figures.</summary>
    public static int Run(int seeds)
    {
        var figures = new List<string>();
        foreach (var hasThrift in new[] { false, true })
        {
            var results = Enumerable.Range(1, seeds).Select(seed => new HoardRun(seed, hasThrift).Outcome()).ToArray();
            var name = hasThrift ? "with" : "without";
            Console.WriteLine($"{name} thrift and recall: {string.Join("; ", results.Select(one => $"{one.Waiting} of {Full * PodsOfFull} pods wait after {one.Took}, {one.FreeBefore} addresses free before, {one.Returns} returns"))}");
            figures.Add($"hoard_waiting_{name}: {results.Max(one => one.Waiting)}");
            figures.Add(FormattableString.Invariant($"hoard_seconds_{name}: {results.Max(one => one.Took).TotalSeconds:0.0}"));
        }

        figures.ForEach(Console.WriteLine);
        return 0;
    }

    private (int Waiting, TimeSpan Took, int FreeBefore, int Returns) Outcome()
    {
        var scheduler = _world.Scheduler;
        Pass(Joining);
        Start(_machines.Skip(Full), 1);
        Until(() => _started == Nodes - Full);
        Pass(Joining); // What is kept ready rests, and goes, where it goes.
        var (before, began, free) = (_started, scheduler.Now, _world.RoomIn("subnet-a").Addresses);
        Start(_machines.Take(Full), PodsOfFull);
        Until(() => _started == before + (Full * PodsOfFull));
        return (before + (Full * PodsOfFull) - _started, scheduler.Now - began, free, _world.Ec2.Calls.Count(call => call.StartsWith("Unassign", StringComparison.Ordinal)));
    }

    /// <summary>All at once; kubelet asks again for a pod that was refused.</summary>
    private void Start(IEnumerable<SimMachine> machines, int pods)
    {
        foreach (var machine in machines)
        {
            foreach (var number in Enumerable.Range(1, pods))
            {
                Ask(machine, number, 1);
            }
        }
    }

    private void Ask(SimMachine machine, int number, int attempt)
    {
        var sandbox = new SandboxKey($"{machine.InstanceId}-{number}-{attempt}", "eth0");
        new SimLane(_world.Scheduler, machine.Boot, $"ADD {sandbox}").Start("ADD", async () =>
        {
            var reply = await machine.Executor!.ServeAsync("ADD", sandbox, sandbox.ContainerId, (SafeFileHandle?)machine.Kernel.OpenNamespace((number * 1000) + attempt), CancellationToken.None);
            if (reply is { ExitCode: 0 })
            {
                _started++;
            }
            else
            {
                _world.Scheduler.After(KubeletAgain, () => Ask(machine, number, attempt + 1));
            }
        });
    }

    private void Pass(TimeSpan length)
    {
        var end = _world.Scheduler.Now + length;
        _world.Scheduler.RunUntil(end, MostSteps);
        ThrowIfBroken();
    }

    private void Until(Func<bool> condition)
    {
        _world.Scheduler.RunUntil(_world.Scheduler.Now + Patience, MostSteps, condition);
        ThrowIfBroken();
    }

    /// <exception cref="InvalidOperationException">An address was taken inside its cool-down, without consent, or misused otherwise.</exception>
    private void ThrowIfBroken()
    {
        if (_world.Scheduler.Failure is { } failure)
        {
            throw new InvalidOperationException(failure);
        }
    }
}
