using System.Globalization;
using System.Text;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Fleet;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Simulation.Fleet;

/// <summary>The fleet of `make bench-fleet` in virtual time: as many empty nodes boot at once, each with a pod. What a machine's load adds is not in it.</summary>
internal static class FleetInVirtualTime
{
    internal const long MostSteps = 200_000_000;
    private const double BudgetShare = 0.97;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan CallTakes = TimeSpan.FromMilliseconds(10); // As the emulator answers on loopback.

    /// <exception cref="InvalidOperationException">A pod has no address in the end, or something has left the simulation.</exception>
    public static int Run(int nodes, int seed)
    {
        var description = FleetVpc.Of(nodes) with { VpcId = World.VpcId };
        var world = new World(seed, isCalm: true, shape: new WorldShape(FleetVpc.InstanceType, new PoolOptions(), _ => CallTakes, description.Times) { Vpc = description, BudgetShare = BudgetShare });
        List<TimeSpan> served = [];
        for (var n = 0; n < nodes; n++)
        {
            world.Launch();
        }

        Require(world, () => world.Machines.TrueForAll(machine => machine.Executor is not null), "all executors run");
        var began = world.Scheduler.Now;
        foreach (var machine in world.Machines)
        {
            var sandbox = new SandboxKey("c1", "eth0");
            new SimLane(world.Scheduler, machine.Boot, $"ADD on {machine.InstanceId}").Start("ADD", async () =>
            {
                var reply = await machine.Executor!.ServeAsync("ADD", sandbox, "pod-1", (SafeFileHandle?)machine.Kernel.OpenNamespace(1), CancellationToken.None);
                served.Add(world.Scheduler.Now - began);
                if (reply is not { ExitCode: 0 })
                {
                    world.Scheduler.Fail($"the ADD on {machine.InstanceId} was refused: {Encoding.UTF8.GetString(reply?.Body ?? [])}");
                }
            });
        }

        Require(world, () => served.Count == nodes, "all pods have an address");
        foreach (var action in world.Ec2.Calls.Select(call => call.Split(' ')[0]).CountBy(action => action).OrderBy(action => action.Key, StringComparer.Ordinal))
        {
            Console.WriteLine($"{action.Key}: {action.Value} calls");
        }

        var bound = FleetBound.Of(nodes, new Throttle(TimeProvider.System), FleetBound.Ways()).TotalSeconds;
        Say("fleet_virtual_half_seconds", served[nodes / 2].TotalSeconds);
        Say("fleet_virtual_seconds", served[^1].TotalSeconds);
        Say("fleet_virtual_ratio", served[^1].TotalSeconds / bound);
        Say("fleet_virtual_throttled", world.Throttled);
        return 0;
    }

    internal static void Require(World world, Func<bool> condition, string what)
    {
        world.Scheduler.RunUntil(world.Scheduler.Now + Longest, MostSteps, condition);
        if (world.Scheduler.Failure is { } failure)
        {
            throw new InvalidOperationException(failure);
        }

        if (!condition())
        {
            throw new InvalidOperationException($"Not within {Longest.TotalMinutes:0} minutes: {what}.");
        }
    }

    private static void Say(string name, double value) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {value:0.###}"));
}
