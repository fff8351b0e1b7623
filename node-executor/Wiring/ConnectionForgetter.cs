using System.Collections.Concurrent;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Has the kernel forget the connections of addresses that no pod has any more, on a thread and a socket of its own: it walks its
/// whole table for each, 20 to 40 ms on a machine at rest, which no link's end should wait for. Nor should it wait for those: where pods
/// go without a pause it would never have its turn.</summary>
internal sealed class ConnectionForgetter : IDisposable
{
    private const int MaxQueued = 1000; // As the links.
    private static readonly TimeSpan StopTakes = TimeSpan.FromSeconds(5);

    private readonly NetlinkSocket _socket = NetlinkSocket.Open(Rtnetlink.NETLINK_NETFILTER);
    private readonly BlockingCollection<(Ip Address, TimeSpan Time, Func<bool>? IsFree)> _queue = new(MaxQueued);
    private readonly Action<string>? _notForgotten;
    private readonly Thread _thread;
    private int _passedOver;

    /// <param name="notForgotten">Hears, on one thread, why connections are still tracked.</param>
    /// <exception cref="NetlinkException">No netlink socket.</exception>
    internal ConnectionForgetter(Action<string>? notForgotten)
    {
        _notForgotten = notForgotten;
        _thread = new Thread(Run) { IsBackground = true, Name = "forgetter" };
        _thread.Start();
    }

    /// <summary>Soon.</summary>
    /// <param name="time">For the kernel's answers, from its turn on.</param>
    /// <param name="isFree">Whether the next pod has not got it before its turn; null: it rests for longer than that.</param>
    internal void Forget(Ip address, TimeSpan time, Func<bool>? isFree = null)
    {
        if (!_queue.TryAdd((address, time, isFree)))
        {
            Interlocked.Increment(ref _passedOver);
        }
    }

    /// <summary>Goes on with those that wait for 5 s at most.</summary>
    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread.Join();
        _queue.Dispose();
        _socket.Dispose();
    }

    private void Run()
    {
        Deadline? stop = null;
        foreach (var (address, time, isFree) in _queue.GetConsumingEnumerable())
        {
            if (_queue.IsAddingCompleted && (stop ??= Deadline.In(StopTakes)).Remaining <= TimeSpan.Zero)
            {
                return;
            }

            if (isFree?.Invoke() == false)
            {
                continue;
            }

            try
            {
                Connection.ForgetAllOf(_socket, address, Deadline.In(time));
            }
            catch (Exception failed) when (failed is NetlinkException or InvalidDataException)
            {
                _notForgotten?.Invoke(failed.Message);
            }

            if (Interlocked.Exchange(ref _passedOver, 0) is > 0 and var passedOver)
            {
                _notForgotten?.Invoke($"{passedOver} addresses were passed over, since {MaxQueued} waited");
            }
        }
    }
}
