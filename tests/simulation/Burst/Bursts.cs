using System.Globalization;

namespace AwsVpcCni.Tests.Simulation.Burst;

/// <summary>All bursts, beside the reference's figures: a table to read, then one figure a line.</summary>
internal static class Bursts
{
    private const int Seeds = 5;

    public static int Run()
    {
        Console.WriteLine("A burst of pods on one node that holds what its policy wants: shipped grains and lease in virtual time; `theirs`: amazon-vpc-cni-k8s.");
        Console.WriteLine($"Ours is the worst of {Seeds} seeds. Calls count describes, too, until the pool has its target again; `last pod`: until the last pod has its address; `back`: from no pod on.");
        Console.WriteLine("Instant: EC2 takes no time, as in the reference's table. Slow: each call takes 1 s, and an interface is there 10 s after its Attach.");
        Console.WriteLine();
        Console.WriteLine("| type       | pods | setting | calls | theirs | describes | last pod | instant, s | theirs | slow, s | back | theirs |");
        Console.WriteLine("| ---------- | ---: | ------- | ----: | -----: | --------: | -------: | ---------: | -----: | ------: | ---: | -----: |");
        var figures = new List<string>();
        foreach (var burst in BurstCase.All)
        {
            var (instant, slow) = (Worst(burst, isInstant: true), Worst(burst, isInstant: false));
            var theirs = burst.Theirs;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {burst.InstanceType,-10} | {burst.Pods,4} | {burst.Setting,-7} | {instant.Calls,5} | {theirs.CallsUp,6} | {instant.Describes,9} | {instant.CallsToLastPod,8} | {instant.Time.TotalSeconds,10:0.00} | {theirs.Seconds,6} | {slow.Time.TotalSeconds,7:0.0} | {instant.CallsBack,4} | {theirs.CallsBack,6} |"));
            figures.Add($"{burst.Name}_calls: {instant.Calls}");
            figures.Add($"{burst.Name}_calls_to_last_pod: {instant.CallsToLastPod}");
            figures.Add(string.Create(CultureInfo.InvariantCulture, $"{burst.Name}_seconds: {slow.Time.TotalSeconds:0.0}"));
        }

        var ofNew = BurstCase.OfNewNode;
        foreach (var (name, isTold) in new[] { ("with", true), ("without", false) })
        {
            figures.Add(string.Create(CultureInfo.InvariantCulture, $"bound_{ofNew.Pods}_{name}_seconds: {Enumerable.Range(1, Seeds).Max(seed => BurstRun.TimeFromBinding(ofNew, seed, isTold)).TotalSeconds:0.0}"));
        }

        Console.WriteLine();
        Console.WriteLine($"bound: {ofNew.Pods} pods bound at once to an {ofNew.InstanceType} without a target, slow EC2, ADDs a second later; seconds from there until the last has its address, with and without pods as demand.");
        figures.ForEach(Console.WriteLine);
        return 0;
    }

    private static BurstResult Worst(BurstCase burst, bool isInstant)
    {
        var results = Enumerable.Range(1, Seeds).Select(seed => BurstRun.Run(burst, seed, isInstant)).ToArray();
        return new BurstResult(
            results.Max(one => one.Calls), results.Max(one => one.Describes), results.Max(one => one.CallsToLastPod), results.Max(one => one.Time), results.Max(one => one.CallsBack));
    }
}
