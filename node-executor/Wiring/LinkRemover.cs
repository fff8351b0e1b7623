using System.Collections.Concurrent;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Deletes links on a thread and a socket of its own: the kernel takes 19 ms for each, which neither a DEL's answer
/// nor another pod's ADD should wait for.</summary>
internal sealed class LinkRemover : IDisposable
{
    private const int MaxQueued = 1000; // As many as a node has pods, and some.

    private readonly NetlinkSocket _socket;
    private readonly BlockingCollection<(int Index, string Name, TimeSpan Time, TaskCompletionSource Gone)> _queue = new(MaxQueued);
    private readonly Thread _thread;

    /// <param name="socket">Disposed with this.</param>
    internal LinkRemover(NetlinkSocket socket)
    {
        _socket = socket;
        _thread = new Thread(Run) { IsBackground = true, Name = "link-remover" };
        _thread.Start();
    }

    /// <summary>Deletes a link now.</summary>
    /// <exception cref="NetlinkException">The kernel refuses; a link that is gone already is no error.</exception>
    internal void Remove(int index, string name, Deadline until)
    {
        var message = new MessageWriter(stackalloc byte[64]);
        Link.Delete(ref message, index);
        _socket.Execute(message.Written, [$"delete link {name}"], until, Errno.ENODEV);
    }

    /// <summary>Deletes a link soon. The task ends when the kernel has confirmed it.</summary>
    /// <param name="time">For the kernel's answer, from its turn on.</param>
    /// <exception cref="WiringException">Too many are waiting, or this is disposed.</exception>
    internal Task RemoveAsync(int index, string name, TimeSpan time)
    {
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return !_queue.IsAddingCompleted && _queue.TryAdd((index, name, time, gone))
            ? gone.Task
            : throw new WiringException($"{name} cannot be removed: {MaxQueued} links are waiting for that, or the executor stops.", isUndone: false, null);
    }

    /// <summary>Finishes what is queued.</summary>
    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread.Join();
        _queue.Dispose();
        _socket.Dispose();
    }

    private void Run()
    {
        foreach (var (index, name, time, gone) in _queue.GetConsumingEnumerable())
        {
            try
            {
                Remove(index, name, Deadline.In(time));
                gone.SetResult();
            }
            catch (Exception failed) when (failed is NetlinkException or InvalidDataException)
            {
                gone.SetException(new WiringException(failed.Message, isUndone: false, failed));
            }
        }
    }
}
