using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>What the node itself needs before its first pod, in the calling thread's network namespace.</summary>
/// <remarks>Forwarding is the image's to switch on: a node that should not forward must be able to say so.</remarks>
public static class HostSetup
{
    /// <summary>Sets the primary interface's MTU, and loose reverse-path filtering on it: replies to a pod of a secondary interface may come in there.</summary>
    /// <param name="primaryMac">As IMDS gives it; case does not matter.</param>
    /// <param name="mtu">Bytes.</param>
    /// <param name="repairs">Given when it was set up already: what differs now, others have changed.</param>
    /// <returns>The interface's name.</returns>
    /// <exception cref="WiringException">There is no such interface, or the kernel refuses.</exception>
    public static string Apply(string primaryMac, int mtu, TimeSpan deadline, Repairs? repairs = null)
    {
        var until = Deadline.In(deadline);
        try
        {
            using var socket = NetlinkSocket.Open();
            var primary = FindByMac(Link.All(socket, until), primaryMac);
            if (primary.Mtu != mtu)
            {
                var message = new MessageWriter(stackalloc byte[64]);
                var what = $"set the MTU of {primary.Name} to {mtu}";
                Link.SetMtu(ref message, primary.Index, mtu);
                socket.Execute(message.Written, [what], until);
                repairs?.Made(RepairKind.Link, what);
            }

            var filter = $"net/ipv4/conf/{primary.Name}/rp_filter";
            if (Sysctl.SetIfPresent(filter, "2"))
            {
                repairs?.Made(RepairKind.Sysctl, $"set {filter} to 2");
            }

            return primary.Name;
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException($"The node's primary interface cannot be set up: {failed.Message}", isUndone: false, failed);
        }
    }

    private static Link FindByMac(List<Link> links, string text)
    {
        if (!MacAddress.TryParse(text, out var mac))
        {
            throw new IOException($"'{text}' is no link-layer address such as 02:ab:00:00:00:01.");
        }

        return Link.WithMac(links, mac)
            ?? throw new IOException(
                $"no link has {text} among {string.Join(", ", links.Select(link => $"{link.Name} {link.Mac}"))}. The executor must run in the host's network namespace.");
    }
}
