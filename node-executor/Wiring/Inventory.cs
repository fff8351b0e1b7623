using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Netlink;

namespace AwsVpcCni.NodeExecutor.Wiring;

/// <summary>Reads back from the kernel what is wired, in the calling thread's network namespace.</summary>
public static class Inventory
{
    /// <summary>Every host veth of ours, half-wired ones too, and addresses of which only rules are left, or whose link is another program's.</summary>
    /// <remarks>Links, routes and rules are listed one after another: run it before ADDs and DELs are served.</remarks>
    /// <param name="claims">What the lease says of this boot's pods: a link whose alias others have changed is known by it.</param>
    /// <exception cref="WiringException">The kernel did not answer.</exception>
    public static IReadOnlyList<WiredSandbox> Read(TimeSpan deadline, string vethPrefix = VethName.DefaultPrefix, IReadOnlyCollection<ClaimedPod>? claims = null)
    {
        try
        {
            var until = Deadline.In(deadline);
            using var socket = NetlinkSocket.Open();
            return Match(Link.All(socket, until), Route.All(socket, PodWiring.MainTable, until), Rule.All(socket, until), vethPrefix, claims ?? []);
        }
        catch (Exception failed) when (failed is NetlinkException or IOException or InvalidDataException)
        {
            throw new WiringException($"What is wired cannot be read back: {failed.Message}", isUndone: true, failed);
        }
    }

    /// <summary>Pure: which of these belong together.</summary>
    internal static List<WiredSandbox> Match(
        IReadOnlyList<Link> links, IReadOnlyList<Route> routes, IReadOnlyList<Rule> rules, string vethPrefix, IReadOnlyCollection<ClaimedPod> claims)
    {
        var tables = rules.Where(rule => rule.Priority == PodWiring.FromPodPriority && rule is { From.IsSingle: true, To: null })
            .GroupBy(rule => rule.From!.Value.Base).ToDictionary(group => group.Key, group => group.First().Table);
        var found = new List<WiredSandbox>();
        var others = new Dictionary<int, string>();
        foreach (var link in links.Where(link => link.Kind == Link.Veth))
        {
            LinkAlias? owner = LinkAlias.TryParse(link.Alias, out var alias) ? alias : null;
            var claim = owner is null ? claims.FirstOrDefault(claim => claim.Has(link, routes)) : null;
            if (claim is null && !IsOurs(link, vethPrefix))
            {
                others.Add(link.Index, link.Name);
                continue;
            }

            var address = owner?.Address ?? claim?.Address ?? routes.FirstOrDefault(route => route.Link == link.Index && route.Destination.Length == 32)?.Destination.Base;
            found.Add(new WiredSandbox(owner?.Sandbox ?? claim?.Sandbox, link.Name, address, TableOf(address, tables), owner?.Since, owner?.Pod ?? claim?.Pod.ToString() ?? "") { MayLackAlias = claim is not null });
        }

        // A route goes with its link: where one leads to another veth, rules like ours are those of a pod that amazon-vpc-cni-k8s has wired.
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
