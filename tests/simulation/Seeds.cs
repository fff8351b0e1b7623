using System.Diagnostics;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>Many seeds, or one with its trace.</summary>
internal static class Seeds
{
    private const int LongRun = 1000; // So many must meet everything.

    public static int Run(int count, int first)
    {
        Seed.Run(0); // The runtime's own first work must not look like an escape.
        var watch = Stopwatch.StartNew();
        var (failed, steps, faults, hash) = (0, 0L, 0L, 0UL);
        var coverage = new Coverage();
        for (var seed = first; seed < first + count; seed++)
        {
            var result = Seed.Run(seed);
            (steps, faults, hash) = (steps + result.Steps, faults + result.Faults, hash ^ result.Hash);
            coverage.Add(result);
            if (result.Failure is { } failure)
            {
                failed++;
                var again = Seed.Run(seed);
                Console.WriteLine($"seed {seed} FAILED {failure}");
                if ((again.Hash, again.Failure) != (result.Hash, result.Failure))
                {
                    Console.WriteLine($"  and the same seed ran another way the second time: {result.Hash:x} and {again.Hash:x}. Something is not deterministic; mend that first.");
                }

                Console.WriteLine($"  make simulate SEED={seed} shows how it came about");
            }
        }

        var gaps = coverage.Gaps();
        Console.WriteLine($"coverage: {coverage.Met} of {coverage.Met + gaps.Count} faults and pairs of fault and EC2 action");
        foreach (var gap in gaps)
        {
            Console.WriteLine($"  never struck: {gap}");
        }

        Console.WriteLine($"hash: {hash:x16}"); // The same in every process.
        Console.WriteLine($"seeds: {count}");
        Console.WriteLine($"failed: {failed}");
        Console.WriteLine($"steps: {steps}");
        Console.WriteLine($"faults: {faults}");
        Console.WriteLine($"seeds_per_minute: {count / watch.Elapsed.TotalMinutes:0}");
        return failed == 0 && (gaps.Count == 0 || count < LongRun) ? 0 : 1;
    }

    /// <summary>For a mutation: which seed finds it, and how.</summary>
    /// <returns>0 when one has.</returns>
    public static int RunToFirst(int count)
    {
        Seed.Run(0);
        for (var seed = 1; seed <= count; seed++)
        {
            if (Seed.Run(seed).Failure is { } failure)
            {
                Console.WriteLine($"seed {seed} FAILED {failure}");
                return 0;
            }
        }

        Console.WriteLine($"none of the seeds 1 to {count} has failed");
        return 1;
    }

    public static int Replay(int seed)
    {
        Seed.Run(0);
        var result = Seed.Run(seed, Console.WriteLine);
        Console.WriteLine(result.Failure is { } failure ? $"seed {seed} FAILED {failure}" : $"seed {seed} is clean");
        Console.WriteLine($"{result.Steps} steps, {result.PodEvents} pod events, {result.Faults} faults in {result.Time.TotalSeconds:0} s of virtual time; hash {result.Hash:x}");
        Console.WriteLine(string.Join(", ", result.Struck.Select(one => $"{one.Key} {one.Value}")));
        return result.Failure is null ? 0 : 1;
    }
}
