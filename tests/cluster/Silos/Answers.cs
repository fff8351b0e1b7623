using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.Tests.Cluster.Silos;

/// <summary>An executor's way to the silos, which notes how long its calls go without an answer.</summary>
internal sealed class Answers(INodeApi api) : INodeApi
{
    private readonly Lock _lock = new();
    private long? _unansweredSince;
    private TimeSpan _longest;
    private int _hints;
    private Task _syncs = Task.CompletedTask;

    public string? Silo => api.Silo;

    /// <summary>When it reported first after its reports were held back or asked for: before it has sent that, nobody has heard of it. Null: not yet.</summary>
    public DateTimeOffset? ReportedFirst { get; private set; }

    /// <summary>From now on it reports when this is over, not before.</summary>
    public void HoldReports(Task until) => (_syncs, ReportedFirst) = (until, null);

    /// <summary>Which ADD was answered last, and what; or why it was not. One that was given up is not counted.</summary>
    public (SandboxKey Sandbox, string Said) LastAssign { get; private set; }

    /// <summary>Hints that a grain has sent: those that come of a stream's opening, two, are taken off.</summary>
    public int Hints => Volatile.Read(ref _hints);

    /// <summary>How often an ADD was offered an address.</summary>
    public int Offers { get; private set; }

    /// <summary>ADDs that were answered with a reason that this build does not know.</summary>
    public int Others { get; private set; }

    /// <summary>The longest time from a call that got no answer, or got it late, to the next answer, since this was taken last.</summary>
    public TimeSpan TakeLongest()
    {
        lock (_lock)
        {
            var longest = _unansweredSince is { } since && TimeProvider.System.GetElapsedTime(since) is var now && now > _longest ? now : _longest;
            _longest = TimeSpan.Zero;
            return longest;
        }
    }

    public Task<AssignReply> AssignAsync(AssignRequest request, CancellationToken cancellation) => NoteAsync(async () =>
    {
        try
        {
            var reply = await api.AssignAsync(request, cancellation);
            LastAssign = (request.Sandbox, $"{reply}");
            Offers += reply is AssignReply.Offered ? 1 : 0;
            Others += reply is AssignReply.NotYet { Why.Code: ReasonCode.Other } ? 1 : 0;
            return reply;
        }
        catch (NodeApiException e)
        {
            LastAssign = (request.Sandbox, e.Message);
            throw;
        }
    });

    public Task<ReleaseReply> ReleaseAsync(ReleaseRequest request, CancellationToken cancellation) => NoteAsync(() => api.ReleaseAsync(request, cancellation));

    public async Task<NodeOrders> SyncAsync(NodeReport report, CancellationToken cancellation)
    {
        await _syncs.WaitAsync(cancellation);
        ReportedFirst ??= TimeProvider.System.GetUtcNow();
        return await NoteAsync(() => api.SyncAsync(report, cancellation));
    }

    public Task ListenAsync(Action hint, CancellationToken cancellation)
    {
        var opening = 2;
        return api.ListenAsync(
            () =>
            {
                if (Interlocked.Decrement(ref opening) < 0)
                {
                    Interlocked.Increment(ref _hints);
                }

                hint();
            }, cancellation);
    }

    private async Task<T> NoteAsync<T>(Func<Task<T>> call)
    {
        var began = TimeProvider.System.GetTimestamp();
        var isAnswered = false;
        try
        {
            var reply = await call();
            isAnswered = true;
            return reply;
        }
        finally
        {
            lock (_lock)
            {
                var since = Math.Min(_unansweredSince ?? began, began);
                _unansweredSince = isAnswered ? null : since;
                if (isAnswered && TimeProvider.System.GetElapsedTime(since) is var silence && silence > _longest)
                {
                    _longest = silence;
                }
            }
        }
    }
}
