namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Whether pods may start as far as the node's own network goes: what they send finds its way. Until then, why not.</summary>
/// <remarks>A pod that starts before keeps what its connections have begun with, and so never leaves the VPC with some of them.</remarks>
internal sealed class NetworkReadiness
{
    private readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile string why = "it has not been looked at yet";

    private int waiting;

    internal Task WhenReady => ready.Task;

    /// <summary>Pods that wait for it.</summary>
    internal int Waiting => Volatile.Read(ref waiting);

    internal void Set() => ready.TrySetResult();

    /// <param name="reason">Why it is not, with what to do.</param>
    internal void NotYet(string reason) => why = reason;

    /// <summary>Waits for it.</summary>
    /// <param name="isPod">Whether a pod waits with it, and is counted.</param>
    /// <returns>Null when it is; after <paramref name="most"/> why it is not.</returns>
    internal async ValueTask<string?> WhyNotAsync(TimeSpan most, bool isPod, TimeProvider time, CancellationToken cancellation)
    {
        Interlocked.Add(ref waiting, isPod ? 1 : 0);
        try
        {
            await ready.Task.WaitAsync(most, time, cancellation);
            return null;
        }
        catch (TimeoutException)
        {
            return $"The host's network is not set up, and a pod that starts now would not find its way out of the VPC: {why}";
        }
        finally
        {
            Interlocked.Add(ref waiting, isPod ? -1 : 0);
        }
    }
}
