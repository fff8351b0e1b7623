using System.Text;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Silo.Options;
using AwsVpcCni.Tests.Fleet;
using AwsVpcCni.Tests.Simulation.Fleet;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Simulation.Budget;

/// <summary>Field report F8: many nodes start at once, restart their executors, and are drained; and the same start where EC2's bucket is smaller than documented.</summary>
internal sealed class ManyNodesRun
{
    private static readonly TimeSpan Settling = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Watched = TimeSpan.FromMinutes(3);
    private static readonly SandboxKey Pod = new("c1", "eth0");

    private readonly World _world;

    private ManyNodesRun(int nodes, IReadOnlyDictionary<string, BucketSize> buckets, PoolOptions pool)
    {
        var vpc = FleetVpc.Of(nodes) with { VpcId = World.VpcId, Buckets = buckets };
        _world = new World(seed: 1, isCalm: true, shape: new WorldShape(FleetVpc.InstanceType, pool, _ => TimeSpan.FromMilliseconds(100), vpc.Times) { Vpc = vpc });
        for (var n = 0; n < nodes; n++)
        {
            _world.Launch();
        }
    }

    /// <summary>The last lines are figures.</summary>
    public static int Run(int nodes)
    {
        var run = new ManyNodesRun(nodes, new Dictionary<string, BucketSize>(), new PoolOptions());
        run.EachAsks("ADD", 1);
        run.Say("start");
        run.Pass(Settling);
        var before = run.CallsWithin(Watched);
        run._world.Machines.ForEach(machine =>
        {
            machine.KillExecutor();
            run._world.StartExecutor(machine);
        });
        var after = run.CallsWithin(Watched);
        Console.WriteLine($"many_restart_changes: {after.Changes}");
        Console.WriteLine($"many_restart_reads: {after.Reads} (as long before: {before.Reads})");
        run.EachAsks("DEL", null);
        run._world.Machines.ForEach(machine =>
        {
            machine.End();
            run._world.Vpc.Terminate(machine.InstanceId);
        });
        run.Pass(Settling);
        run.Say("drain");
        if (run._world.Vpc.Enis.FirstOrDefault() is { } left)
        {
            throw new InvalidOperationException($"{left.Id} is left of a node that was drained.");
        }

        // A fifth of what is documented, and no other way to an address.
        var slow = new ManyNodesRun(nodes, new Dictionary<string, BucketSize> { ["AssignPrivateIpAddresses"] = new(20, 1) }, new PoolOptions { MaxEnis = 1 });
        var took = slow.EachAsks("ADD", 1);
        slow.Say("lower_limit");
        Console.WriteLine(FormattableString.Invariant($"many_lower_limit_seconds: {took.TotalSeconds:0.0}"));
        Console.WriteLine(FormattableString.Invariant($"many_lower_limit_bound_seconds: {nodes - 20}"));
        return 0;
    }

    /// <summary>The same of each node, until all have an answer.</summary>
    private TimeSpan EachAsks(string command, int? networkNamespace)
    {
        FleetInVirtualTime.Require(_world, () => _world.Machines.TrueForAll(machine => machine.Executor is not null), "all executors run");
        var (began, done) = (_world.Scheduler.Now, 0);
        foreach (var machine in _world.Machines)
        {
            new SimLane(_world.Scheduler, machine.Boot, $"{command} on {machine.InstanceId}").Start(command, async () =>
            {
                var reply = await machine.Executor!.ServeAsync(command, Pod, "pod-1", networkNamespace is { } number ? (SafeFileHandle?)machine.Kernel.OpenNamespace(number) : null, CancellationToken.None);
                done++;
                if (reply is not { ExitCode: 0 })
                {
                    _world.Scheduler.Fail($"the {command} on {machine.InstanceId} was refused: {Encoding.UTF8.GetString(reply?.Body ?? [])}");
                }
            });
        }

        FleetInVirtualTime.Require(_world, () => done == _world.Machines.Count, $"each {command} is answered");
        return _world.Scheduler.Now - began;
    }

    private (int Changes, int Reads) CallsWithin(TimeSpan length)
    {
        var before = _world.Ec2.Calls.Count;
        Pass(length);
        var reads = _world.Ec2.Calls.Skip(before).Count(call => call.StartsWith("Describe", StringComparison.Ordinal) || call.StartsWith("Get", StringComparison.Ordinal));
        return (_world.Ec2.Calls.Count - before - reads, reads);
    }

    private void Pass(TimeSpan length)
    {
        var end = _world.Scheduler.Now + length;
        FleetInVirtualTime.Require(_world, () => _world.Scheduler.Now >= end, $"{length} pass");
    }

    private void Say(string step) => Console.WriteLine($"many_{step}_throttled: {_world.Throttled} of {_world.Ec2.Calls.Count + _world.Throttled} calls since the start");
}
