using AwsVpcCni.VpcEmulator.Model;

namespace AwsVpcCni.Tests.Fleet.PerNode;

/// <summary>What a fleet of daemons came to.</summary>
/// <param name="Seconds">Until the last node's first pod had its address; the cap when one has none.</param>
/// <param name="Unfinished">Nodes whose pod had none at the cap.</param>
/// <param name="Converged">Until no node lacked anything any more; null: not before the cap.</param>
/// <param name="Starts">Of containers: one a node, and each crash's.</param>
internal sealed record PerNodeResult(double Seconds, int Unfinished, double? Converged, CallCounts Calls, int Starts);

/// <summary>The per-node design with the fleet's VPC, in virtual time on the emulator's model: as many daemons boot at once, each with a pod.</summary>
internal static class PerNodeFleet
{
    public static readonly TimeSpan Cap = TimeSpan.FromSeconds(3600);

    public static PerNodeResult Run(VpcDescription description)
    {
        var time = new VirtualTime();
        var random = new Random(description.Seed);
        var vpc = new Vpc(description, time, new Random(description.Seed));
        var ec2 = new Ec2Calls(new Throttle(time, description.Buckets), new FaultPlan(new Random(description.Seed)), description.LatencyMs);
        var counts = new CallCounts();
        List<Daemon> daemons = [];
        foreach (var one in description.Instances)
        {
            var id = vpc.Launch(one).Id;
            var own = new Random(random.Next());
            daemons.Add(new Daemon(id, new DaemonSettings { MaxPods = FleetVpc.MaxPods }, vpc, new SdkCaller(vpc, ec2, time, own, counts), time, own) { Pods = 1 });
        }

        daemons.ForEach(daemon => time.Start(daemon.LiveAsync));
        TimeSpan? converged = null;
        var first = 0; // That is not content. Who is stays so: nothing is given back.
        time.Run(Cap, () =>
        {
            while (first < daemons.Count && daemons[first] is { IsContent: true, Placed.Count: > 0 })
            {
                first++;
            }

            converged ??= first == daemons.Count ? time.Now : null;
            return converged is not null;
        });
        var unfinished = daemons.Count(daemon => daemon.Placed.Count == 0);
        var seconds = unfinished > 0 ? Cap : daemons.Max(daemon => daemon.Placed[0]);
        return new PerNodeResult(seconds.TotalSeconds, unfinished, converged?.TotalSeconds, counts, daemons.Sum(daemon => daemon.Starts));
    }
}
