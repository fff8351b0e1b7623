using Microsoft.Extensions.Time.Testing;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Lease;

/// <summary>Runs everything on the test's thread, in order, in fake time: what the lease's lane is in a test.</summary>
internal sealed class OneThread : TaskScheduler
{
    private readonly Queue<Task> ready = new();
    private readonly int thread = Environment.CurrentManagedThreadId;

    public FakeTimeProvider Time { get; } = new();

    /// <summary>Starts it and runs what is ready.</summary>
    public Task<T> Start<T>(Func<Task<T>> work)
    {
        var task = Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this).Unwrap();
        RunReady();
        return task;
    }

    /// <summary>Runs it and what becomes ready by it.</summary>
    public void Do(Action work)
    {
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this);
        RunReady();
    }

    /// <summary>Lets time pass in small steps, so that each timer sees its own time.</summary>
    public void Pass(double seconds)
    {
        for (var n = 0; n < seconds * 20; n++)
        {
            Time.Advance(TimeSpan.FromMilliseconds(50));
            RunReady();
        }
    }

    protected override IEnumerable<Task> GetScheduledTasks() => ready;

    protected override void QueueTask(Task task)
    {
        if (Environment.CurrentManagedThreadId != thread)
        {
            throw new InvalidOperationException("The lease's logic has left its scheduler.");
        }

        ready.Enqueue(task);
    }

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => !taskWasPreviouslyQueued && Current == this && TryExecuteTask(task);

    private void RunReady()
    {
        while (ready.TryDequeue(out var task))
        {
            TryExecuteTask(task);
        }
    }
}
