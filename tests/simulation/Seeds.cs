using System.Diagnostics;
using System.Text.Json;

namespace AwsVpcCni.Tests.Simulation;

/// <summary>Many seeds, or one with its trace.</summary>
internal static class Seeds
{
    private const int LongRun = 1000; // So many must meet everything.
    private const int RarestShown = 10;
    private const int SeedsBetweenLines = 100; // Of each process: a run that is ended early has said how far it was.
    private const int Processes = 2; // A seed has one thread; a world more in a process would look like an escape to the first.
    private const string PartLine = "part: ";

    /// <summary>What a part of a run has come to.</summary>
    private sealed record Part(int Failed, long Steps, long Faults, long Assignments, ulong Hash, Dictionary<string, int> Met);

    /// <summary>Seeds from a first one on, told as they fail, with what they have met and the figures at the end.</summary>
    /// <returns>0 when none has failed, and a long run has met everything.</returns>
    public static async Task<int> RunAsync(int count, int first)
    {
        var watch = Stopwatch.StartNew();
        var parts = await Task.WhenAll(Enumerable.Range(0, Math.Min(count, Processes)).Select(n => StartAsync(count, first, n)));
        var met = parts.SelectMany(part => part.Met).GroupBy(one => one.Key, one => one.Value, StringComparer.Ordinal).ToDictionary(one => one.Key, one => one.Sum(), StringComparer.Ordinal);
        var gaps = Coverage.Wanted.Where(one => !met.ContainsKey(one)).ToList();
        Console.WriteLine($"coverage: {Coverage.Wanted.Count - gaps.Count} of {Coverage.Wanted.Count} faults, pairs of fault and EC2 action, and awaits of the node's grain at which it was killed");
        foreach (var gap in gaps)
        {
            Console.WriteLine($"  never met: {gap}");
        }

        foreach (var (rare, seeds) in met.OrderBy(one => one.Value).ThenBy(one => one.Key, StringComparer.Ordinal).Take(RarestShown))
        {
            Console.WriteLine($"  met in {seeds}: {rare}");
        }

        var failed = parts.Sum(part => part.Failed);
        Console.WriteLine($"hash: {parts.Aggregate(0UL, (hash, part) => hash ^ part.Hash):x16}"); // The same in every process.
        Console.WriteLine($"seeds: {count}");
        Console.WriteLine($"failed: {failed}");
        Console.WriteLine($"steps: {parts.Sum(part => part.Steps)}");
        Console.WriteLine($"faults: {parts.Sum(part => part.Faults)}");
        Console.WriteLine($"assignments: {parts.Sum(part => part.Assignments)}"); // Of which the history was asked.
        Console.WriteLine($"seeds_per_minute: {count / watch.Elapsed.TotalMinutes:0}");
        return failed == 0 && (gaps.Count == 0 || count < LongRun) ? 0 : 1;
    }

    /// <summary>Every so-manieth seed, in this process; the last line is for the one that has started it.</summary>
    public static int RunPart(int count, int first, int part)
    {
        Seed.Run(0); // The runtime's own first work must not look like an escape.
        var (failed, steps, faults, assignments, hash) = (0, 0L, 0L, 0L, 0UL);
        var met = new Dictionary<string, int>(StringComparer.Ordinal); // In how many seeds.
        for (var seed = first + part; seed < first + count; seed += Processes)
        {
            var result = Seed.Run(seed);
            (steps, faults, assignments, hash) = (steps + result.Steps, faults + result.Faults, assignments + result.Assignments, hash ^ result.Hash);
            foreach (var one in Coverage.Of(result))
            {
                met[one] = met.GetValueOrDefault(one) + 1;
            }

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

            if ((seed - first - part) / Processes % SeedsBetweenLines == SeedsBetweenLines - 1)
            {
                Console.WriteLine($"  through seed {seed}, each second one: {failed} failed");
            }
        }

        Console.WriteLine(PartLine + JsonSerializer.Serialize(new Part(failed, steps, faults, assignments, hash, met)));
        return 0;
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

    private static async Task<Part> StartAsync(int count, int first, int part)
    {
        using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["part", $"{count}", $"{first}", $"{part}"]) { RedirectStandardOutput = true })!;
        Part? done = null;
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.StartsWith(PartLine, StringComparison.Ordinal))
            {
                done = JsonSerializer.Deserialize<Part>(line[PartLine.Length..]);
            }
            else
            {
                Console.WriteLine(line);
            }
        }

        await process.WaitForExitAsync();
        return done ?? throw new InvalidOperationException($"the process for seed {first + part} and each second one after it ended with {process.ExitCode} and without its figures");
    }
}
