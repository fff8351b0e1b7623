using System.Runtime.InteropServices;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Makes a <see cref="PodWiring"/> so, and undoes it, in the network namespace of the thread that creates it.</summary>
/// <remarks>Any thread of that namespace may call, for different sandboxes at once. The order of ADD and DEL of one sandbox is the
/// caller's, and so is that an address is on one sandbox at a time.</remarks>
public sealed class Wirer : IDisposable
{
    private const int CreateAttempts = 3; // Two displaced links in a row are already more than a runtime can produce.
    private const int BufferBytes = 1024; // The largest batch, the host's with a full alias, has about 600 bytes.

    private static readonly TimeSpan UndoTime = TimeSpan.FromSeconds(5); // The kernel takes 20 ms; more only when it is stuck.

    private readonly NetlinkSocket _host;
    private readonly LinkRemover _remover;

    /// <summary>Opens the sockets and starts the thread that removes links.</summary>
    /// <exception cref="WiringException">No netlink socket: no permission, or a kernel before 4.20.</exception>
    public Wirer()
    {
        try
        {
            _host = NetlinkSocket.Open();
            _remover = new LinkRemover(NetlinkSocket.Open());
        }
        catch (NetlinkException refused)
        {
            throw new WiringException($"The executor cannot talk to the kernel: {refused.Message}", isUndone: true, refused);
        }
    }

    /// <summary>Wires a pod. When it throws, what it did is undone, but for <see cref="WiringException.IsUndone"/> = false.</summary>
    /// <param name="netns">The pod's network namespace, open.</param>
    /// <param name="deadline">For the kernel's answers.</param>
    /// <exception cref="WiringException">What failed, in the kernel's words.</exception>
    public WiredPod Wire(PodWiring wiring, SafeHandle netns, TimeSpan deadline)
    {
        var until = Deadline.In(deadline);
        var mac = MacAddress.NewLocal(); // Ours, set at creation: udev gives its own only to a link with a random one of the kernel's.
        var hasRules = false;
        var isHeld = false;
        try
        {
            netns.DangerousAddRef(ref isHeld);
            using var pod = NetlinkSocket.OpenIn(netns);
            var displaced = CreateVeth(wiring, netns, mac, pod, until);
            var host = Link.Find(_host, wiring.HostVeth, until);
            var inPod = Link.Find(pod, wiring.Sandbox.IfName, until);
            if (host is null || host.Mac != mac || inPod is null)
            {
                throw new IOException($"{wiring.HostVeth} has vanished: the pod's network namespace is gone, or a pod of the same name came after it");
            }

            hasRules = true;
            WireHost(wiring, host.Index, until);
            WirePod(wiring, pod, inPod.Index, mac, until);
            return new WiredPod(wiring.HostVeth, mac.ToString(), inPod.Mac.ToString()!, displaced);
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException or ObjectDisposedException)
        {
            throw new WiringException($"{wiring.Sandbox} ({wiring.Pod}) cannot be wired: {failed.Message}", Undo(wiring, mac, hasRules), failed);
        }
        finally
        {
            if (isHeld)
            {
                netns.DangerousRelease();
            }
        }
    }

