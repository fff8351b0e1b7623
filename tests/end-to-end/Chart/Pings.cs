using System.Text.RegularExpressions;
using AwsVpcCni.Tests.EndToEnd.Containerd;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Chart;

/// <summary>A pod that asks another one ten times a second for as long as the test runs, and counts the answers.</summary>
internal sealed partial class Pings(Cri cri, Pod pod)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public static async Task<Pings> StartAsync(Cri cri, string address)
    {
        var pings = new Pings(cri, await cri.RunPodAsync("pings", command: ["sh", "-c", $"ping -i 0.1 {address} >/tmp/said & echo $! >/tmp/pid; sleep 1000"]));
        await pings.GoesOnAsync();
        return pings;
    }

    public Pod Pod => pod;

    /// <summary>Until ten more have been answered.</summary>
    public async Task GoesOnAsync()
    {
        var before = await AnsweredAsync();
        await Eventually.HoldsAsync("ten more answers to pings", Patience, async _ => await AnsweredAsync() is var now && now >= before + 10 ? null : $"{now} answers, {before} before");
    }

    /// <summary>Ends it.</summary>
    /// <returns>How many were sent, and how many answered. The last one may be under way at the end.</returns>
    public async Task<(int Sent, int Answered)> EndAsync()
    {
        var said = await cri.ExecAsync(pod, "sh", "-c", "kill -INT $(cat /tmp/pid); sleep 1; cat /tmp/said");
        var counts = Summary().Match(said);
        return counts.Success ? (NumberOf(counts.Groups[1].Value), NumberOf(counts.Groups[2].Value)) : throw new InvalidOperationException($"ping did not sum up: {said[^Math.Min(said.Length, 500)..]}");
    }

    private async Task<int> AnsweredAsync() => NumberOf((await cri.ExecAsync(pod, "sh", "-c", "wc -l </tmp/said")).Trim());

    private static int NumberOf(string text) => int.Parse(text, System.Globalization.CultureInfo.InvariantCulture);

    [GeneratedRegex("([0-9]+) packets transmitted, ([0-9]+) packets received")]
    private static partial Regex Summary();
}
