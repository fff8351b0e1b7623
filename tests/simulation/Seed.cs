using AwsVpcCni.Core.Ec2Quota;
using AwsVpcCni.Tests.Simulation.Faults;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>What a seed has come to.</summary>
internal sealed record SeedResult(int Seed, string? Failure, ulong Hash, long Steps, int PodEvents, int Faults, int Assignments, IReadOnlyDictionary<FaultKind, int> Struck, IReadOnlyDictionary<(FaultKind, Ec2Action), int> OnEc2,
    IReadOnlySet<(Type Machine, int Await)> KilledAt, TimeSpan Time);

/// <summary>One seed from beginning to end: trouble, then healing, then judgement.</summary>
internal static class Seed
{
    private const long MostSteps = 3_000_000;
    public const int LeastPodEvents = 200;
    public const int LeastFaults = 10;
    private static readonly TimeSpan Trouble = TimeSpan.FromSeconds(120);
    public static readonly TimeSpan LongTrouble = TimeSpan.FromSeconds(480); // What needs many refusals in a row takes minutes.
    private static readonly TimeSpan LongestTrouble = TimeSpan.FromSeconds(3600); // Where a third of all messages is lost, there are six pod events a minute (seed 1042).
    private static readonly TimeSpan Healing = TimeSpan.FromSeconds(1800);

    public static SeedResult Run(int seed, Action<string>? trace = null)
    {
        var before = ThreadPool.CompletedWorkItemCount + ThreadPool.PendingWorkItemCount;
        World? world = null;
        world = new World(seed, trace: trace is null ? null : text => trace($"{world?.Scheduler.Now.TotalSeconds,10:0.0000} {text}"));
        var scheduler = world.Scheduler;
        var striker = new Striker(world);
        for (var n = scheduler.Random.Next(3, 5); n > 0; n--)
        {
            world.Launch();
        }

        striker.Begin();
        var trouble = scheduler.Random.Next(4) == 0 ? LongTrouble : Trouble;
        scheduler.RunUntil(LongestTrouble, MostSteps, () => scheduler.Now >= trouble && world.PodEvents >= LeastPodEvents && world.Faults.Count >= LeastFaults);
        if (scheduler.Failure is null && (world.PodEvents < LeastPodEvents || world.Faults.Count < LeastFaults))
        {
            scheduler.Fail($"only {world.PodEvents} pod events and {world.Faults.Count} faults in {LongestTrouble}: the seed shows nothing");
        }

        striker.Heal();
        Judge(world);
        var items = ThreadPool.CompletedWorkItemCount + ThreadPool.PendingWorkItemCount - before;
        if (items > 0)
        {
            scheduler.Fail($"{items} items went through the thread pool: something has left the scheduler");
        }

        return new SeedResult(seed, scheduler.Failure, scheduler.Hash, scheduler.Steps, world.PodEvents, world.Faults.Count, world.Histories.Asked, world.Faults.Struck, world.Faults.OnEc2, world.Faults.KilledAt, scheduler.Now);
    }

    private static void Judge(World world)
    {
        var (scheduler, end) = (world.Scheduler, world.Scheduler.Now + Healing);
        var liveness = new Checkers.Liveness(world);
        string? missing = "not looked at";
        while (scheduler.Failure is null && missing is not null && scheduler.Now < end)
        {
            scheduler.RunUntil(scheduler.Now + TimeSpan.FromSeconds(5), MostSteps);
            missing = liveness.Missing();
        }

        if (scheduler.Failure is null && missing is null && world.Histories.Wrong() is { } wrong)
        {
            scheduler.Fail($"HISTORY: {wrong}");
        }

        if (scheduler.Failure is null && missing is null)
        {
            string? ofGrain = "does not answer";
            var isAnswered = false;
            world.Silos.First(silo => silo.IsUp).Door.Start("who", async () => (ofGrain, isAnswered) = (await world.Histories.WrongOfGrainAsync(), true));
            scheduler.RunUntil(scheduler.Now + TimeSpan.FromMinutes(1), MostSteps, () => isAnswered);
            if (scheduler.Failure is null && ofGrain is not null)
            {
                scheduler.Fail($"HISTORY, by the grain: {ofGrain}");
            }
        }

        if (missing is not null)
        {
            scheduler.Fail($"LIVENESS after {Healing.TotalSeconds:0} s without faults: {missing}");
        }
    }
}
