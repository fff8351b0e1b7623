namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Runs one thing at a time, on pool threads: what happens on it needs no lock. An await inside comes back to it.</summary>
/// <param name="scheduler">Runs one task at a time; a simulation brings its own.</param>
public sealed class Lane(TaskScheduler scheduler)
{
    /// <summary>On pool threads.</summary>
    public Lane()
        : this(new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler)
    {
    }

    /// <summary>Runs it after what came before.</summary>
    public Task<T> RunAsync<T>(Func<T> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler);

    /// <summary>Starts it after what came before; other work runs while it awaits.</summary>
    public Task<T> RunAsync<T>(Func<Task<T>> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler).Unwrap();

    /// <summary>Starts it after what came before; other work runs while it awaits.</summary>
    public Task RunAsync(Func<Task> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler).Unwrap();
}
