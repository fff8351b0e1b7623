using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Reads back from the kernel what is wired, in the calling thread's network namespace.</summary>
public static class Inventory
{
    /// <summary>Every host veth of ours, half-wired ones too, and addresses of which only rules are left, or whose link is another program's.</summary>
    /// <remarks>Links, routes and rules are listed one after another: run it before ADDs and DELs are served.</remarks>
    /// <exception cref="WiringException">The kernel did not answer.</exception>
    public static IReadOnlyList<WiredSandbox> Read(TimeSpan deadline, string vethPrefix = VethName.DefaultPrefix)
    {
        try
        {
            var until = Deadline.In(deadline);
            using var socket = NetlinkSocket.Open();
            return Match(Link.All(socket, until), Route.All(socket, PodWiring.MainTable, until), Rule.All(socket, until), vethPrefix);
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException($"What is wired cannot be read back: {failed.Message}", isUndone: true, failed);
        }
    }

    /// <summary>Pure: which of these belong together.</summary>
    internal static List<WiredSandbox> Match(
        IReadOnlyList<Link> links, IReadOnlyList<Route> routes, IReadOnlyList<Rule> rules, string vethPrefix = VethName.DefaultPrefix)
    {
        var tables = rules.Where(rule => rule.Priority == PodWiring.FromPodPriority && rule is { From.IsSingle: true, To: null })
            .GroupBy(rule => rule.From!.Value.Base).ToDictionary(group => group.Key, group => group.First().Table);
        var found = new List<WiredSandbox>();
        foreach (var link in links.Where(link => IsOurs(link, vethPrefix)))
        {
            LinkAlias? owner = LinkAlias.TryParse(link.Alias, out var alias) ? alias : null;
            var address = owner?.Address ?? routes.FirstOrDefault(route => route.Link == link.Index && route.Destination.Length == 32)?.Destination.Base;
            found.Add(new WiredSandbox(owner?.Sandbox, link.Name, address, TableOf(address, tables), owner?.Since, owner?.Pod ?? ""));
        }

        // A route goes with its link: where one leads to another veth, rules like ours are those of a pod that amazon-vpc-cni-k8s has wired.
        var others = links.Where(link => link.Kind == Link.Veth && !IsOurs(link, vethPrefix)).ToDictionary(link => link.Index, link => link.Name);
        string? LinkTo(Ip address) => routes.Where(route => route.Destination.Length == 32 && route.Destination.Base == address)
            .Select(route => others.GetValueOrDefault(route.Link)).FirstOrDefault(name => name is not null);
        var linked = found.Select(sandbox => sandbox.Address).ToHashSet();
        var left = rules.Where(rule => rule is { Priority: PodWiring.ToPodPriority, To.IsSingle: true, From: null, Table: PodWiring.MainTable })
            .Select(rule => rule.To!.Value.Base).Concat(tables.Keys).Distinct().Where(address => !linked.Contains(address));
        found.AddRange(left.Select(address => new WiredSandbox(null, LinkTo(address), address, TableOf(address, tables), null, "")));
        return found;
    }

    /// <summary>A veth with our alias, also from a time of another prefix, or with a name as ours and no alias.</summary>
    internal static bool IsOurs(Link link, string vethPrefix) =>
        link.Kind == Link.Veth && (link.Alias.Length == 0 ? VethName.IsOurs(link.Name, vethPrefix) : LinkAlias.TryParse(link.Alias, out _));

    private static int TableOf(Ip? address, Dictionary<Ip, int> tables) =>
        address is { } known && tables.TryGetValue(known, out var table) ? table : PodWiring.MainTable;
}
