using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using AwsVpcCni.Grains.Node;
using AwsVpcCni.Grains.Storage;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>Silos of this build and of the next one (tests/upgrade/next.patch) beside each other, while pods come and go (ADR 0011).</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed partial class UpgradeTests(DynamoDbLocal dynamo)
{
    private const int Nodes = 20;
    private const double AddsPerSecond = 5;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Silos_are_replaced_one_after_the_other_by_the_next_build_and_by_this_one_again()
    {
        dynamo.NeedIt();
        var next = await BuildNextAsync();
        await using var fleet = await Fleet.StartAsync(dynamo, Nodes, Cancellation);
        await using var churn = ChurnTests.Start(fleet, AddsPerSecond);

        List<string> said = [];
        await ReplaceAllAsync(fleet, churn, "the next build", next, said);
        await fleet.Silos.UntilAsync("each document to be written by the next build", async () => (await DocumentsAsync(fleet)).All(one => NextWrites(one) > 0), Cancellation);
        await fleet.Silos.UntilAsync("an executor to have the new reason", () => Task.FromResult(fleet.Nodes.Sum(node => node.Answers.Others) > 0), Cancellation);
        var before = await DocumentsAsync(fleet);
        await ReplaceAllAsync(fleet, churn, "this build", null, said);
        await fleet.RaiseAsync(1, Cancellation);
        await fleet.Silos.UntilAsync("documents to be written by this build", async () => ThisWrites(before, await DocumentsAsync(fleet)) > 0, Cancellation);

        await ChurnTests.EndAsync(fleet, churn);
        KeepsWhatIsNew(before, await DocumentsAsync(fleet));
        UnderstandEachOther([.. said, .. Enumerable.Range(1, Fleet.SiloCount).SelectMany(silo => File.ReadLines(fleet.Silos.LogOf(silo)))]);
    }

    /// <summary>What the next build has put into documents is there after this one has written them.</summary>
    private static void KeepsWhatIsNew(List<NodeDocument> before, List<NodeDocument> after)
    {
        Assert.All(before.Zip(after), one => Assert.True(NextWrites(one.Second) >= NextWrites(one.First), $"{NextWrites(one.Second)} writes of {NextWrites(one.First)} are left"));
        Assert.All(after, document => Assert.True(Added(document.Interfaces[0], "nextSeen") is not null, $"{document.Interfaces[0]}"));
        Assert.Contains(after.SelectMany(document => document.Intents), intent => intent is { Kind: IntentKind.Unknown, KindName: "Probe" } && Added(intent, "nextSince") is not null);
    }

    /// <summary>But for the method: it is refused to its caller, and answered where it is known.</summary>
    private static void UnderstandEachOther(List<string> lines)
    {
        var (answered, refused) = (lines.Count(line => line.Contains("is of build next", StringComparison.Ordinal)), lines.Where(line => line.Contains("refuses BuildAsync", StringComparison.Ordinal)).ToList());
        TestContext.Current.SendDiagnosticMessage("the new method: answered {0} times, refused {1} times", answered, refused.Count);
        Assert.True(answered > 0, "no grain has answered the new method");
        Assert.Contains(refused, line => line.Contains("Unable to resolve type alias", StringComparison.Ordinal));
        // A grain that moves brings no document along: it is read from the store, which Orleans calls a failure to dehydrate.
        Assert.Equal("", string.Join('\n', lines.Where(line => NotUnderstood().IsMatch(line) && !line.Contains("ehydrat", StringComparison.Ordinal) && !OfTheMethod().IsMatch(line)).Take(10).Select(line => line.Length > 1500 ? line[..1500] : line)));
    }

    /// <param name="said">What those have logged that are replaced.</param>
    private static async Task ReplaceAllAsync(Fleet fleet, Churn churn, string what, string? program, List<string> said)
    {
        for (var silo = 1; silo <= Fleet.SiloCount; silo++)
        {
            var replaced = await Episode.WatchAsync($"silo {silo} by {what}", fleet, churn, silo, async () =>
            {
                await fleet.Silos.SignalAsync(silo, "TERM", Cancellation);
                Assert.Equal(0, await fleet.Silos.EndAsync(silo, Cancellation));
                said.AddRange(File.ReadLines(fleet.Silos.LogOf(silo)));
                fleet.Silos.Programs[silo] = program;
                await fleet.Silos.RestartAsync(silo, Cancellation);
            }, Cancellation);
            await ChurnTests.CheckAsync(fleet, churn, replaced);
        }
    }

    /// <summary>Says why, when the patch does not apply any more.</summary>
    /// <returns>Its silo.</returns>
    private static async Task<string> BuildNextAsync()
    {
        var began = TimeProvider.System.GetTimestamp();
        using var build = Process.Start(new ProcessStartInfo(Path.Combine(Repository.Root, "scripts", "next-build.sh")) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var said = await Task.WhenAll(build.StandardOutput.ReadToEndAsync(Cancellation), build.StandardError.ReadToEndAsync(Cancellation));
        await build.WaitForExitAsync(Cancellation);
        Assert.True(build.ExitCode == 0, string.Concat(said));
        TestContext.Current.SendDiagnosticMessage("the next build took {0:0} s", TimeProvider.System.GetElapsedTime(began).TotalSeconds);
        return Path.Combine(Repository.Root, "artifacts", "upgrade", "silo", "bin", "Release", "net10.0", "silo");
    }

    /// <summary>Each write raises the change's number, one by the next build the other one, too.</summary>
    private static long ThisWrites(List<NodeDocument> before, List<NodeDocument> after) =>
        before.Zip(after).Sum(one => one.Second.Change - one.First.Change - (NextWrites(one.Second) - NextWrites(one.First)));

    private static async Task<List<NodeDocument>> DocumentsAsync(Fleet fleet) => [.. await Task.WhenAll(fleet.Nodes.Select(node => fleet.Books.DocumentOfAsync(node.Id)))];

    private static long NextWrites(NodeDocument document) => Added(document, "nextWrites")?.GetInt64() ?? 0;

    private static JsonElement? Added(DocumentPart part, string name) => part.Unknown is { } unknown && unknown.TryGetValue(name, out var value) ? value : null;

    [GeneratedRegex(@"JsonException|CodecNotFound|Orleans\.Serialization\.[A-Za-z.]*Exception|cannot be understood|Exception reading message|TypeLoadException|InvalidCast|MissingMethod")]
    private static partial Regex NotUnderstood();

    [GeneratedRegex("^next: .* refuses BuildAsync|TypeLoadException: Unable to resolve type alias .*INodeGrain")] // By whichever part of Orleans meets it: a reader, or who rejects or forwards a request.
    private static partial Regex OfTheMethod();
}
