using System.Runtime.InteropServices;
using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>What the kernel has of one pod, on the host and in the pod's namespace. What others have put there is in it, too.</summary>
/// <param name="Host">The host end; null when there is no link of its name.</param>
/// <param name="HostRoutes">Of table main, by the host end.</param>
/// <param name="HostRules">All rules for one address.</param>
/// <param name="Pod">The pod's end; null when there is no link of its name.</param>
/// <param name="Addresses">Of the pod's end.</param>
/// <param name="PodRoutes">By the pod's end, in the tables that its wiring uses.</param>
/// <param name="PodRules">All of the pod's for one address.</param>
/// <param name="Neighbours">Of every link of the pod.</param>
internal sealed record PodFound(
    Link? Host, IReadOnlyList<Route> HostRoutes, IReadOnlyList<Rule> HostRules,
    Link? Pod, IReadOnlyList<Address> Addresses, IReadOnlyList<Route> PodRoutes, IReadOnlyList<Rule> PodRules, IReadOnlyList<Neighbour> Neighbours)
{
    /// <summary>Reads it, in the calling thread's namespace and the pod's.</summary>
    /// <exception cref="WiringException">The kernel did not answer, or the namespace is none.</exception>
    internal static PodFound Read(PodVeth veth, PodRouting routing, SafeHandle netns, TimeSpan deadline)
    {
        try
        {
            var until = Deadline.In(deadline);
            using var onHost = NetlinkSocket.Open();
            using var inPod = NetlinkSocket.OpenIn(netns);
            var host = Link.Find(onHost, veth.HostVeth, until);
            var pod = Link.Find(inPod, veth.Sandbox.IfName, until);
            return new PodFound(
                host, host is null ? [] : Route.All(onHost, PodWiring.MainTable, until, host.Index), Rule.All(onHost, until),
                pod, pod is null ? [] : Address.All(inPod, pod, until),
                pod is null ? [] : [.. routing.Routes.Select(route => route.Table).Distinct().SelectMany(table => Route.All(inPod, table, until, pod.Index))],
                Rule.All(inPod, until), Neighbour.All(inPod, until));
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException or ObjectDisposedException)
        {
            throw new WiringException($"{veth.Sandbox} ({veth.Pod}) cannot be read back: {failed.Message}", isUndone: true, failed);
        }
    }

    /// <summary>Pure: each thing of a pod's wiring that is missing or changed, named. Nothing for a link that is not there but that.</summary>
    /// <param name="isTableKnown">False: nothing is said of the rule to the interface's table.</param>
    /// <param name="hostMac">That the ADD gave the host end; null: any.</param>
    /// <param name="podMac">That the chain gave the pod's end; null: any.</param>
    internal IEnumerable<string> DifferencesTo(PodWiring wiring, bool isTableKnown, PodRouting routing, MacAddress? hostMac, MacAddress? podMac) =>
        [.. OfLinks(wiring, hostMac, podMac), .. OfHost(wiring, isTableKnown), .. OfPod(wiring, routing, hostMac)];

    private IEnumerable<string> OfLinks(PodWiring wiring, MacAddress? hostMac, MacAddress? podMac)
    {
        var (host, pod) = ($"link {wiring.HostVeth}", $"link {wiring.Sandbox.IfName} in the pod");
        foreach (var wrong in OfLink(Host, host, hostMac).Concat(OfLink(Pod, pod, podMac)))
        {
            yield return wrong;
        }

        if (Host is not null && (!LinkAlias.TryParse(Host.Alias, out var owner) || owner.Sandbox != wiring.Sandbox || owner.Address != wiring.Address))
        {
            yield return $"{host} has the alias '{Host.Alias}', not one of {wiring.Sandbox} with {wiring.Address}";
        }

        if (Host is not null && Pod is not null && (Host.Peer != Pod.Index || Pod.Peer != Host.Index))
        {
            yield return $"{host} and {pod} are not the two ends of one pair";
        }
    }

    private static IEnumerable<string> OfLink(Link? link, string name, MacAddress? mac)
    {
        if (link is null)
        {
            yield return $"{name} is not there";
            yield break;
        }

        if (!link.IsUp)
        {
            yield return $"{name} is down";
        }

        if (mac is not null && link.Mac != mac)
        {
            yield return $"{name} has the address {link.Mac}, not {mac}";
        }
    }

    private IEnumerable<string> OfHost(PodWiring wiring, bool isTableKnown)
    {
        if (Host is not null && !HostRoutes.Contains(wiring.HostRoute with { Link = Host.Index }))
        {
            yield return $"route {wiring.HostRoute} dev {wiring.HostVeth} is missing";
        }

        foreach (var rule in wiring.HostRules.Except(HostRules))
        {
            yield return $"rule {rule} is missing";
        }

        // At our priorities, for our address: a leftover of an older wiring leads what the pod sends, or gets, astray.
        foreach (var rule in HostRules.Except(wiring.HostRules).Where(rule => rule.Priority switch
        {
            PodWiring.ToPodPriority => rule.To == Cidr.Single(wiring.Address),
            PodWiring.FromPodPriority => isTableKnown && rule.From == Cidr.Single(wiring.Address),
            _ => false,
        }))
        {
            yield return $"rule {rule} is one too many";
        }
    }

    private IEnumerable<string> OfPod(PodWiring wiring, PodRouting routing, MacAddress? hostMac)
    {
        if (Pod is null)
        {
            yield break;
        }

        var name = wiring.Sandbox.IfName;
        if (!Addresses.Any(address => address is { PrefixLength: 32 } && address.Ip == wiring.Address))
        {
            yield return $"address {wiring.Address}/32 is not on {name} in the pod";
        }

        foreach (var route in routing.Routes.Where(route => !PodRoutes.Contains(route with { Link = Pod.Index })))
        {
            yield return $"route {route} dev {name} is missing in the pod";
        }

        if (routing.RuleOf(wiring.Address) is { } rule && !PodRules.Contains(rule))
        {
            yield return $"rule {rule} is missing in the pod";
        }

        var gateway = Neighbours.FirstOrDefault(entry => entry.Link == Pod.Index && entry.Ip == routing.Gateway);
        if (gateway is not { IsPermanent: true } || gateway.Mac != (hostMac ?? Host?.Mac))
        {
            yield return $"neighbour {routing.Gateway} dev {name} in the pod is {Named(gateway)}, not permanent {hostMac ?? Host?.Mac}";
        }
    }

    private static string Named(Neighbour? entry) => entry is null ? "missing" : $"{(entry.IsPermanent ? "permanent " : "")}{entry.Mac?.ToString() ?? "unknown"}";
}
