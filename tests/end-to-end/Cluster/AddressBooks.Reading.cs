using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using AwsVpcCni.Tests.EndToEnd.Harness;
using AwsVpcCni.VpcEmulator.Control;

namespace AwsVpcCni.Tests.EndToEnd.Cluster;

internal sealed partial record AddressBooks
{
    private const string NoOwner = "nobody";

    /// <summary>Reads all of them, one after another: what is under way may be seen in one and not in the next.</summary>
    /// <param name="sandboxes">Whose namespaces are there.</param>
    public static async Task<AddressBooks> ReadAsync(TestCluster cluster, ClusterNode node, IReadOnlyCollection<CniCallOnNode> sandboxes)
    {
        var links = (await IpAsync(node.NetnsName, "-details link show type veth"))
            .Where(link => Text(link, "ifname").StartsWith("eni", StringComparison.Ordinal))
            .ToDictionary(link => Text(link, "ifname"), link => Text(link, "ifalias").Split(' '), StringComparer.Ordinal);
        var interfaces = (await cluster.Emulator.StateAsync()).Interfaces.Where(eni => eni.Instance == node.InstanceId).ToList();
        var (claims, leased) = ReadLease(Path.Combine(node.StateFolder, "lease"));
        var books = new AddressBooks
        {
            Links = [.. links.Values.Select(alias => alias.Length > 3 ? new Entry(alias[3], CniCallOnNode.HolderOf(alias[1], alias[2])) : new Entry("no address", NoOwner))],
            Routes = [.. (await IpAsync(node.NetnsName, "-4 route show table main"))
                .Where(route => !Text(route, "dst").Contains('/', StringComparison.Ordinal) && links.ContainsKey(Text(route, "dev")))
                .Select(route => new Entry(Text(route, "dst"), links[Text(route, "dev")] is { Length: > 3 } alias ? CniCallOnNode.HolderOf(alias[1], alias[2]) : NoOwner))],
            Rules = [.. (await IpAsync(node.NetnsName, "-4 rule show")).Select(RuleOf).OfType<Entry>()],
            Claims = claims,
            Leased = leased,
            Rows = [.. (await Cluster.Rows.AssignedAsync(cluster.Silo)).Select(row => row.Split(' ')).Where(row => row[0] == node.InstanceId).Select(row => new Entry(row[1], row[2]))],
            Ec2 = [.. interfaces.SelectMany(Ec2Of)],
            Devices = interfaces.ToImmutableDictionary(eni => eni.Id, eni => eni.DeviceIndex ?? 0),
        };
        return books with { Pods = await ReadPodsAsync(sandboxes) };
    }

    /// <summary>Until kernel, lease, store and EC2 agree. For pods of the runtime: their own ends are left to traffic.</summary>
    public static async Task<AddressBooks> AgreedAsync(TestCluster cluster, ClusterNode node, ImmutableArray<Entry> told)
    {
        AddressBooks books = new();
        await Eventually.HoldsAsync($"the books of {node.Name} to agree", TimeSpan.FromSeconds(30), async _ =>
            (books = await ReadAsync(cluster, node, []) with { Pods = told }).Wrong(told) is { Count: > 0 } wrong ? string.Join('\n', wrong) : null);
        return books;
    }

    /// <summary>By one shell: a program for each of some dozen namespaces takes longer to start from here than to run.</summary>
    private static async Task<ImmutableArray<Entry>> ReadPodsAsync(IReadOnlyCollection<CniCallOnNode> sandboxes)
    {
        var shown = await Shell.RunAsync(
            "sh", ["-c", "for netns; do ip -n $netns -o -4 address show scope global | sed \"s/^/$netns /\"; done", "sh", .. sandboxes.Select(sandbox => sandbox.Netns).Distinct()]);
        var containers = sandboxes.DistinctBy(sandbox => sandbox.Netns).ToDictionary(sandbox => sandbox.Netns, sandbox => sandbox.ContainerId, StringComparer.Ordinal);

        // NETNS 2: eth0 inet ADDRESS/32 ...
        return [.. shown.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(words => new Entry(words[4].Split('/')[0], CniCallOnNode.HolderOf(containers[words[0]], words[2])))];
    }

    /// <summary>The lease file as a reader of its own sees it: a snapshot, then what has happened since.</summary>
    private static (ImmutableArray<Entry> Claims, ImmutableArray<Entry> Leased) ReadLease(string path)
    {
        var holders = new Dictionary<string, string>(StringComparer.Ordinal);
        var leaving = new HashSet<string>(StringComparer.Ordinal);
        var leased = ImmutableArray.CreateBuilder<Entry>();
        foreach (var line in File.ReadAllText(path).Split('\n')[..^1].Select(line => JsonNode.Parse(line[9..])!)) // A checksum goes before; a cut-off end is none.
        {
            switch (Text(line, "line"))
            {
                case "address":
                    if ((bool)line["slot"]!["leased"]!)
                    {
                        leased.Add(new Entry(Text(line, "ip"), Text(line["slot"]!, "eniId")));
                    }

                    Hold(line["slot"]!["hold"]);
                    break;
                case "claimed":
                    Hold(line["hold"]);
                    break;
                case "ended" when line["ending"]!["address"] is { } address && holders.GetValueOrDefault((string)address!) == Holder(line["ending"]!):
                    leaving.Add((string)address!);
                    break;
                case "freed" when leaving.Remove(Text(line, "ip")):
                    holders.Remove(Text(line, "ip"));
                    break;
            }

            void Hold(JsonNode? hold)
            {
                if (hold is not null)
                {
                    holders[Text(line, "ip")] = Holder(hold);
                    _ = (bool)hold["leaving"]! ? leaving.Add(Text(line, "ip")) : leaving.Remove(Text(line, "ip"));
                }
            }
        }

        return ([.. holders.Select(held => new Entry(held.Key, held.Value + (leaving.Contains(held.Key) ? " (leaving)" : "")))], leased.ToImmutable());

        static string Holder(JsonNode of) => CniCallOnNode.HolderOf(Text(of["sandbox"]!, "containerId"), Text(of["sandbox"]!, "ifName"));
    }

    /// <summary>An interface's secondary addresses, and all 16 of each prefix.</summary>
    private static IEnumerable<Entry> Ec2Of(InterfaceView eni) =>
        eni.Addresses.Skip(1).Concat(eni.Prefixes.SelectMany(AddressesOf)).Select(address => new Entry(address, eni.Id));

    private static IEnumerable<string> AddressesOf(string prefix)
    {
        var start = IPNetwork.Parse(prefix).BaseAddress.GetAddressBytes(); // Of a /28: its last byte has room for 15 more.
        return Enumerable.Range(0, 16).Select(offset => new IPAddress([.. start[..3], (byte)(start[3] + offset)]).ToString());
    }

    private static Entry? RuleOf(JsonNode rule) => (int)rule["priority"]! switch
    {
        512 => new Entry(Text(rule, "dst"), "to " + Text(rule, "table")),
        1536 => new Entry(Text(rule, "src"), string.Create(CultureInfo.InvariantCulture, $"from {rule["table"]}")),
        _ => null,
    };

    private static async Task<JsonNode[]> IpAsync(string netns, string query)
    {
        var json = await Shell.RunAsync("ip", ["-n", netns, "-json", .. query.Split(' ')]);
        return json.Trim().Length == 0 ? [] : [.. JsonNode.Parse(json)!.AsArray().OfType<JsonNode>().Where(item => item.AsObject().Count > 0)];
    }

    private static string Text(JsonNode node, string field) => (string?)node[field] ?? "";
}
