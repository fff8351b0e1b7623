namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Something has changed. Who takes <see cref="Next"/> before looking misses nothing.</summary>
internal sealed class Pulse
{
    // Plain, so that WhenAny below stays on the caller's scheduler.
    private TaskCompletionSource next = new();

    internal Task Next => next.Task;

    /// <summary>Whoever waits goes on after what runs now, on its scheduler: nothing changes under the caller's feet.</summary>
    internal void Fire()
    {
        var fired = next;
        next = new TaskCompletionSource();
        Task.Factory.StartNew(static fired => ((TaskCompletionSource)fired!).TrySetResult(), fired, CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current);
    }
}

internal static class Waits
{
    /// <summary>Ends with the first of: the task, the time, a cancellation. Which of them, the caller sees for himself.</summary>
    internal static async Task ForAsync(this TimeProvider time, Task task, TimeSpan most, CancellationToken cancellation)
    {
        if (task.IsCompleted || most <= TimeSpan.Zero)
        {
            return;
        }

        // Not Task.Delay: when it is cancelled, what awaits it goes on by way of the thread pool.
        var over = new TaskCompletionSource();
        using var timer = time.CreateTimer(static over => ((TaskCompletionSource)over!).TrySetResult(), over, most, Timeout.InfiniteTimeSpan);
        using var registration = cancellation.UnsafeRegister(static over => ((TaskCompletionSource)over!).TrySetResult(), over);
        await Task.WhenAny(task, over.Task);
    }
}
