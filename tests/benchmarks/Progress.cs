using System.Diagnostics;
using System.Globalization;

namespace AwsVpcCni.Benchmarks;

/// <summary>What is printed for people, before the figures.</summary>
internal static class Progress
{
    private static readonly Stopwatch Clock = Stopwatch.StartNew();

    public static void Say(string text) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[{Clock.Elapsed.TotalSeconds,5:0.0} s] {text}"));
}
