using System.Text.Json.Nodes;

namespace AwsVpcCni.VpcEmulator.Fabric;

/// <summary>What network configuration is in a namespace, a line an item: links, addresses, routes of all tables, rules, permanent and
/// proxy neighbours (IPv4 and IPv6), and the nftables ruleset (which has iptables-nft's rules too).</summary>
/// <remarks>Take one before and one after, and ask the later what it has more. Not seen: sysctls, tc, conntrack entries, rules of
/// legacy iptables.</remarks>
public sealed class NamespaceSnapshot
{
    /// <summary>What changes by itself or differs between two equal set-ups: counts, handles, indexes and the state of a carrier.</summary>
    private static readonly HashSet<string> Volatile =
    [
        "ifindex", "link_index", "link_netnsid", "operstate", "tentative", "valid_life_time", "preferred_life_time",
        "handle", "packets", "bytes", "expires", "metainfo",
    ];

    private NamespaceSnapshot(IReadOnlyList<string> lines) => Lines = lines;

    /// <summary>The items, sorted: a kind, then what `ip -json` or `nft -j` says of it.</summary>
    public IReadOnlyList<string> Lines { get; }

    /// <summary>Reads the namespace that `ip netns` knows as <paramref name="netns"/>.</summary>
    public static async Task<NamespaceSnapshot> TakeAsync(string netns, CancellationToken cancellation = default)
    {
        var lines = new List<string>();
        foreach (var link in await IpAsync(netns, "-details link show", cancellation))
        {
            lines.Add($"link {Stable(link)}");
        }

        foreach (var link in await IpAsync(netns, "address show", cancellation))
        {
            // A link-local IPv6 address is the kernel's own, comes some time after the link, and goes with it.
            lines.AddRange(link["addr_info"]!.AsArray().OfType<JsonNode>()
                .Where(address => ((string)address["family"]!, (string)address["scope"]!) != ("inet6", "link"))
                .Select(address => $"address {(string)link["ifname"]!} {Stable(address)}"));
        }

        foreach (var family in (string[])["-4", "-6"])
        {
            lines.AddRange((await IpAsync(netns, $"{family} route show table all", cancellation))
                .Where(route => !IsLinkLocal((string)route["dst"]!)).Select(route => $"route {family} {Stable(route)}"));
            lines.AddRange((await IpAsync(netns, $"{family} rule show", cancellation)).Select(rule => $"rule {family} {Stable(rule)}"));
            lines.AddRange((await IpAsync(netns, $"{family} neighbour show nud permanent", cancellation))
                .Concat(await IpAsync(netns, $"{family} neighbour show proxy", cancellation)).Select(entry => $"neighbour {family} {Stable(entry)}"));
        }

        var ruleset = await Command.RunAsync(
            "nsenter", [$"--net={NetworkNamespace.PathOf(netns)}", "nft", "-j", "list", "ruleset"], null, cancellation);
        lines.AddRange(JsonNode.Parse(ruleset)!["nftables"]!.AsArray().OfType<JsonNode>()
            .Select(item => item.AsObject().Single())
            .Where(item => !Volatile.Contains(item.Key))
            .Select(item => $"nft {item.Key} {Stable(item.Value!)}"));
        lines.Sort(StringComparer.Ordinal);
        return new NamespaceSnapshot(lines);
    }

    /// <summary>What this snapshot has and <paramref name="before"/> has not: what was left over in between. Two equal items count twice.</summary>
    public IReadOnlyList<string> LeftOverSince(NamespaceSnapshot before)
    {
        ArgumentNullException.ThrowIfNull(before);
        var known = before.Lines.CountBy(line => line).ToDictionary();
        var left = new List<string>();
        foreach (var line in Lines)
        {
            if (known.GetValueOrDefault(line) is > 0 and var count)
            {
                known[line] = count - 1;
            }
            else
            {
                left.Add(line);
            }
        }

        return left;
    }

    private static async Task<IEnumerable<JsonNode>> IpAsync(string netns, string query, CancellationToken cancellation)
    {
        var json = await Command.RunAsync("ip", ["-n", netns, "-json", .. query.Split(' ')], null, cancellation);

        // Without an item, `ip` prints nothing at all; and it prints an empty object for an item that its filter hides.
        return json.Trim() is { Length: > 0 } text
            ? JsonNode.Parse(text)!.AsArray().OfType<JsonNode>().Where(item => item.AsObject().Count > 0)
            : [];
    }

    private static bool IsLinkLocal(string destination) =>
        destination.StartsWith("fe80:", StringComparison.Ordinal) || destination.StartsWith("ff00:", StringComparison.Ordinal);

    private static string Stable(JsonNode node) => Strip(node)!.ToJsonString();

    private static JsonNode? Strip(JsonNode? node) => node switch
    {
        JsonObject item => new JsonObject(item.Where(field => !Volatile.Contains(field.Key)).Select(field =>
            KeyValuePair.Create(field.Key, field.Key == "flags" ? Flags(field.Value) : Strip(field.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Strip)]),
        _ => node?.DeepClone(),
    };

    /// <summary>Of a link's flags only UP is configuration; a route's (linkdown, dead) follow the carrier.</summary>
    private static JsonNode? Flags(JsonNode? flags) =>
        flags is JsonArray list ? new JsonArray([.. list.Where(flag => (string?)flag is "UP" or "onlink").Select(flag => flag?.DeepClone())]) : flags?.DeepClone();
}
