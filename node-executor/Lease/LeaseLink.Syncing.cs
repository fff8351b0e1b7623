using AwsVpcCni.Core.Contracts;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>The loops behind the ADDs: reports and orders, releases, hints. None of them is on anybody's path.</summary>
public sealed partial class LeaseLink
{
    private string? lastFailure;
    private bool isFailureSaid;
    private long releasedUpTo;

    /// <summary>Runs until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        await LookAtInterfacesAsync(); // Known from the file: a node serves before the first silo answers, and its first report is true.
        await Task.WhenAll(InterfaceLoopAsync(cancellation), SyncLoopAsync(cancellation), ReleaseLoopAsync(cancellation), HintLoopAsync(cancellation));
    }

    private async Task SyncLoopAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            var wanted = reportWanted.Next; // Taken before the report is made: what changes during the call is in the next one.
            var began = Now;
            var isDone = await SyncAsync(cancellation);
            reported.Fire();
            await WaitAsync(began + (isDone ? options.SyncGap : options.AskAgain) - Now, cancellation);
            if (isDone)
            {
                await time.ForAsync(wanted, began + options.SyncPeriod - Now, cancellation);
            }
        }
    }

    private async Task<bool> SyncAsync(CancellationToken cancellation)
    {
        (Lease, var report) = Lease.Report(Now);
        using var deadline = new CancellationTokenSource(options.CallDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        NodeOrders orders;
        try
        {
            orders = await api.SyncAsync(report, either.Token);
        }
        catch (NodeApiException e)
        {
            return Failed(e.Message);
        }
        catch (OperationCanceledException)
        {
            return cancellation.IsCancellationRequested || Failed($"No silo has answered within {options.CallDeadline.TotalSeconds:0} s.");
        }

        Answered();
        return Follow(orders);
    }

    private bool Follow(NodeOrders orders)
    {
        var (next, applied) = Lease.Apply(orders, Now);
        if (applied.MustSave)
        {
            try
            {
                store.Save(next); // Before anybody hears of the consent, or uses what was granted.
                isUnwritten = false;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                NotWritten(e);
                return false; // As if the orders had been lost: the next ones say the same.
            }
        }

        var hasOtherInterfaces = !Lease.HasInterfacesOf(next);
        Lease = next;
        if (hasOtherInterfaces)
        {
            interfacesChanged.Fire();
            reportWanted.Fire(); // One that is to go does not count as set up any more.
        }

        if (applied.MustSave)
        {
            LogFollowed(Lease.Version, applied.Added, applied.GivenUp);
            reportWanted.Fire();
        }

        news.Fire(); // Whoever waits asks again; a grain that had nothing may have something now.
        releaseWanted.Fire();
        return true;
    }

    /// <summary>Tells each end once; what gets no answer is in every report until one does.</summary>
    private async Task ReleaseLoopAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            var wanted = releaseWanted.Next;
            var untold = Lease.Incarnation == 0 ? [] : Lease.Ended.Where(e => e.Key.CompareTo(new Stamp(Lease.Incarnation, releasedUpTo)) > 0).Take(1).ToArray();
            if (untold.Length > 0)
            {
                await ReleaseAsync(untold[0].Key, untold[0].Value, cancellation);
                continue;
            }

            await time.ForAsync(wanted, options.SyncPeriod, cancellation);
        }
    }

    private async Task ReleaseAsync(Stamp stamp, Ending ending, CancellationToken cancellation)
    {
        releasedUpTo = stamp.Number;
        Lease = Lease with { Releasing = stamp.Number };
        using var deadline = new CancellationTokenSource(options.CallDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        try
        {
            var freed = ending.FreedAt is { } at ? (Now - at).TotalSeconds : 0;
            await api.ReleaseAsync(new ReleaseRequest(stamp, ending.Sandbox, ending.Address, freed) { Had = ending.HadFor(Now) }, either.Token);
            answeredAt = Now;
            Lease = Lease.AcknowledgeRelease(stamp);
        }
        catch (NodeApiException e)
        {
            Failed(e.Message);
        }
        catch (OperationCanceledException)
        {
            // The reports go on naming it.
        }
        finally
        {
            Lease = Lease with { Releasing = null };
        }
    }

    private async Task HintLoopAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await api.ListenAsync(reportWanted.Fire, cancellation);
            }
            catch (Exception e) when (e is NodeApiException or OperationCanceledException)
            {
                // The syncs say what is wrong; without hints news comes a period later.
            }

            await WaitAsync(options.AskAgain, cancellation);
        }
    }

    private Task WaitAsync(TimeSpan most, CancellationToken cancellation) => time.ForAsync(new TaskCompletionSource().Task, most, cancellation);

    private bool Failed(string text)
    {
        unanswered++;
        if (noAnswers.Say(text) is { } line)
        {
            LogNoAnswer(line);
            isFailureSaid = true;
        }

        lastFailure = text;
        return false;
    }

    private void Answered()
    {
        if (isFailureSaid)
        {
            LogAnswered(); // Not each time, when one fails and answers by turns.
        }

        (lastFailure, isFailureSaid, answeredAt) = (null, false, Now);
    }

    [LoggerMessage(EventId = 3121, Level = LogLevel.Warning, Message = "{Failure}")]
    private partial void LogNoAnswer(string failure);

    [LoggerMessage(EventId = 3122, Level = LogLevel.Information, Message = "A silo answers again.")]
    private partial void LogAnswered();

    [LoggerMessage(EventId = 3123, Level = LogLevel.Information, Message = "The lease has version {Version}: {Added} addresses more, {GivenUp} given up.")]
    private partial void LogFollowed(long version, int added, int givenUp);
}
