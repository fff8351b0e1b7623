using System.Runtime.InteropServices;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Makes a <see cref="PodWiring"/> so, and undoes it, in the network namespace of the thread that creates it.</summary>
/// <remarks>Any thread of that namespace may call, for different sandboxes at once. The order of ADD and DEL of one sandbox is the
/// caller's, and so is that an address is on one sandbox at a time.</remarks>
public sealed class Wirer : IWirer, IDisposable
{
    private const int CreateAttempts = 3; // Two displaced links in a row are already more than a runtime can produce.
    private const int BufferBytes = 1024; // The largest batch, the host's with a full alias, has about 600 bytes.

    private static readonly TimeSpan UndoTime = TimeSpan.FromSeconds(5); // The kernel takes 20 ms; more only when it is stuck.

    private readonly Lock[] _pods = [.. Enumerable.Range(0, 64).Select(_ => new Lock())]; // By the container's hash: pods that share one wait for some messages of the other.
    private readonly string _vethPrefix;
    private readonly NetlinkSocket _host;
    private readonly LinkRemover _remover;

    /// <summary>Opens the sockets and starts the thread that removes links.</summary>
    /// <param name="vethPrefix">Of the host ends' names.</param>
    /// <param name="notForgotten">Hears why connections of a pod that is gone are still tracked.</param>
    /// <exception cref="WiringException">No netlink socket: no permission, or a kernel before 4.20.</exception>
    public Wirer(string vethPrefix = VethName.DefaultPrefix, Action<string>? notForgotten = null)
    {
        _vethPrefix = vethPrefix;
        try
        {
            _host = NetlinkSocket.Open();
            _remover = new LinkRemover(notForgotten);
        }
        catch (NetlinkException refused)
        {
            throw new WiringException($"The executor cannot talk to the kernel: {refused.Message}", isUndone: true, refused);
        }
    }

    /// <summary>Makes a pod's pair of links, up, with all in the pod that needs no address: beside the question for one.</summary>
    /// <remarks>Nothing is displaced for it: whoever has the name keeps it until the newcomer has an address.</remarks>
    /// <returns>For <see cref="Wire"/> or <see cref="DiscardAsync"/>. Null when it cannot be made; then <see cref="Wire"/> says why, or finds a way.</returns>
    public VethPair? TryMake(PodVeth veth, SafeHandle netns, TimeSpan deadline)
    {
        try
        {
            return Make(veth, netns, mayDisplace: false, Deadline.In(deadline));
        }
        catch (WiringException)
        {
            return null; // Its link without an alias is ours, so Wire may remove what could not be undone.
        }
    }

    /// <inheritdoc/>
    /// <remarks>On a pool thread: the kernel may take its time.</remarks>
    public Task<IPodPair?> MakeAsync(PodVeth veth, SafeHandle netns, TimeSpan deadline) => Task.Run(() => (IPodPair?)TryMake(veth, netns, deadline));

    /// <inheritdoc/>
    /// <remarks>By the remover's thread: many ADDs can end at once, and none should hold a pool thread for the kernel's 19 ms.</remarks>
    public async Task DiscardAsync(IPodPair pair, TimeSpan deadline)
    {
        using var made = (VethPair)pair;
        await _remover.RemoveAsync(made.HostIndex, made.Veth.HostVeth, null, deadline); // The kernel does not give the index to a later link of the name.
    }

    /// <summary>Wires a pod. When it throws, what it did is undone, but for <see cref="WiringException.IsUndone"/> = false.</summary>
    /// <param name="netns">The pod's network namespace, open.</param>
    /// <param name="deadline">For the kernel's answers.</param>
    /// <param name="made">Its pair, when that is there; it is used up, whatever comes.</param>
    /// <exception cref="WiringException">What failed, in the kernel's words.</exception>
    public WiredPod Wire(PodWiring wiring, SafeHandle netns, TimeSpan deadline, IPodPair? made = null)
    {
        var until = Deadline.In(deadline);
        using var pair = (VethPair?)made ?? Make(wiring.Veth, netns, mayDisplace: true, until);
        try
        {
            // The alias comes first: with the route the address is in use, and the alias says whose it is.
            var host = new MessageWriter(stackalloc byte[BufferBytes]);
            Link.SetAlias(ref host, pair.HostIndex, wiring.Alias.ToString());
            wiring.HostRoute.Replace(ref host, pair.HostIndex);
            foreach (var hostRule in wiring.HostRules)
            {
                hostRule.Add(ref host);
            }

            _host.Execute(
                host.Written,
                [
                    $"set the alias of {wiring.HostVeth}", $"add route {wiring.HostRoute} dev {wiring.HostVeth}",
                    .. wiring.HostRules.Select(rule => $"add rule {rule}"),
                ],
                until,
                Errno.EEXIST); // Only rules say it: the same rule is there already.

            var pod = new MessageWriter(stackalloc byte[BufferBytes]);
            new Address(wiring.Address, 32).Replace(ref pod, pair.PodIndex);
            pair.Pod.Execute(pod.Written, [$"add address {wiring.Address} to {wiring.Sandbox.IfName} in the pod"], until);
            if (pair.Routing.RuleOf(wiring.Address) is { } rule)
            {
                PodRules.Replace(pair.Pod, rule, until);
            }

            return new WiredPod(wiring.HostVeth, pair.HostMac.ToString(), pair.PodMac.ToString(), pair.Displaced) { Routing = pair.Routing };
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException or ObjectDisposedException)
        {
            throw new WiringException(
                $"{wiring.Sandbox} ({wiring.Pod}) cannot be wired: {failed.Message}", TryRemove(wiring.Veth, pair.HostMac, wiring.Address), failed);
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

            return link is null && wired.Address is null ? Task.CompletedTask : _remover.RemoveAsync(link?.Index, link?.Name ?? $"{wired.Address}", wired.Address, deadline);
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException(
                $"{wired.HostVeth ?? "rules"} of {wired.Sandbox?.ToString() ?? "an unknown sandbox"} cannot be removed: {failed.Message}", isUndone: false, failed);
        }
    }

