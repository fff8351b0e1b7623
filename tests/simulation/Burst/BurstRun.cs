using System.Collections.Immutable;
using System.Text;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Tests.Simulation.Cluster;
using AwsVpcCni.Tests.Simulation.Node;
using AwsVpcCni.Tests.Simulation.Scheduling;
using AwsVpcCni.VpcEmulator.Model;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.Tests.Simulation.Burst;

/// <summary>What one burst came to.</summary>
/// <param name="Calls">To EC2, describes included, until the last pod had its address and the pool its target.</param>
/// <param name="Describes">Of these; the sweeps of the whole VPC, one a zone and minute, are among them.</param>
/// <param name="CallsToLastPod">Until the last pod had its address.</param>
/// <param name="Time">From the first ADD to the last answer.</param>
/// <param name="CallsBack">From the first DEL until the pool had its target again, describes left out: it waits for cool-downs, and each minute has its sweep.</param>
internal sealed record BurstResult(int Calls, int Describes, int CallsToLastPod, TimeSpan Time, int CallsBack);

/// <summary>One node that has joined and holds what its policy wants; then all pods at once; then none.</summary>
internal sealed class BurstRun
{
    private const long MostSteps = 20_000_000;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan BindingToAdd = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan QuietUp = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Apart = TimeSpan.FromSeconds(30); // From the look of each five minutes, which comes with the quiet's end and which no burst causes.
    private static readonly TimeSpan QuietBack = TimeSpan.FromMinutes(5); // Longer than what a freed address rests before it goes.

    private readonly BurstCase _burst;
    private readonly World _world;
    private readonly SimMachine _machine;
    private int _running;

    private BurstRun(BurstCase burst, int seed, WorldShape shape)
    {
        _burst = burst;
        _world = new World(seed, isCalm: true, shape: shape);
        _machine = _world.Launch();
    }

    /// <param name="isInstant">EC2 takes no time, as in the reference's table. Otherwise Create, Assign, Modify and all other calls take 1 s,
    /// and an interface is on its instance 10 s after its Attach, whose answer takes 1 s, has been carried out.</param>
    public static BurstResult Run(BurstCase burst, int seed, bool isInstant) => new BurstRun(burst, seed, Shape(burst, isInstant)).Run();

    private static WorldShape Shape(BurstCase burst, bool isInstant) => new(
        burst.InstanceType, burst.Policy, _ => isInstant ? TimeSpan.Zero : TimeSpan.FromSeconds(1),
        isInstant ? new VpcTimes { CreateMs = 0, AttachMs = 0, DetachMs = 0 } : new VpcTimes { CreateMs = 1000, AttachMs = 10_000, DetachMs = 10_000 });

    /// <summary>Pods that are bound to a node at once, whose ADDs come a second later: kubelet admits them and mounts their volumes first.</summary>
    /// <param name="isTold">Whether the node hears that they are bound.</param>
    /// <returns>From then on until the last one has its address; EC2 is slow.</returns>
    public static TimeSpan TimeFromBinding(BurstCase burst, int seed, bool isTold) => new BurstRun(burst, seed, Shape(burst, isInstant: false)).TimeFromBinding(isTold);

    private TimeSpan TimeFromBinding(bool isTold)
    {
        var scheduler = _world.Scheduler;
        WaitUntilQuiet(QuietBack);
        scheduler.RunUntil(scheduler.Now + Apart, MostSteps);
        var began = scheduler.Now;
        var pods = Enumerable.Range(1, _burst.Pods).Select(number => (Sandbox: new SandboxKey($"c{number}", "eth0"), Netns: (SafeFileHandle?)_machine.Kernel.OpenNamespace(number))).ToArray();
        if (isTold)
        {
            ImmutableArray<PodName> bound = [.. pods.Select(pod => new PodName("default", pod.Sandbox.ContainerId, ""))];
            _world.Silos[0].Door.Start("a watch of pods", () => new Factory().GetGrain<INodeGrain>(_machine.InstanceId).BoundAsync(bound));
        }

        scheduler.RunUntil(began + BindingToAdd, MostSteps);
        Begin("ADD", pods);
        Wait($"{_burst.Pods} pods have an address", () => _running == 0);
        return scheduler.Now - began;
    }

