using System.Collections.Concurrent;
using System.Collections.Immutable;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.Tests.Cluster.Storage;
using Xunit;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>A silo that stood still while its nodes' grains moved, and have given addresses, wakes and is asked for addresses at once.</summary>
[Collection(nameof(DynamoDbLocal))]
public sealed class WokenSiloTests(DynamoDbLocal dynamo)
{
    private const int Nodes = 18;
    private const int Callers = 6; // A node, at once.

    private static readonly TimeSpan Asking = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan OwnProbesFail = TimeSpan.FromSeconds(10); // By then it has found out without Standstill.

    private readonly Dictionary<(string Node, Ip Address), SandboxKey> _given = [];
    private long _number = 1_000_000; // Far above what the executors have settled, so that no grain takes it for ended.

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_gives_no_address_that_has_been_given_meanwhile()
    {
        await using var fleet = await Fleet.StartAsync(dynamo, Nodes, Cancellation);
        await Task.WhenAll(fleet.Nodes.Select((node, index) => GiveAsync(fleet, node, 1 + (index % Fleet.SiloCount), 1)));
        var silos = fleet.Silos.GrainsBySaid();
        await fleet.Silos.UntilAsync("each grain to have said where it is", () => Task.FromResult((silos = fleet.Silos.GrainsBySaid()).Count == Nodes), Cancellation);
        var woken = fleet.Silos.Busiest();
        var moved = fleet.Nodes.Where(node => silos[node.Id] == woken).ToList();
        int Other(int index) => 1 + ((woken + (index % 2)) % Fleet.SiloCount);

        await fleet.Silos.SignalAsync(woken, "STOP", Cancellation);
        var stopped = TimeProvider.System.GetTimestamp();
        // Of some all that the sleeping grain believes free, and more, which changes the document; of others a part.
        await Task.WhenAll(moved.Select((node, index) => GiveAsync(fleet, node, Other(index), index % 2 == 0 ? 9 : 3)));
        TestContext.Current.SendDiagnosticMessage("{0} grains have moved and given {1} addresses after {2:0.0} s", moved.Count, _given.Count - Nodes, TimeProvider.System.GetElapsedTime(stopped).TotalSeconds);

        // The first questions lie in its sockets when it wakes.
        var answers = new ConcurrentBag<Answered>();
        long woke = 0;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var asking = moved.SelectMany(node => Enumerable.Range(0, Callers).Select(caller => Task.Run(() => AskAsync(fleet, node, (woken, Other(0)), caller, answers, () => woke, stop.Token)))).ToList();
        await Task.Delay(Asking, Cancellation);
        woke = TimeProvider.System.GetTimestamp();
        await fleet.Silos.SignalAsync(woken, "CONT", Cancellation);
        var exitCode = await fleet.Silos.EndAsync(woken, Cancellation);
        var lived = TimeProvider.System.GetElapsedTime(woke);
        await stop.CancelAsync();
        await Task.WhenAll(asking);

        var offers = answers.Where(answer => answer.Reply is AssignReply.Offered).ToList();
        TestContext.Current.SendDiagnosticMessage(
            "It lived {0:0.00} s and answered {1} times: {2}; the last after {3:0.00} s", lived.TotalSeconds, answers.Count,
            string.Join(", ", answers.GroupBy(answer => KindOf(answer.Reply)).Select(kind => $"{kind.Key} {kind.Count()}")), answers.IsEmpty ? 0 : answers.Max(answer => answer.After).TotalSeconds);
        foreach (var line in File.ReadLines(fleet.Silos.LogOf(woken)).Where(line => line.Contains(" another ", StringComparison.Ordinal) || line.Contains("I should be Dead", StringComparison.Ordinal)))
        {
            TestContext.Current.SendDiagnosticMessage("{0}", line.Length > 250 ? line[..250] : line);
        }

        Assert.NotEqual(0, exitCode);
        Assert.True(lived < OwnProbesFail, $"it went on for {lived.TotalSeconds:0.0} s: until its own probes had failed?");
        Assert.Contains(answers, answer => answer.Reply is not null); // Else nothing is shown.

        foreach (var (node, sandbox, reply, after) in offers.OrderBy(offer => offer.After))
        {
            var address = ((AssignReply.Offered)reply!).Address;
            Assert.False(_given.TryGetValue((node.Id, address), out var other), $"{address} of {node.Id} was given to {other}, and {after.TotalSeconds:0.000} s after waking to {sandbox}");
            _given[(node.Id, address)] = sandbox;
        }

        // And the grains that have moved give none of these.
        await Task.WhenAll(moved.Select((node, index) => GiveAsync(fleet, node, Other(index), 1)));
        foreach (var ((node, address), sandbox) in _given)
        {
            var row = await fleet.Books.RowOfAsync(node, address, Cancellation);
            Assert.True(row is { Released: null } && row.Sandbox == sandbox, $"{address} of {node} was given to {sandbox}, and its row says {row?.Sandbox} {row?.Released}");
        }

        Assert.Empty(fleet.Register.Wrong);
    }

