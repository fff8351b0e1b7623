using System.Collections.Concurrent;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Deletes links, and has connections forgotten, on a thread and sockets of its own: the kernel takes 19 ms for a link, which neither a
/// DEL's answer nor another pod's ADD should wait for.</summary>
internal sealed class LinkRemover : IDisposable
{
    private const int MaxQueued = 1000; // As many as a node has pods, and some.
    private static readonly TimeSpan StopTakes = TimeSpan.FromSeconds(5); // For connections; the links are all deleted.

    private readonly NetlinkSocket _socket;
    private readonly NetlinkSocket _connections;
    private readonly Action<string>? _notForgotten;
    private readonly BlockingCollection<(int? Index, string Name, Ip? Address, TimeSpan Time, TaskCompletionSource Gone)> _queue = new(MaxQueued);
    private readonly Thread _thread;

    /// <param name="notForgotten">Hears why connections are still tracked: that keeps no address from its rest.</param>
    /// <exception cref="NetlinkException">No netlink socket.</exception>
    internal LinkRemover(Action<string>? notForgotten)
    {
        _notForgotten = notForgotten;
        (_socket, _connections) = (NetlinkSocket.Open(), NetlinkSocket.Open(Rtnetlink.NETLINK_NETFILTER));
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

    /// <summary>Deletes the links that are queued, and has connections forgotten for 5 s at most.</summary>
    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread.Join();
        _queue.Dispose();
        _socket.Dispose();
        _connections.Dispose();
    }

    /// <summary>Links first: the kernel walks its whole table to list connections, 10 to 20 ms on a machine at rest. The address rests meanwhile.</summary>
    private void Run()
    {
        var left = new Queue<(Ip Address, TimeSpan Time)>();
        Deadline? stop = null;
        while (!_queue.IsCompleted || (left.Count > 0 && (stop ??= Deadline.In(StopTakes)).Remaining > TimeSpan.Zero))
        {
            if (_queue.TryTake(out var next, left.Count > 0 ? TimeSpan.Zero : Timeout.InfiniteTimeSpan))
            {
                var (index, name, address, time, gone) = next;
                if (!TryRemove(index, name, time, gone))
                {
                    continue;
                }

                gone.SetResult();
                if (address is { } forgotten && left.Count < MaxQueued)
                {
                    left.Enqueue((forgotten, time));
                }
                else if (address is not null)
                {
                    _notForgotten?.Invoke($"{MaxQueued} addresses wait for it");
                }
            }
            else if (left.TryDequeue(out var rests))
            {
                Forget(rests.Address, Deadline.In(rests.Time));
            }
        }
    }

    private bool TryRemove(int? index, string name, TimeSpan time, TaskCompletionSource gone)
    {
        try
        {
            if (index is { } link)
            {
                Remove(link, name, Deadline.In(time));
            }

            return true;
        }
        catch (Exception failed) when (failed is NetlinkException or InvalidDataException)
        {
            gone.SetException(new WiringException(failed.Message, isUndone: false, failed));
            return false;
        }
    }

    private void Forget(Ip address, Deadline until)
    {
        try
        {
            Connection.ForgetAllOf(_connections, address, until);
        }
        catch (Exception failed) when (failed is NetlinkException or InvalidDataException)
        {
            _notForgotten?.Invoke(failed.Message);
        }
    }
}
