using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>A question that the executor asks the kernel, and what the kernel may have of that kind.</summary>
/// <param name="Steps">Acks or ends that belong to it.</param>
/// <param name="Passes">Errors that are an answer: there is none.</param>
/// <param name="Item">A message's type and body, and what is to be read from it; null: it is passed over.</param>
internal sealed record KernelQuestion(
    string Name, bool IsListing, int Steps, Func<int, bool> Passes, Func<NetlinkSocket, Deadline, IReadOnlyList<object>> Ask, Func<Random, (ushort Type, byte[] Body, object? Value)>? Item)
{
    private const int EINVAL = 22;
    private static readonly Ip Pod = Ip.Parse("10.0.0.5");
    private static readonly Link Eth0 = new(3, "eth0", "", null, 9001, "", true);

    public static IReadOnlyList<KernelQuestion> All { get; } =
    [
        new("links", true, 1, _ => false, Link.All, AnyLink),
        new("a link", false, 1, _ => false, (socket, until) => Link.Find(socket, "eth0", until) is { } link ? [link] : [], AnyLink),
        new("addresses", true, 1, _ => false, (socket, until) => Address.All(socket, Eth0, until), AnyAddress),
        new("routes", true, 1, _ => false, (socket, until) => Route.All(socket, 254, until), AnyRoute),
        new("a route", false, 1, errno => errno == EINVAL, (socket, until) => Route.Lookup(socket, Ip.Parse("10.0.0.5"), until) is { } route ? [route] : [], AnyRoute),
        new("rules", true, 1, _ => false, Rule.All, AnyRule),
        new("neighbours", true, 1, _ => false, Neighbour.All, AnyNeighbour),
        new("connections begun", true, 1, errno => errno == EINVAL, (socket, until) => Connections(socket, CTA_TUPLE_ORIG, until), random => AnyConnection(random, CTA_TUPLE_ORIG)),
        new("connections answered", true, 1, errno => errno == EINVAL, (socket, until) => Connections(socket, CTA_TUPLE_REPLY, until), random => AnyConnection(random, CTA_TUPLE_REPLY)),
        new("three changes", false, 3, _ => false, Change, null),
    ];

    /// <summary>Some objects; of one that is looked up just one.</summary>
    public List<(ushort Type, byte[] Body, object? Value)> Items(Random random) =>
        Item is null ? [] : [.. Enumerable.Range(0, IsListing ? random.Next(1, 30) : 1).Select(_ => Item(random))];

    private static IReadOnlyList<object> Change(NetlinkSocket socket, Deadline until)
    {
        var message = new MessageWriter(stackalloc byte[512]);
        Link.SetUp(ref message, 3);
        Link.SetAlias(ref message, 3, "a");
        new Rule(512, null, Ip.Parse("10.0.0.5"), 254).Add(ref message);
        socket.Execute(message.Written, ["set up", "set the alias", "add a rule"], until);
        return [];
    }

    private static (ushort Type, byte[] Body, object? Value) AnyLink(Random random)
    {
        var link = new Link(random.Next(1, int.MaxValue), Text(random, 15), random.One(["", "veth", "vlan", "bridge"]), random.Chance(0.1) ? null : Mac(random), random.Next(68, 65_536), random.One(["", Text(random, 255)]), random.Chance(0.5))
        {
            Peer = random.Next(0, 100),
        };
        var message = new MessageWriter(new byte[1024]);
        message.Header(RTM_NEWLINK, 0, new LinkHeader { Index = link.Index, Flags = link.IsUp ? IFF_UP : 0 });
        Others(random, ref message);
        message.Attribute(IFLA_IFNAME, link.Name);
        message.Attribute(IFLA_MTU, (uint)link.Mtu);
        message.Attribute(IFLA_LINK, (uint)link.Peer);
        if (link.Mac is { } mac)
        {
            message.Attribute(IFLA_ADDRESS, mac);
        }
        else
        {
            message.Attribute(IFLA_ADDRESS, new byte[random.One([0, 4, 16, 20])]);
        }

        if (link.Alias.Length > 0)
        {
            message.Attribute(IFLA_IFALIAS, link.Alias);
        }

        if (link.Kind.Length > 0)
        {
            var info = message.Nest(IFLA_LINKINFO);
            message.Attribute(IFLA_INFO_KIND, link.Kind);
            message.Attribute(IFLA_INFO_DATA, [1, 2, 3]);
            message.EndNest(info);
        }

        return (RTM_NEWLINK, message.Written[16..].ToArray(), link);
    }

    private static (ushort Type, byte[] Body, object? Value) AnyAddress(Random random)
    {
        var address = new Address(AnyIp(random), random.Next(33)) { Scope = (byte)random.One([0, 253]) };
        var message = new MessageWriter(new byte[512]);
        message.Header(RTM_NEWADDR, 0, new InterfaceAddressHeader { Family = AF_INET, PrefixLength = (byte)address.PrefixLength, Scope = address.Scope, Index = 3 });
        message.Attribute(IFA_ADDRESS, address.Ip);
        message.Attribute(IFA_LOCAL, address.Ip);
        Others(random, ref message);
        return (RTM_NEWADDR, message.Written[16..].ToArray(), address);
    }

    private static (ushort Type, byte[] Body, object? Value) AnyRoute(Random random)
    {
        var isDefault = random.Chance(0.2);
        var route = new Route(isDefault ? new Cidr(default, 0) : Cidr.Single(AnyIp(random)), random.Chance(0.5) ? AnyIp(random) : null, random.Next(1, 100_000)) { Link = random.Next(1, 1000) };
        var message = new MessageWriter(new byte[512]);
        message.Header(RTM_NEWROUTE, 0, new RouteHeader { Family = AF_INET, DestinationBits = (byte)route.Destination.Length, Table = (byte)(route.Table < 256 ? route.Table : RT_TABLE_COMPAT), Type = RTN_UNICAST });
        message.Attribute(RTA_TABLE, (uint)route.Table);
        Others(random, ref message);
        if (!isDefault)
        {
            message.Attribute(RTA_DST, route.Destination.Base);
        }

        if (route.Via is { } via)
        {
            message.Attribute(RTA_GATEWAY, via);
        }

        message.Attribute(RTA_OIF, (uint)route.Link);
        return (RTM_NEWROUTE, message.Written[16..].ToArray(), route);
    }

    private static (ushort Type, byte[] Body, object? Value) AnyRule(Random random)
    {
        var rule = new Rule(random.Next(1, 32_768), random.Chance(0.6) ? AnyIp(random) : null, AnyIp(random), random.Next(1, 100_000)) { Mark = random.One([0u, 0x80u]) };
        var isOther = random.Chance(0.3);
        var message = new MessageWriter(new byte[512]);
        message.Header(RTM_NEWRULE, 0, new RuleHeader { Family = AF_INET, SourceBits = (byte)(rule.From?.Length ?? 0), DestinationBits = 32, Action = FR_ACT_TO_TBL });
        message.Attribute(FRA_TABLE, (uint)rule.Table);
        message.Attribute(FRA_SUPPRESS_PREFIXLEN, isOther ? 0u : uint.MaxValue);
        message.Attribute(FRA_PRIORITY, (uint)rule.Priority);
        message.Attribute(FRA_DST, rule.To!.Value.Base);
        if (rule.From is { } from)
        {
            message.Attribute(FRA_SRC, from.Base);
        }

        if (rule.Mark != 0)
        {
            message.Attribute(FRA_FWMARK, rule.Mark);
            message.Attribute(FRA_FWMASK, rule.Mark);
        }

        message.Attribute(FRA_PROTOCOL, [3]);
        return (RTM_NEWRULE, message.Written[16..].ToArray(), isOther ? null : rule);
    }

    private static (ushort Type, byte[] Body, object? Value) AnyNeighbour(Random random)
    {
        var neighbour = new Neighbour(AnyIp(random), random.Chance(0.7) ? Mac(random) : null, random.Next(1, 1000), random.Chance(0.5));
        var message = new MessageWriter(new byte[512]);
        message.Header(RTM_NEWNEIGH, 0, new NeighbourHeader { Family = AF_INET, Index = neighbour.Link, State = neighbour.IsPermanent ? NUD_PERMANENT : (ushort)1 });
        message.Attribute(NDA_DST, neighbour.Ip);
        if (neighbour.Mac is { } mac)
        {
            message.Attribute(NDA_LLADDR, mac);
        }

        Others(random, ref message);
        return (RTM_NEWNEIGH, message.Written[16..].ToArray(), neighbour);
    }

    private static List<string> Connections(NetlinkSocket socket, ushort direction, Deadline until) =>
        [.. Connection.From(socket, Pod, direction, until).Select(connection => Shown(connection.Key))];

    private static string Shown(IEnumerable<(ushort Type, byte[] Value)> key) => string.Join(' ', key.Select(part => $"{part.Type}={Convert.ToHexString(part.Value)}"));

    /// <summary>Of the pod in one direction, the other, or neither; zones are rare.</summary>
    private static (ushort Type, byte[] Body, object? Value) AnyConnection(Random random, ushort direction)
    {
        List<(ushort Type, byte[] Value)> key = [];
        var isMeant = false;
        var message = new MessageWriter(new byte[1024]);
        message.Header(Connection.Answer, 0, new NetfilterHeader { Family = AF_INET });
        foreach (var tuple in (ushort[])[CTA_TUPLE_ORIG, CTA_TUPLE_REPLY])
        {
            var (source, begin) = (random.Chance(0.5) ? Pod : AnyIp(random), message.Written.Length);
            isMeant |= tuple == direction && source == Pod;
            var (nest, ip) = (message.Nest((ushort)(tuple | NLA_F_NESTED)), message.Nest(CTA_TUPLE_IP | NLA_F_NESTED));
            message.Attribute(CTA_IP_V4_SRC, source);
            message.Attribute(CTA_IP_V4_SRC + 1, random.Chance(0.5) ? Pod : AnyIp(random)); // Where it goes.
            message.EndNest(ip);
            message.Attribute(CTA_TUPLE_IP + 1, new byte[random.Next(40)]); // Protocol and ports.
            message.EndNest(nest);
            if (tuple == CTA_TUPLE_ORIG)
            {
                key.Add((tuple, message.Written[(begin + 4)..].ToArray()));
            }

            Others(random, ref message);
        }

        foreach (var part in random.Chance(0.2) ? (ushort[])[CTA_ZONE, CTA_ID] : [CTA_ID])
        {
            key.Add((part, BitConverter.GetBytes(random.Next())));
            message.Attribute(part, key[^1].Value);
        }

        return (Connection.Answer, message.Written[16..].ToArray(), isMeant ? Shown(key) : null);
    }

    /// <summary>Attributes that newer kernels may have.</summary>
    private static void Others(Random random, ref MessageWriter message)
    {
        for (var n = random.Next(3); n > 0; n--)
        {
            message.Attribute((ushort)random.Next(200, 300), new byte[random.Next(40)]);
        }
    }

    private static string Text(Random random, int most) => string.Concat(Enumerable.Range(0, random.Next(1, most + 1)).Select(_ => random.One("abcdefgh0123456789.-".ToCharArray())));

    private static MacAddress Mac(Random random) => new((ulong)random.NextInt64(1L << 48));

    private static Ip AnyIp(Random random) => Ip.Parse("10.0.0.0") + random.Next(1 << 24);
}