    private BurstResult Run()
    {
        var scheduler = _world.Scheduler;
        WaitUntilQuiet(QuietBack);
        scheduler.RunUntil(scheduler.Now + Apart, MostSteps);
        var (begin, began) = (_world.Ec2.Calls.Count, scheduler.Now);
        var pods = Enumerable.Range(1, _burst.Pods).Select(number => (Sandbox: new SandboxKey($"c{number}", "eth0"), Netns: (SafeFileHandle?)_machine.Kernel.OpenNamespace(number))).ToArray();
        Begin("ADD", pods);
        Wait($"{_burst.Pods} pods have an address", () => _running == 0);
        var (time, toLastPod) = (scheduler.Now - began, _world.Ec2.Calls.Count - begin);
        var up = _world.Ec2.Calls.Skip(begin).Take(Math.Max(toLastPod, WaitUntilQuiet(QuietUp) - begin)).ToArray();

        begin = _world.Ec2.Calls.Count;
        Begin("DEL", [.. pods.Select(pod => (pod.Sandbox, (SafeFileHandle?)null))]);
        Wait("no pod is left", () => _running == 0);
        WaitUntilQuiet(QuietBack);
        return new BurstResult(up.Length, up.Count(IsDescribe), toLastPod, time, _world.Ec2.Calls.Skip(begin).Count(call => !IsDescribe(call)));
    }

    /// <summary>All at once, as a kubelet that has just got its pods.</summary>
    private void Begin(string command, IEnumerable<(SandboxKey Sandbox, SafeFileHandle? Netns)> pods)
    {
        foreach (var (sandbox, netns) in pods)
        {
            _running++;
            new SimLane(_world.Scheduler, _machine.Boot, $"{command} {sandbox}").Start(command, async () =>
            {
                var reply = await _machine.Executor!.ServeAsync(command, sandbox, sandbox.ContainerId, netns, CancellationToken.None);
                _running--;
                if (reply is not { ExitCode: 0 })
                {
                    _world.Scheduler.Fail($"{command} of {sandbox} was refused: {Encoding.UTF8.GetString(reply?.Body ?? [])}");
                }
            });
        }
    }

    /// <returns>How many calls there were up to the last one that changed something.</returns>
    private int WaitUntilQuiet(TimeSpan quiet)
    {
        var (seen, since, end) = (-1, _world.Scheduler.Now, _world.Scheduler.Now + Longest);
        while (_machine.Executor is null || _world.Scheduler.Now - since < quiet)
        {
            Require(_world.Scheduler.Now < end, $"nothing is changed in EC2 for {quiet}");
            _world.Scheduler.RunUntil(_world.Scheduler.Now + TimeSpan.FromSeconds(1), MostSteps);
            var calls = _world.Ec2.Calls;
            var last = calls.Count - calls.Reverse().TakeWhile(IsDescribe).Count();
            (seen, since) = last == seen ? (seen, since) : (last, _world.Scheduler.Now);
        }

        return seen;
    }

    private void Wait(string what, Func<bool> condition)
    {
        _world.Scheduler.RunUntil(_world.Scheduler.Now + Longest, MostSteps, condition);
        Require(condition(), what);
    }

    /// <exception cref="InvalidOperationException">It has not come about, or an invariant is broken.</exception>
    private void Require(bool isSo, string what)
    {
        if (_world.Scheduler.Failure is { } failure)
        {
            throw new InvalidOperationException($"{_burst.Name}: {failure}");
        }

        if (!isSo)
        {
            throw new InvalidOperationException($"{_burst.Name}: not within {Longest.TotalMinutes:0} minutes: {what}. The last calls: {string.Join("; ", _world.Ec2.Calls.TakeLast(10))}");
        }
    }

    private static bool IsDescribe(string call) => call.StartsWith("Describe", StringComparison.Ordinal) || call.StartsWith("Get", StringComparison.Ordinal);
}
