using System.Globalization;
using AwsVpcCni.Tests.Cluster.Storage;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>`make soak`: one silo after the other is killed, or stands still for 20 s, while pods come and go. Ends with figures as <c>name: value</c>.</summary>
internal static class Soak
{
    /// <param name="runs">Of each signal.</param>
    /// <returns>0 when no ADD has failed, no address was on two pods, and the books agree.</returns>
    public static async Task<int> RunAsync(int runs)
    {
        var seed = Seed.Take();
        Console.WriteLine($"{Seed.Variable}={seed}");
        var dynamo = new DynamoDbLocal();
        await dynamo.InitializeAsync();
        List<Episode> kills = [], stops = [];
        IReadOnlyList<string> wrong;
        IReadOnlyList<string> failures;
        int doubled;
        try
        {
            await using var fleet = await Fleet.StartAsync(dynamo, ChurnTests.Nodes, CancellationToken.None);
            await using var churn = new Churn(fleet.Nodes, ChurnTests.AddsPerSecond, seed);
            churn.Start();
            for (var run = 0; run < runs; run++)
            {
                kills.Add(await SayAsync(fleet, Episode.KillAsync(fleet, churn, 1 + (2 * run % Fleet.SiloCount), CancellationToken.None)));
                stops.Add(await SayAsync(fleet, Episode.StopAsync(fleet, churn, 1 + (((2 * run) + 1) % Fleet.SiloCount), CancellationToken.None)));
            }

            await churn.StopAsync();
            failures = churn.Failures;
            await CompareAsync(fleet, fleet.Books.AllAgreesAsync(fleet.Nodes, CancellationToken.None));
            (wrong, doubled) = (fleet.Register.Wrong, fleet.Register.Doubled);
        }
        finally
        {
            await dynamo.DisposeAsync();
        }

        foreach (var what in wrong.Concat(failures))
        {
            Console.WriteLine(what);
        }

        Say("silence_kill_max_s", kills.Max(run => run.Silence.TotalSeconds));
        Say("silence_stop_max_s", stops.Max(run => run.Silence.TotalSeconds));
        Say("longest_add_s", kills.Concat(stops).Max(run => run.Adds.Longest.TotalSeconds));
        Say("adds", kills.Concat(stops).Sum(run => run.Adds.Count));
        Say("failed_adds", failures.Count);
        Say("doubled", doubled);
        Say("wrong", wrong.Count);
        return failures.Count + wrong.Count == 0 ? 0 : 1;
    }

    private static async Task<Episode> SayAsync(Fleet fleet, Task<Episode> running)
    {
        var episode = await running;
        Console.WriteLine($"{TimeProvider.System.GetUtcNow():HH:mm:ss} {episode}");
        await CompareAsync(fleet, fleet.Books.RowsAgreeAsync(fleet.Nodes, CancellationToken.None));
        return episode;
    }

    private static async Task CompareAsync(Fleet fleet, Task comparing)
    {
        try
        {
            await comparing;
        }
        catch (TimeoutException e)
        {
            fleet.Register.Refute(e.Message);
        }
    }

    private static void Say(string name, double value) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {value:0.##}"));
}
