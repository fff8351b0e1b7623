using System.Collections.Concurrent;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Deletes links on a thread and a socket of its own: the kernel takes 19 ms for one, which neither a DEL's answer nor
/// another pod's ADD should wait for.</summary>
internal sealed class LinkRemover : IDisposable
{
    private const int MaxQueued = 1000; // As many as a node has pods, and some.

    private readonly NetlinkSocket _socket = NetlinkSocket.Open();
    private readonly BlockingCollection<(int? Index, string Name, Ip? Address, TimeSpan Time, TaskCompletionSource Gone)> _queue = new(MaxQueued);
    private readonly ConnectionForgetter _connections;
    private readonly Thread _thread;

    /// <param name="notForgotten">Hears why connections are still tracked: that keeps no address from its rest.</param>
    /// <exception cref="NetlinkException">No netlink socket.</exception>
    internal LinkRemover(Action<string>? notForgotten)
    {
        _connections = new ConnectionForgetter(notForgotten);
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

    /// <summary>Deletes a link soon; the task ends when the kernel has confirmed it. Then the connections of its address are forgotten: what others
    /// send to a port of the host must not go on to where the pod was.</summary>
    /// <param name="index">Null: there is no link any more.</param>
    /// <param name="address">Null: it had none.</param>
    /// <param name="time">For the kernel's answer, from its turn on.</param>
    /// <exception cref="WiringException">Too many are waiting, or this is disposed.</exception>
    internal Task RemoveAsync(int? index, string name, Ip? address, TimeSpan time)
    {
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return !_queue.IsAddingCompleted && _queue.TryAdd((index, name, address, time, gone))
            ? gone.Task
            : throw new WiringException($"{name} cannot be removed: {MaxQueued} links are waiting for that, or the executor stops.", isUndone: false, null);
    }

    /// <inheritdoc cref="ConnectionForgetter.Forget"/>
    internal void Forget(Ip address, Func<bool> isFree, TimeSpan time) => _connections.Forget(address, time, isFree);

    /// <summary>Deletes the links that are queued, and has their connections forgotten.</summary>
    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread.Join();
        _queue.Dispose();
        _connections.Dispose();
        _socket.Dispose();
    }

    private void Run()
    {
        foreach (var (index, name, address, time, gone) in _queue.GetConsumingEnumerable())
        {
            try
            {
                if (index is { } link)
                {
                    Remove(link, name, Deadline.In(time));
                }
            }
            catch (Exception failed) when (failed is NetlinkException or InvalidDataException)
            {
                gone.SetException(new WiringException(failed.Message, isUndone: false, failed));
                continue;
            }

            gone.SetResult();
            if (address is { } had)
            {
                _connections.Forget(had, time);
            }
        }
    }
}
