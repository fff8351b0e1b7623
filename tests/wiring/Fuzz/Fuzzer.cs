using System.Diagnostics;
using System.Globalization;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>A kind of input: makes one from a random source, gives it to the shipped code, and throws when the answer is not a defined one.</summary>
internal abstract class Fuzzer : IAsyncDisposable
{
    private const int MaxFailures = 10; // Shown; more say nothing new.
    private const int MaxDescriptors = 16; // The runtime opens some of its own.
    private const long MaxBytes = 64 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20), PatienceAtTheEnd = 6 * Patience;

    /// <summary>Of the input that was tried last, for people.</summary>
    public string Input { get; protected set; } = "";

    /// <summary>One input.</summary>
    public abstract Task TryAsync(Random random);

    /// <summary>Says what is left over when no more inputs come, by an exception.</summary>
    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Tries inputs one after another, in one world after another.</summary>
    /// <param name="first">Inputs are numbered from 0; each is made of the seed and its number alone.</param>
    /// <param name="inputsAWorld">After so many, what is left of them is looked for: descriptors, memory, what the fuzzer itself knows.</param>
    /// <returns>What went wrong, each with the words that try it again. The last input that was tried is one that hangs, if any does: it may still disturb the next.</returns>
    public static async Task<List<string>> RunAsync(string kind, Func<Task<Fuzzer>> world, int seed, int first, int count, int inputsAWorld)
    {
        List<string> failures = [];
        var hangs = false;
        for (var input = first; input < first + count && IsToGoOn();)
        {
            var (descriptors, bytes) = (Descriptors(), GC.GetTotalMemory(forceFullCollection: true));
            var (fuzzer, from) = (await world(), input);
            for (; input < first + count && input < from + inputsAWorld && IsToGoOn(); input++)
            {
                await NoteAsync($"{kind} input {input}, again by: AwsVpcCni.Tests.Wiring fuzz-one {kind} {seed} {input}", () => fuzzer.TryAsync(new Random(unchecked(seed * 1_000_003 + input))), Patience, () => fuzzer.Input);
            }

            await NoteAsync($"{kind} inputs {from} to {input - 1} of seed {seed}", async () =>
            {
                await fuzzer.DisposeAsync();
                await NothingIsLeftAsync(descriptors, bytes);
            }, PatienceAtTheEnd, () => "");
        }

        return failures;

        bool IsToGoOn() => failures.Count < MaxFailures && !hangs;

        async Task NoteAsync(string what, Func<Task> work, TimeSpan patience, Func<string> said)
        {
            var working = Task.Run(work);
            try
            {
                await working.WaitAsync(patience);
            }
#pragma warning disable CA1031 // Whatever it is, it is what is looked for.
            catch (Exception e)
            {
                hangs |= !working.IsCompleted;
                failures.Add($"{what}\n{said()}\n{e}");
            }
#pragma warning restore CA1031
        }
    }

    private static async Task NothingIsLeftAsync(int descriptors, long bytes)
    {
        var began = Stopwatch.GetTimestamp();
        while (Descriptors() > descriptors + MaxDescriptors && Stopwatch.GetElapsedTime(began) < Patience / 4)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System); // What a peer has closed is noticed a moment later.
        }

        Check(Descriptors() <= descriptors + MaxDescriptors, $"{Descriptors()} descriptors are open, and {descriptors} were: {string.Join(", ", Opened("self").CountBy(target => target.Split(':')[0]))}");
        var more = GC.GetTotalMemory(forceFullCollection: true) - bytes;
        Check(more < MaxBytes, string.Create(CultureInfo.InvariantCulture, $"{more >> 20} MiB more are in use"));
    }

    /// <summary>A property that must hold.</summary>
    protected static void Check(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new FuzzException(otherwise);
        }
    }

    private static int Descriptors() => Opened("self").Count();

    /// <summary>But for the runtime's own: it opens assemblies when it first needs them.</summary>
    protected static IEnumerable<string> Opened(string process) => Directory.GetFileSystemEntries($"/proc/{process}/fd").Select(one => new FileInfo(one).LinkTarget ?? "").Where(target => !target.EndsWith(".dll", StringComparison.Ordinal));
}

/// <summary>An answer that is none of the defined ones, or something that is left over.</summary>
internal sealed class FuzzException(string message) : Exception(message);