    /// <summary>Takes a sandbox's rules and route away at once, and its link soon. Nothing there is success.</summary>
    /// <remarks>Only a link that names the same owner is touched. While another link has the address it fails: the address is in use.</remarks>
    /// <returns>Ends when the kernel has confirmed that the link is gone: the address rests from then on. Fails with
    /// <see cref="WiringException"/> when it has not; the call may be repeated.</returns>
    /// <exception cref="WiringException">Rules and route are still there; the call may be repeated.</exception>
    public Task Unwire(WiredSandbox wired, TimeSpan deadline)
    {
        var until = Deadline.In(deadline);
        try
        {
            var link = wired.HostVeth is null ? null : Link.Find(_host, wired.HostVeth, until);
            if (link is not null && !BelongsTo(wired, link))
            {
                link = null; // A pod of the same name, with a container of its own.
            }

            if (wired.Address is { } address)
            {
                RemoveRules(address, link, until);
            }

            return link is null ? Task.CompletedTask : _remover.RemoveAsync(link, deadline);
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException(
                $"{wired.HostVeth ?? "rules"} of {wired.Sandbox?.ToString() ?? "an unknown sandbox"} cannot be removed: {failed.Message}", isUndone: false, failed);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _remover.Dispose();
        _host.Dispose();
    }

    /// <summary>Creates the pair; a link that already has the host end's name goes first.</summary>
    /// <remarks>A pod of the same name whose DEL has not come yet (force-deleted, recreated) loses its link. The newcomer could take
    /// another name instead, but policy engines find a pod by this one, and two pods of one StatefulSet identity should not both
    /// be reachable. The old sandbox's DEL then finds a link that is not its own, and takes only its rules away.</remarks>
    /// <returns>The sandbox whose link was removed, if it was another one.</returns>
    private SandboxKey? CreateVeth(PodWiring wiring, SafeHandle netns, MacAddress mac, NetlinkSocket pod, Deadline until)
    {
        SandboxKey? displaced = null;
        Span<byte> buffer = stackalloc byte[BufferBytes];
        for (var attempt = 1; ; attempt++)
        {
            var message = new MessageWriter(buffer);
            Link.CreateVeth(ref message, wiring.HostVeth, mac, wiring.Sandbox.IfName, netns, wiring.Mtu);
            try
            {
                _host.Execute(message.Written, [$"create link {wiring.HostVeth} with its other end {wiring.Sandbox.IfName} in the pod"], until);
                return displaced;
            }
            catch (NetlinkException exists) when (exists.Errno == Errno.EEXIST && attempt < CreateAttempts)
            {
                if (Link.Find(_host, wiring.HostVeth, until) is { } old)
                {
                    if (!Inventory.IsOurs(old))
                    {
                        throw new IOException($"link {old.Name} (kind '{old.Kind}', alias '{old.Alias}') is not ours and has the name that this pod needs. Delete it", exists);
                    }

                    _remover.Remove(old, until);
                    displaced = LinkAlias.TryParse(old.Alias, out var owner) && owner.Sandbox != wiring.Sandbox ? owner.Sandbox : displaced;
                }
                else if (Link.Find(pod, wiring.Sandbox.IfName, until) is not null)
                {
                    throw new IOException($"the pod's network namespace already has an interface {wiring.Sandbox.IfName}", exists);
                }
            }
        }
    }

    private void WireHost(PodWiring wiring, int link, Deadline until)
    {
        // Before it is up: router advertisements from a pod are not to be believed. Values of amazon-vpc-cni-k8s.
        Sysctl.SetIfPresent($"net/ipv6/conf/{wiring.HostVeth}/accept_ra", "0");
        Sysctl.SetIfPresent($"net/ipv6/conf/{wiring.HostVeth}/accept_redirects", "1");
        Sysctl.SetIfPresent($"net/ipv6/conf/{wiring.HostVeth}/forwarding", "0");

        var message = new MessageWriter(stackalloc byte[BufferBytes]);
        Link.SetAlias(ref message, link, wiring.Alias.ToString()); // First: with the route the address is in use, and the alias says whose it is.
        Link.SetUp(ref message, link);
        wiring.HostRoute.Replace(ref message, link);
        foreach (var rule in wiring.HostRules)
        {
            rule.Add(ref message);
        }

        _host.Execute(
            message.Written,
            [
                $"set the alias of {wiring.HostVeth}", $"set {wiring.HostVeth} up", $"add route {wiring.HostRoute} dev {wiring.HostVeth}",
                .. wiring.HostRules.Select(rule => $"add rule {rule}"),
            ],
            until,
            Errno.EEXIST); // Only rules say it: the same rule is there already.
    }

    private static void WirePod(PodWiring wiring, NetlinkSocket pod, int link, MacAddress hostMac, Deadline until)
    {
        var message = new MessageWriter(stackalloc byte[BufferBytes]);
        Link.SetUp(ref message, link);
        foreach (var route in PodWiring.PodRoutes)
        {
            route.Replace(ref message, link);
        }

        new Address(wiring.Address, 32).Replace(ref message, link);
        Neighbour.ReplacePermanent(ref message, PodWiring.Gateway, hostMac, link);
        var name = wiring.Sandbox.IfName;
        pod.Execute(
            message.Written,
            [
                $"set {name} up in the pod", .. PodWiring.PodRoutes.Select(route => $"add route {route} dev {name} in the pod"),
                $"add address {wiring.Address} to {name} in the pod", $"add neighbour {PodWiring.Gateway} {hostMac} in the pod",
            ],
            until);
    }

    /// <summary>Removes what a failed <see cref="Wire"/> has made. The random address tells its link from a later one of the same name.</summary>
    /// <returns>False when the kernel refused that too.</returns>
    private bool Undo(PodWiring wiring, MacAddress mac, bool hasRules)
    {
        var until = Deadline.In(UndoTime);
        try
        {
            var link = Link.Find(_host, wiring.HostVeth, until);
            link = link?.Mac == mac ? link : null;
            if (hasRules)
            {
                RemoveRules(wiring.Address, link, until);
            }

            if (link is not null)
            {
                _remover.Remove(link, until);
            }

            return true;
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            return false; // The caller's exception tells the first cause; this one tells only that the address stays held.
        }
    }

    private void RemoveRules(Ip address, Link? link, Deadline until)
    {
        var toPod = new Route(new Cidr(address, 32), null, PodWiring.MainTable);
        var used = Route.Lookup(_host, address, until);
        if (used is not null && used.Destination == toPod.Destination && used.Table == PodWiring.MainTable && used.Link != link?.Index)
        {
            throw new IOException($"{address} is routed to link {used.Link}, which is not the sandbox's. Delete that link if nothing uses it");
        }

        // A second rule for another table would be a leftover of an older wiring; a deletion takes one at a time.
        Rule[] rules =
        [
            new Rule(PodWiring.ToPodPriority, null, address, PodWiring.MainTable),
            new Rule(PodWiring.FromPodPriority, address, null, Rtnetlink.RT_TABLE_UNSPEC),
            new Rule(PodWiring.FromPodPriority, address, null, Rtnetlink.RT_TABLE_UNSPEC),
        ];
        var message = new MessageWriter(stackalloc byte[BufferBytes]);
        foreach (var rule in rules)
        {
            rule.Delete(ref message);
        }

        if (link is null)
        {
            _host.Execute(message.Written, [.. rules.Select(rule => $"delete rule {rule}")], until, Errno.ENOENT);
            return;
        }

        toPod.Delete(ref message, link.Index);
        _host.Execute(
            message.Written,
            [.. rules.Select(rule => $"delete rule {rule}"), $"delete route {toPod} dev {link.Name}"],
            until,
            Errno.ENOENT, Errno.ESRCH, Errno.ENODEV); // Already gone: the rule, the route, the link with its namespace.
    }

    private static bool BelongsTo(WiredSandbox wired, Link link) =>
        Inventory.IsOurs(link) &&
        (LinkAlias.TryParse(link.Alias, out var owner) ? owner.Sandbox == wired.Sandbox : wired.Sandbox is null || wired.MayLackAlias);
}
