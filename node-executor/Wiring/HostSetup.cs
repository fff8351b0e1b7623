using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>What the node itself needs before its first pod, in the calling thread's network namespace.</summary>
public static class HostSetup
{
    /// <summary>The primary interface's name.</summary>
    /// <param name="primaryMac">As IMDS gives it; case does not matter.</param>
    /// <exception cref="WiringException">There is no such interface, or the kernel does not answer.</exception>
    public static string NameOf(string primaryMac, TimeSpan deadline)
    {
        var until = Deadline.In(deadline);
        return Try(() =>
        {
            using var socket = NetlinkSocket.Open();
            var links = Link.All(socket, until);
            return FindByMac(links, primaryMac)?.Name ?? throw new IOException(
                $"no link has {primaryMac} among {string.Join(", ", links.Select(link => $"{link.Name} {link.Mac}"))}. The executor must run in the host's network namespace.");
        });
    }

    /// <summary>Sets loose reverse-path filtering on the primary interface, since replies to a pod of a secondary interface may come in there, and its MTU.</summary>
    /// <param name="primaryMac">As silos give it; case does not matter.</param>
    /// <param name="mtu">Bytes.</param>
    /// <param name="repairs">Given when it was set up already: what differs now, others have changed.</param>
    /// <returns>Null when no link has its MAC.</returns>
    /// <exception cref="WiringException">The kernel refuses.</exception>
    public static ReadyInterface? Apply(string primaryMac, int mtu, TimeSpan deadline, Repairs? repairs = null)
    {
        var until = Deadline.In(deadline);
        return Try(() =>
        {
            using var socket = NetlinkSocket.Open();
            if (FindByMac(Link.All(socket, until), primaryMac) is not { } primary)
            {
                return null;
            }

            var filter = $"net/ipv4/conf/{primary.Name}/rp_filter";
            if (Sysctl.SetIfPresent(filter, "2"))
            {
                repairs?.Made(RepairKind.Sysctl, $"set {filter} to 2");
            }

            return new ReadyInterface(primary.Name, IsChanged: false) { Refused = SetMtu(socket, primary, mtu, until, repairs) };
        });
    }

    /// <returns>What the kernel says against it; null when it is so.</returns>
    private static string? SetMtu(NetlinkSocket socket, Link primary, int mtu, Deadline until, Repairs? repairs)
    {
        if (primary.Mtu == mtu)
        {
            return null;
        }

        var message = new MessageWriter(stackalloc byte[64]);
        var what = $"set the MTU of {primary.Name} to {mtu}";
        Link.SetMtu(ref message, primary.Index, mtu);
        try
        {
            socket.Execute(message.Written, [what], until);
            repairs?.Made(RepairKind.Link, what);
            return null;
        }
        catch (NetlinkException refused)
        {
            return refused.Message;
        }
    }

    private static T Try<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException($"The node's primary interface cannot be set up: {failed.Message}", isUndone: false, failed);
        }
    }

    private static Link? FindByMac(List<Link> links, string text) =>
        MacAddress.TryParse(text, out var mac) ? Link.WithMac(links, mac) : throw new IOException($"'{text}' is no link-layer address such as 02:ab:00:00:00:01.");
}