    /// <summary>Has the kernel forget the connections of an address that no pod has, soon.</summary>
    /// <param name="isFree">Asked when its turn comes, on another thread: no pod has it still.</param>
    internal void Forget(Ip address, Func<bool> isFree, TimeSpan deadline) => _remover.Forget(address, isFree, deadline);

    /// <summary>Says on a link again whose it is, after others have changed that.</summary>
    /// <param name="since">Now, UTC.</param>
    /// <exception cref="WiringException">The kernel refuses. A link that is gone is no error.</exception>
    public void Name(WiredSandbox wired, DateTimeOffset since, TimeSpan deadline)
    {
        var until = Deadline.In(deadline);
        try
        {
            if (Link.Find(_host, wired.HostVeth!, until) is { } link)
            {
                var message = new MessageWriter(stackalloc byte[BufferBytes]);
                Link.SetAlias(ref message, link.Index, new LinkAlias(wired.Sandbox!.Value, wired.Address!.Value, since, wired.Pod).ToString());
                _host.Execute(message.Written, [$"set the alias of {link.Name}"], until, Errno.ENODEV);
            }
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException($"{wired.HostVeth} of {wired.Sandbox} cannot be named: {failed.Message}", isUndone: true, failed);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<WiredSandbox> Read(TimeSpan deadline) => Inventory.Read(deadline, _vethPrefix);

    /// <inheritdoc/>
    public bool HasLink(string name, TimeSpan deadline)
    {
        try
        {
            return Link.Find(_host, name, Deadline.In(deadline)) is not null;
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException($"Link {name} cannot be looked up: {failed.Message}", isUndone: true, failed);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _remover.Dispose();
        _host.Dispose();
    }

    /// <exception cref="WiringException">A name is taken, or the kernel refuses; what was made is gone again.</exception>
    private VethPair Make(PodVeth veth, SafeHandle netns, bool mayDisplace, Deadline until)
    {
        var mac = veth.HostMac ?? MacAddress.NewLocal(); // Ours, set at creation: udev gives its own only to a link with a random one of the kernel's.
        NetlinkSocket? pod = null;
        var (isHeld, isBegun) = (false, false);
        try
        {
            netns.DangerousAddRef(ref isHeld);
            pod = NetlinkSocket.OpenIn(netns);
            isBegun = true;
            var displaced = CreateVeth(veth, netns, mac, pod, mayDisplace, until);
            var host = Link.Find(_host, veth.HostVeth, until);
            var inPod = Link.Find(pod, veth.Sandbox.IfName, until);
            if (host is null || host.Mac != mac || inPod is null)
            {
                throw new IOException($"{veth.HostVeth} has vanished: the pod's network namespace is gone, or a pod of the same name came after it");
            }

            SetUpHost(veth, host.Index, until);
            PodRouting routing;
            lock (_pods[(uint)veth.Sandbox.ContainerId.GetHashCode(StringComparison.Ordinal) % (uint)_pods.Length]) // Another interface of the pod reads what this one writes.
            {
                routing = PodRouting.For(veth.Sandbox.IfName, Route.All(pod, PodWiring.MainTable, until)) ?? throw new IOException("the pod has too many interfaces of ours");
                SetUpPod(veth, pod, inPod.Index, mac, routing, until);
            }

            return new VethPair(veth, mac, host.Index, pod, inPod.Mac!.Value, inPod.Index, routing, displaced);
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException or ObjectDisposedException)
        {
            pod?.Dispose();
            throw new WiringException($"{veth.Sandbox} ({veth.Pod}) cannot be wired: {failed.Message}", !isBegun || TryRemove(veth, mac), failed);
        }
        finally
        {
            if (isHeld)
            {
                netns.DangerousRelease();
            }
        }
    }

    /// <summary>Creates the pair; a link that already has the host end's name goes first, if it may.</summary>
    /// <remarks>A pod of the same name whose DEL has not come yet (force-deleted, recreated) loses its link. The newcomer could take
    /// another name instead, but policy engines find a pod by this one, and two pods of one StatefulSet identity should not both
    /// be reachable. The old sandbox's DEL then finds a link that is not its own, and takes only its rules away.</remarks>
    /// <returns>The sandbox whose link was removed, if it was another one.</returns>
    private SandboxKey? CreateVeth(PodVeth veth, SafeHandle netns, MacAddress mac, NetlinkSocket pod, bool mayDisplace, Deadline until)
    {
        SandboxKey? displaced = null;
        Span<byte> buffer = stackalloc byte[BufferBytes];
        for (var attempt = 1; ; attempt++)
        {
            var message = new MessageWriter(buffer);
            Link.CreateVeth(ref message, veth.HostVeth, mac, veth.Sandbox.IfName, netns, veth.Mtu);
            try
            {
                _host.Execute(message.Written, [$"create link {veth.HostVeth} with its other end {veth.Sandbox.IfName} in the pod"], until);
                return displaced;
            }
            catch (NetlinkException exists) when (exists.Errno == Errno.EEXIST && mayDisplace && attempt < CreateAttempts)
            {
                if (Link.Find(_host, veth.HostVeth, until) is { } old)
                {
                    if (!Inventory.IsOurs(old, _vethPrefix))
                    {
                        throw new IOException($"link {old.Name} (kind '{old.Kind}', alias '{old.Alias}') is not ours and has the name that this pod needs. Delete it", exists);
                    }

                    _remover.Remove(old.Index, old.Name, until);
                    displaced = LinkAlias.TryParse(old.Alias, out var owner) && owner.Sandbox != veth.Sandbox ? owner.Sandbox : displaced;
                }
                else if (Link.Find(pod, veth.Sandbox.IfName, until) is not null)
                {
                    throw new IOException($"the pod's network namespace already has an interface {veth.Sandbox.IfName}", exists);
                }
            }
        }
    }

    private void SetUpHost(PodVeth veth, int link, Deadline until)
    {
        // Before it is up: router advertisements from a pod are not to be believed. Values of amazon-vpc-cni-k8s.
        Sysctl.SetIfPresent($"net/ipv6/conf/{veth.HostVeth}/accept_ra", "0");
        Sysctl.SetIfPresent($"net/ipv6/conf/{veth.HostVeth}/accept_redirects", "1");
        Sysctl.SetIfPresent($"net/ipv6/conf/{veth.HostVeth}/forwarding", "0");

        var message = new MessageWriter(stackalloc byte[BufferBytes]);
        Link.SetUp(ref message, link);
        _host.Execute(message.Written, [$"set {veth.HostVeth} up"], until);
    }

    private static void SetUpPod(PodVeth veth, NetlinkSocket pod, int link, MacAddress hostMac, PodRouting routing, Deadline until)
    {
        var message = new MessageWriter(stackalloc byte[BufferBytes]);
        Link.SetUp(ref message, link);
        foreach (var route in routing.Routes)
        {
            route.Replace(ref message, link);
        }

        Neighbour.ReplacePermanent(ref message, routing.Gateway, hostMac, link);
        var name = veth.Sandbox.IfName;
        pod.Execute(
            message.Written,
            [
                $"set {name} up in the pod", .. routing.Routes.Select(route => $"add route {route} dev {name} in the pod"),
                $"add neighbour {routing.Gateway} {hostMac} in the pod",
            ],
            until);
    }

    /// <summary>Removes what a failed wiring has made. The random address tells its link from a later one of the same name.</summary>
    /// <param name="address">Null when no rule and no route can be there.</param>
    /// <returns>False when the kernel refused that too.</returns>
    private bool TryRemove(PodVeth veth, MacAddress mac, Ip? address = null)
    {
        var until = Deadline.In(UndoTime);
        try
        {
            var link = Link.Find(_host, veth.HostVeth, until);
            link = link?.Mac == mac ? link : null;
            if (address is { } routed)
            {
                RemoveRules(routed, link, until);
            }

            if (link is not null)
            {
                _remover.Remove(link.Index, link.Name, until);
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

    private bool BelongsTo(WiredSandbox wired, Link link) =>
        Inventory.IsOurs(link, _vethPrefix) &&
        (LinkAlias.TryParse(link.Alias, out var owner) ? owner.Sandbox == wired.Sandbox : wired.Sandbox is null || wired.MayLackAlias);
}
