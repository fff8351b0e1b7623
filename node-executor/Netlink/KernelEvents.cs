using AwsVpcCni.NodeExecutor.Linux;
using Microsoft.Win32.SafeHandles;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>Hears from the kernel that links, addresses, routes, rules, switches such as rp_filter, or nftables have changed, in the network
/// namespace of the thread that opens it.</summary>
/// <remarks>What has changed it does not say: who awaits it looks for himself, so a message that is lost in a burst costs nothing. Our own
/// changes are heard too.</remarks>
internal sealed unsafe class KernelEvents : IDisposable
{
    /// <summary>What comes together is told together: a plugin or a restarting daemon changes several things.</summary>
    private static readonly TimeSpan Settles = TimeSpan.FromMilliseconds(100);

    /// <summary>Pods that come and go all the time do not make the looks more frequent than this.</summary>
    internal static readonly TimeSpan Least = TimeSpan.FromSeconds(1);

    private const int StopMilliseconds = 500; // An end is noticed so late.

    private readonly SafeFileHandle[] sockets;
    private readonly TimeProvider time;
    private readonly Thread thread;
    private volatile TaskCompletionSource next = NewNext();
    private volatile bool ends;

    private KernelEvents(SafeFileHandle[] sockets, TimeProvider time)
    {
        (this.sockets, this.time) = (sockets, time);
        thread = new Thread(Run) { IsBackground = true, Name = "kernel-events" };
        thread.Start();
    }

    /// <summary>Ends with the next change. Who takes it before looking misses nothing.</summary>
    internal Task Next => next.Task;

    /// <exception cref="NetlinkException">The kernel refuses.</exception>
    internal static KernelEvents Open(TimeProvider time)
    {
        List<SafeFileHandle> sockets = [Joined(NETLINK_ROUTE, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV4_NETCONF)];
        try
        {
            sockets.Add(Joined(NETLINK_NETFILTER, NFNLGRP_NFTABLES));
        }
        catch (NetlinkException)
        {
            // A kernel without nf_tables has no table to watch.
        }

        return new KernelEvents([.. sockets], time);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ends = true;
        thread.Join();
        Array.ForEach(sockets, socket => socket.Dispose());
    }

    private static TaskCompletionSource NewNext() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static SafeFileHandle Joined(int protocol, params ReadOnlySpan<int> groups)
    {
        var socket = Libc.Socket(Libc.AF_NETLINK, Libc.SOCK_RAW | Libc.SOCK_CLOEXEC, protocol);
        Check(socket.IsInvalid ? -1 : 0, "open a netlink socket for events");
        var address = new NetlinkAddress { Family = Libc.AF_NETLINK }; // One without a port hears nothing that the kernel itself has caused.
        Check(Libc.Bind(socket, &address, sizeof(NetlinkAddress)), "bind a netlink socket for events");
        foreach (var group in groups)
        {
            Check(Libc.SetSockOpt(socket, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(int)), $"join group {group} of netlink protocol {protocol}");
        }

        return socket;
    }

    private void Run()
    {
        while (!ends)
        {
            if (!Wait(StopMilliseconds))
            {
                continue;
            }

            var began = time.GetTimestamp();
            while (Wait((int)Settles.TotalMilliseconds) && time.GetElapsedTime(began) < Least)
            {
                Drain();
            }

            Drain();
            Interlocked.Exchange(ref next, NewNext()).TrySetResult();
            while (!ends && Least - time.GetElapsedTime(began) is { Ticks: > 0 } rest)
            {
                Thread.Sleep(rest); // What comes meanwhile waits in the sockets.
            }
        }
    }

    /// <returns>Whether there is something to read.</returns>
    private bool Wait(int milliseconds)
    {
        var polled = stackalloc PollDescriptor[sockets.Length];
        for (var i = 0; i < sockets.Length; i++)
        {
            polled[i] = new PollDescriptor { Descriptor = (int)sockets[i].DangerousGetHandle(), Events = Libc.POLLIN };
        }

        return Libc.Poll(polled, (nuint)sockets.Length, milliseconds) > 0;
    }

    /// <summary>An overflow (ENOBUFS) is an event like others.</summary>
    private void Drain()
    {
        var nothing = stackalloc byte[1];
        foreach (var socket in sockets)
        {
            while (Libc.ReceiveFrom(socket, nothing, 1, Libc.MSG_DONTWAIT | Libc.MSG_TRUNC, null, null) >= 0 || ErrnoText.Last() is Errno.ENOBUFS or Errno.EINTR)
            {
            }
        }
    }

    private static void Check(int result, string step)
    {
        if (result < 0)
        {
            throw new NetlinkException(step, ErrnoText.Last(), null);
        }
    }
}
