using System.Diagnostics;
using System.Globalization;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>`make fuzz`: many broken inputs of each kind, with figures as <c>name: value</c>.</summary>
internal static class Fuzzing
{
    /// <summary>By name: how its world begins, and how many inputs one sees.</summary>
    public static readonly IReadOnlyDictionary<string, (Func<Task<Fuzzer>> World, int InputsAWorld)> Kinds = new Dictionary<string, (Func<Task<Fuzzer>>, int)>
    {
        ["config"] = (() => Task.FromResult<Fuzzer>(new ConfigFuzzer()), 500),
        ["frames"] = (() => Task.FromResult<Fuzzer>(new FrameFuzzer()), 500),
        ["netlink"] = (() => Task.FromResult<Fuzzer>(new NetlinkFuzzer()), 1_000),
        ["execs"] = (ExecFuzzer.StartAsync, 2_000),
    };

    /// <summary>That of the environment (scripts/test.sh: one a commit), or another one each time; what fails prints it.</summary>
    public static int Seed() => Environment.GetEnvironmentVariable("TEST_SEED") is { Length: > 0 } given ? int.Parse(given, CultureInfo.InvariantCulture) : (int)(Stopwatch.GetTimestamp() & 0xff_ffff);

    /// <returns>0 when nothing has failed.</returns>
    public static async Task<int> RunAsync(int inputs, int execs, int seed)
    {
        Say("fuzz_seed", seed);
        var failed = 0;
        foreach (var kind in Kinds.Keys)
        {
            var began = Stopwatch.GetTimestamp();
            var count = kind == "execs" ? execs : inputs;
            var failures = await TryAsync(kind, seed, 0, count);
            failures.ForEach(Console.WriteLine);
            Say(kind == "execs" ? "fuzz_execs" : $"fuzz_{kind}_inputs", count);
            Say($"fuzz_{kind}_failed", failures.Count);
            Say($"fuzz_{kind}_seconds", Stopwatch.GetElapsedTime(began).TotalSeconds);
            failed += failures.Count;
        }

        return failed == 0 ? 0 : 1;
    }

    public static async Task<int> ReplayAsync(string kind, int seed, int input)
    {
        var failures = await TryAsync(kind, seed, input, 1);
        failures.ForEach(Console.WriteLine);
        Say("failed", failures.Count);
        return failures.Count == 0 ? 0 : 1;
    }

    public static Task<List<string>> TryAsync(string kind, int seed, int first, int count) =>
        Fuzzer.RunAsync(kind, Kinds[kind].World, seed, first, count, Kinds[kind].InputsAWorld);

    private static void Say(string name, double value) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {value:0.#}"));
}