    private static string KindOf(AssignReply? reply) => reply switch
    {
        AssignReply.Offered => "an address",
        AssignReply.NotYet(var why) => $"not yet ({why.Code})",
        AssignReply.Never(var why) => $"never ({why.Code})",
        _ => "refused by the door",
    };

    private static AssignRequest RequestOf(FleetNode node, string what, long number) =>
        new(new Stamp(node.Lease.Incarnation, number), new SandboxKey($"{node.Id}-{what}-{number}", "eth0"), new PodName("test", what, ""), ImmutableArray<Refusal>.Empty);

    /// <summary>New sandboxes of a node get addresses at a silo's door, each until it has one.</summary>
    private async Task GiveAsync(Fleet fleet, FleetNode node, int silo, int count)
    {
        for (var n = 0; n < count; n++)
        {
            var request = RequestOf(node, "given", Interlocked.Increment(ref _number));
            AssignReply? reply = null;
            await fleet.Silos.UntilAsync(() => $"an address for {request.Sandbox}: {reply}", async () =>
            {
                reply = await fleet.Calls.AssignAsync(SiloProcesses.DoorOf(silo), node.Id, request, Cancellation);
                if (reply is not AssignReply.Offered(var address, _))
                {
                    return false;
                }

                lock (_given)
                {
                    Assert.True(_given.TryAdd((node.Id, address), request.Sandbox), $"{address} of {node.Id} was given twice, the second time to {request.Sandbox}");
                }

                return true;
            }, Cancellation);
        }
    }

    /// <summary>Asks the woken silo, for another sandbox after each address, until it has ended. What got none needs none any more.</summary>
    private async Task AskAsync(Fleet fleet, FleetNode node, (int Woken, int Other) silos, int caller, ConcurrentBag<Answered> answers, Func<long> woke, CancellationToken cancellation)
    {
        var request = RequestOf(node, $"woken-{caller}", Interlocked.Increment(ref _number));
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                var reply = await fleet.Calls.AssignAsync(SiloProcesses.DoorOf(silos.Woken), node.Id, request, cancellation);
                answers.Add(new Answered(node, request.Sandbox, reply, TimeProvider.System.GetElapsedTime(woke())));
                if (reply is AssignReply.Offered)
                {
                    request = RequestOf(node, $"woken-{caller}", Interlocked.Increment(ref _number));
                }
            }
            catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
            {
                await Task.Delay(Pause, CancellationToken.None); // It has ended, or closes its connections.
            }
        }

        await fleet.Silos.UntilAsync($"the release of {request.Sandbox}", async () => await fleet.Calls.ReleaseAsync(
            SiloProcesses.DoorOf(silos.Other), node.Id, new ReleaseRequest(new Stamp(node.Lease.Incarnation, Interlocked.Increment(ref _number)), request.Sandbox, null, 0), Cancellation) is not null, Cancellation);
    }

    private sealed record Answered(FleetNode Node, SandboxKey Sandbox, AssignReply? Reply, TimeSpan After);
}
