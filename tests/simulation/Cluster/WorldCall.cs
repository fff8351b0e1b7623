using AwsVpcCni.Tests.Simulation.Scheduling;

namespace AwsVpcCni.Tests.Simulation.Cluster;

/// <summary>How a call into the world ends. The effect is an event of its own, whoever dies meanwhile.</summary>
/// <param name="Before">Until the effect.</param>
/// <param name="After">From it to the answer; null: no answer comes.</param>
/// <param name="InsteadOfEffect">Answered without effect; null: it happens.</param>
/// <param name="AfterEffect">Answered though it happened; null: its own answer.</param>
internal sealed record CallFate(TimeSpan Before, TimeSpan? After, Exception? InsteadOfEffect = null, Exception? AfterEffect = null);

/// <summary>Store, EC2: what takes time, and whose answer may be lost.</summary>
internal static class WorldCall
{
    /// <param name="effect">At its moment; what it throws is the answer.</param>
    public static Task<T> CallAsync<T>(this Scheduler scheduler, string what, CallFate fate, Func<T> effect, CancellationToken cancellation)
    {
        var lane = scheduler.RequireLane(what);
        var answer = new TaskCompletionSource<T>(); // Plain: completed from the event loop, where no lane is current.
        lane.Awaits(answer.Task);
        scheduler.Trace?.Invoke($"{lane.Name} calls {what}");
        scheduler.After(fate.Before, () =>
        {
            var (result, thrown) = fate.InsteadOfEffect is { } refusal ? (default!, refusal) : Happen(effect);
            scheduler.Trace?.Invoke($"{what} of {lane.Name}: {(fate.InsteadOfEffect is not null ? "does not happen" : thrown is null ? "happens" : "refused, " + thrown.Message)}");
            thrown = fate.AfterEffect ?? thrown;
            if (fate.After is { } after)
            {
                scheduler.After(after, () => _ = thrown is null ? answer.TrySetResult(result) : answer.TrySetException(thrown));
            }
        });
        if (cancellation.CanBeCanceled)
        {
            cancellation.UnsafeRegister(_ => answer.TrySetCanceled(cancellation), null);
        }

        return answer.Task;
    }

    private static (T Result, Exception? Thrown) Happen<T>(Func<T> effect)
    {
#pragma warning disable CA1031 // A refusal travels to the caller, whatever it is.
        try
        {
            return (effect(), null);
        }
        catch (Exception e)
        {
            return (default!, e);
        }
#pragma warning restore CA1031
    }
}
