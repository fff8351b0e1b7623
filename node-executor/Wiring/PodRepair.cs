using AwsVpcCni.Core.Addressing;
using AwsVpcCni.Core.Contracts;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>The host's half of all pods' wiring as the kernel has it, and what puts one pod's right.</summary>
/// <remarks>What is inside a pod's namespace is the pod's and its other plugins'; CHECK tells of it.</remarks>
internal sealed record PodsFound(IReadOnlyList<Link> Links, IReadOnlyList<Route> Routes, IReadOnlyList<Rule> Rules)
{
    // Read once, asked for each pod of the node.
    private readonly ILookup<SandboxKey, (Link Link, Ip Address)> owned = Links.Where(link => link.Kind == Link.Veth)
        .Select(link => (Link: link, Owner: LinkAlias.TryParse(link.Alias, out var owner) ? owner : null)).Where(one => one.Owner is not null)
        .ToLookup(one => one.Owner!.Sandbox, one => (one.Link, one.Owner!.Address));
    private readonly HashSet<Route> routes = [.. Routes];
    private readonly HashSet<Rule> rules = [.. Rules];

    /// <summary>Reads it, in the calling thread's network namespace.</summary>
    internal static PodsFound Read(NetlinkSocket socket, Deadline until) =>
        new(Link.All(socket, until), Route.All(socket, PodWiring.MainTable, until), Rule.All(socket, until));

    /// <summary>The host end of a pod: it says so, or others have changed its alias, and it has the pod's name with its address or its route. The
    /// name alone is no proof: the next sandbox of the same pod has a link of that name before it has an address. Null: there is none.</summary>
    internal Link? HostEndOf(PodWiring wiring, MacAddress? mac) =>
        owned[wiring.Sandbox].FirstOrDefault(one => one.Address == wiring.Address).Link
        ?? Links.FirstOrDefault(link => link.Kind == Link.Veth && link.Name == wiring.HostVeth && !LinkAlias.TryParse(link.Alias, out _)
            && ((mac is { } own && link.Mac == own) || routes.Contains(wiring.HostRoute with { Link = link.Index })));

    /// <summary>Pure: what makes a pod's half of the host as its ADD made it. Nothing when it is so.</summary>
    /// <param name="mac">That the pod's neighbour entry names; null: not known.</param>
    /// <param name="isTableKnown">Whether it is known by which interface the pod's traffic is to leave.</param>
    internal List<InterfaceStep> StepsTo(PodWiring wiring, Link host, MacAddress? mac, bool isTableKnown)
    {
        List<InterfaceStep> steps = [];
        if (!LinkAlias.TryParse(host.Alias, out _))
        {
            steps.Add(new(RepairKind.Link, $"set the alias of {host.Name}", (ref MessageWriter message) => Link.SetAlias(ref message, host.Index, wiring.Alias.ToString())));
        }

        if (mac is { } own && host.Mac != own)
        {
            steps.Add(new(RepairKind.Mac, $"set the address of {host.Name} to {own}", (ref MessageWriter message) => Link.SetMac(ref message, host.Index, own)));
        }

        if (!host.IsUp)
        {
            steps.Add(new(RepairKind.Link, $"set {host.Name} up", (ref MessageWriter message) => Link.SetUp(ref message, host.Index)));
        }

        if (!routes.Contains(wiring.HostRoute with { Link = host.Index }))
        {
            steps.Add(new(RepairKind.Route, $"add route {wiring.HostRoute} dev {host.Name}", (ref MessageWriter message) => wiring.HostRoute.Replace(ref message, host.Index)));
        }

        var (wanted, pod) = (wiring.HostRules.Where(rule => isTableKnown || rule.Priority != PodWiring.FromPodPriority), Cidr.Single(wiring.Address));
        steps.AddRange(wanted.Where(rule => !rules.Contains(rule)).Select(rule => new InterfaceStep(RepairKind.Rule, $"add rule {rule}", rule.Add)));
        // As CHECK has it: at our priorities, for this address and nothing else, another rule would lead it astray.
        steps.AddRange(Rules.Where(rule => (rule is { Priority: PodWiring.ToPodPriority, From: null, Mark: 0 } && rule.To == pod)
                || (isTableKnown && rule is { Priority: PodWiring.FromPodPriority, To: null, Mark: 0 } && rule.From == pod)).Except(wiring.HostRules)
            .Select(rule => new InterfaceStep(RepairKind.Rule, $"delete rule {rule}", rule.Delete)));
        return steps;
    }
}
