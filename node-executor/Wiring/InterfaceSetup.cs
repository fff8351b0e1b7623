using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Makes a secondary interface ready for pods, and takes it out of use, in the calling thread's network namespace.</summary>
/// <remarks>Reads what is there and changes only what differs. So it may be killed between any two changes, and be called at any time
/// for an interface that carries traffic. One call at a time for one interface.</remarks>
public static class InterfaceSetup
{
    private const int StepBytes = 320; // The longest is an alias, of 292.

    /// <summary>What the interface has to have: <see cref="InterfaceLayout"/>.</summary>
    /// <param name="order">Of an interface that is not the primary one.</param>
    /// <param name="mtu">Bytes.</param>
    /// <param name="repairs">Given when it was set up as ordered already: what differs now, others have changed.</param>
    /// <returns>Null when no link has its MAC: EC2 has not attached it yet, or has detached it.</returns>
    /// <exception cref="WiringException">The kernel refuses. What was done stays, and the next call goes on from there.</exception>
    public static ReadyInterface? Apply(InterfaceOrder order, int mtu, TimeSpan deadline, Repairs? repairs = null)
    {
        ArgumentNullException.ThrowIfNull(order);
        return Try(order, "set up", () =>
        {
            var until = Deadline.In(deadline);
            var layout = InterfaceLayout.Of(order);
            using var socket = NetlinkSocket.Open();
            if (FindLink(socket, order, until) is not { } link)
            {
                return null;
            }

            var steps = layout.StepsTo(Read(socket, link, layout, until), mtu);
            if (steps.Count == 0)
            {
                return new ReadyInterface(link.Name, IsChanged: false);
            }

            var refused = TryExecute(socket, steps, until);
            if (FindLink(socket, order, until) is not { } after)
            {
                return null;
            }

            // The kernel, not our arithmetic, says that it is ready; and another program may be configuring the same link.
            var left = layout.StepsTo(Read(socket, after, layout, until), mtu);
            var done = steps.Where(step => left.All(other => other.What != step.What)).ToList();
            done.ForEach(step => repairs?.Made(step.Kind, step.What));
            return left.Find(step => refused is null || !step.MayBeRefused) is { } missing
                ? throw (Exception?)refused ?? new IOException($"after all changes it is still necessary to {missing.What}. Does another program, such as a DHCP client, configure {after.Name}?")
                : new ReadyInterface(after.Name, IsChanged: done.Count > 0) { Refused = left.Count > 0 ? refused?.Message : null };
        });
    }

    /// <summary>Takes the interface's rule and routes away. Nothing there is success, with or without its link.</summary>
    /// <exception cref="WiringException">The kernel refuses; the call may be repeated.</exception>
    public static void Remove(InterfaceOrder order, TimeSpan deadline)
    {
        ArgumentNullException.ThrowIfNull(order);
        Try(order, "taken out of use", () =>
        {
            var until = Deadline.In(deadline);
            var layout = InterfaceLayout.Of(order);
            using var socket = NetlinkSocket.Open();
            var link = FindLink(socket, order, until);
            var routes = link is null ? [] : Route.All(socket, layout.Table, until, link.Index);
            var steps = layout.StepsBack(link, routes, Rule.All(socket, until));
            if (steps.Count > 0)
            {
                Execute(socket, steps, until);
            }

            return steps;
        });
    }

    private static Link? FindLink(NetlinkSocket socket, InterfaceOrder order, Deadline until) =>
        MacAddress.TryParse(order.Mac, out var mac) ? Link.WithMac(Link.All(socket, until), mac)
            : throw new IOException($"'{order.Mac}' is no link-layer address such as 02:ab:00:00:00:01.");

    private static InterfaceFound Read(NetlinkSocket socket, Link link, InterfaceLayout layout, Deadline until) => new(
        link,
        Address.All(socket, link, until),
        [.. Route.All(socket, layout.Table, until, link.Index), .. Route.All(socket, PodWiring.MainTable, until, link.Index)],
        Rule.All(socket, until));

    /// <returns>The first refusal; what came after it was tried none the less.</returns>
    private static NetlinkException? TryExecute(NetlinkSocket socket, List<InterfaceStep> steps, Deadline until)
    {
        try
        {
            Execute(socket, steps, until);
            return null;
        }
        catch (NetlinkException refused)
        {
            return refused;
        }
    }

    internal static void Execute(NetlinkSocket socket, List<InterfaceStep> steps, Deadline until)
    {
        var message = new MessageWriter(new byte[steps.Count * StepBytes]);
        foreach (var step in steps)
        {
            step.Write(ref message);
        }

        socket.Execute(
            message.Written,
            [.. steps.Select(step => step.What)],
            until,
            Errno.EEXIST, Errno.ENOENT, // The rule is there, or gone, already.
            Errno.ESRCH, Errno.EADDRNOTAVAIL); // The route went with its address; the address with another of its subnet.
    }

    private static T Try<T>(InterfaceOrder order, string what, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException or ArgumentException)
        {
            throw new WiringException($"{order.EniId} ({order.Mac}, device {order.DeviceIndex} of card {order.NetworkCard}) cannot be {what}: {failed.Message}", isUndone: false, failed);
        }
    }
}

/// <summary>An interface that pods can use.</summary>
/// <param name="Name">Its link's.</param>
/// <param name="IsChanged">False: it was so before.</param>
public sealed record ReadyInterface(string Name, bool IsChanged)
{
    /// <summary>What the kernel says against the MTU, without which pods do; null for nothing.</summary>
    public string? Refused { get; init; }
}
