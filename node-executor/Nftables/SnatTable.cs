using AwsVpcCni.Core.Addressing;

namespace AwsVpcCni.NodeExecutor.Nftables;

/// <summary>Our one nftables table, as text: what gets the node's address on its way out of the VPC, and what is marked so that it
/// takes the primary interface.</summary>
/// <remarks>
/// The rules are those of amazon-vpc-cni-k8s, with three differences. Marks are set and restored bit by bit: whatever others keep in
/// the marks of a packet or a connection stays. Which connections of pods will be translated is decided in a filter chain behind DNAT,
/// at a connection's first packet, and not in a nat chain: the kernel passes over further nat chains once one has translated, and so
/// a pod's way through a service to the outside would never be marked. And ours is the last word of SNAT (srcnat + 10): what kube-proxy,
/// portmap or an operator's rule has translated is left so.
/// </remarks>
internal static class SnatTable
{
    internal const string Name = "aws-vpc-cni";

    /// <summary>Of the chain after kube-proxy's DNAT, and of the one after others' SNAT.</summary>
    private const string AfterNat = "+ 10";

    /// <summary>Takes the table away; nothing there is no error.</summary>
    internal const string Removal = $"table ip {Name}\ndelete table ip {Name}\n";

    /// <summary>Lists it. An error: there is none.</summary>
    internal const string Listing = $"list table ip {Name}\n";

    /// <summary>Puts the table in the place of what is there, in one transaction: no packet meets none, or half of it.</summary>
    /// <param name="primary">The primary interface: its link's name, the node's address, the VPC's ranges.</param>
    /// <param name="prefixes">How the names of pods' links begin.</param>
    internal static string Replacement(HostNetworkSettings settings, PrimaryInterface primary, IEnumerable<string> prefixes) =>
        Removal + Text(settings, primary, prefixes);

    private static string Text(HostNetworkSettings settings, PrimaryInterface primary, IEnumerable<string> prefixes)
    {
        var kept = Merge([.. primary.VpcCidrs, .. settings.SnatExclusions]);
        var translates = !settings.ExternalSnat && kept[0].Length > 0; // 0.0.0.0/0: nothing is translated.
        var mark = $"0x{settings.Mark:x8}";
        var setBoth = $"ct mark set ct mark | {mark} meta mark set meta mark | {mark}";
        List<string> lines = [$"table ip {Name} {{"];
        void Chain(string name, string hook, IEnumerable<string> rules) =>
            lines.AddRange([$"  chain {name} {{", $"    type {hook}; policy accept;", .. rules.Select(rule => $"    {rule}"), "  }"]);

        if (translates)
        {
            lines.Add($"  set kept {{ type ipv4_addr; flags interval; elements = {{ {string.Join(", ", kept)} }}; }}");
        }

        Chain("restore", "filter hook prerouting priority mangle",
        [
            .. settings.NodePorts ? [$"iifname \"{primary.Link}\" fib daddr . iif type local ct mark set ct mark | {mark}"] : Array.Empty<string>(),
            .. prefixes.Select(prefix => $"iifname \"{prefix}*\" ct mark & {mark} == {mark} meta mark set meta mark | {mark}"),
        ]);
        if (translates)
        {
            Chain("egress", $"filter hook prerouting priority dstnat {AfterNat}", prefixes.Select(prefix =>
                $"iifname \"{prefix}*\" ct state new ct status & confirmed == 0 ip daddr != @kept fib daddr type != local {setBoth}"));
            Chain("translate", $"nat hook postrouting priority srcnat {AfterNat}",
                [$"ip daddr != @kept fib daddr type != local snat to {primary.Address}{PortsOf(settings.SnatPorts)}"]);
        }

        return string.Join('\n', [.. lines, "}", ""]);
    }

    /// <summary>Without those that lie within others, which a set of ranges does not take; in order.</summary>
    private static List<Cidr> Merge(IReadOnlyCollection<Cidr> cidrs) =>
        [.. cidrs.Distinct().Where(cidr => !cidrs.Any(other => other != cidr && other.Contains(cidr))).OrderBy(cidr => cidr.Base)];

    private static string PortsOf(SnatPorts ports) => ports switch
    {
        SnatPorts.FullyRandom => " fully-random",
        SnatPorts.Random => " random",
        _ => "",
    };
}

/// <summary>What the table needs to know of the node.</summary>
/// <param name="Link">Its name.</param>
/// <param name="Address">The node's own.</param>
/// <param name="VpcCidrs">All of the VPC's, IPv4; never empty.</param>
internal sealed record PrimaryInterface(string Link, Ip Address, IReadOnlyList<Cidr> VpcCidrs);
