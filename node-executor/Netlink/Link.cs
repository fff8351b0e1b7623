using System.Runtime.InteropServices;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>A network interface as the kernel describes it, and the messages that change one.</summary>
/// <param name="Kind">Such as veth; empty for hardware.</param>
/// <param name="Mac">Null for a link that has no Ethernet address.</param>
/// <param name="Alias">Empty when it has none.</param>
internal sealed record Link(int Index, string Name, string Kind, MacAddress? Mac, int Mtu, string Alias, bool IsUp)
{
    /// <summary>linux/if.h, IFNAMSIZ - 1.</summary>
    internal const int MaxNameLength = 15;

    /// <summary>linux/if.h, IFALIASZ - 1: bytes, not characters.</summary>
    internal const int MaxAliasLength = 255;

    internal const string Veth = "veth";

    /// <summary>The index of a veth's other end, in that one's namespace; 0 for a link that has no other one.</summary>
    internal int Peer { get; init; }

    /// <summary>Null when there is no link of that name.</summary>
    internal static Link? Find(NetlinkSocket socket, string name, Deadline deadline)
    {
        var message = new MessageWriter(stackalloc byte[128]);
        message.Header(RTM_GETLINK, 0, default(LinkHeader));
        message.Attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        message.Attribute(IFLA_IFNAME, name);
        return socket.Get(message.Written, $"look up link {name}", deadline, Parse, Errno.ENODEV);
    }

    internal static List<Link> All(NetlinkSocket socket, Deadline deadline)
    {
        var message = new MessageWriter(stackalloc byte[64]);
        message.Header(RTM_GETLINK, NLM_F_DUMP, default(LinkHeader));
        message.Attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        return socket.Dump<Link>(message.Written, "list links", deadline, Parse);
    }

    /// <summary>The one that has the address; null when none has. A link on top of another has that one's address too: the lower one is meant.</summary>
    internal static Link? WithMac(IEnumerable<Link> links, MacAddress mac) =>
        links.Where(link => link.Mac == mac && link.Kind is not ("vlan" or "macvlan" or "ipvlan" or "bridge"))
            .OrderBy(link => link.Kind.Length).FirstOrDefault(); // Hardware has no kind.

    /// <summary>A veth whose other end appears directly in another namespace, so that it never has a name in this one.</summary>
    internal static void CreateVeth(ref MessageWriter message, string name, MacAddress mac, string peerName, SafeHandle peerNetns, int mtu)
    {
        message.Header(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, default(LinkHeader));
        message.Attribute(IFLA_IFNAME, name);
        message.Attribute(IFLA_MTU, (uint)mtu);
        message.Attribute(IFLA_ADDRESS, mac);
        var info = message.Nest(IFLA_LINKINFO);
        message.Attribute(IFLA_INFO_KIND, Veth);
        var data = message.Nest(IFLA_INFO_DATA);
        var peer = message.Nest(VETH_INFO_PEER);
        message.Append(default(LinkHeader));
        message.Attribute(IFLA_IFNAME, peerName);
        message.Attribute(IFLA_MTU, (uint)mtu);
        message.Attribute(IFLA_NET_NS_FD, (uint)peerNetns.DangerousGetHandle());
        message.EndNest(peer);
        message.EndNest(data);
        message.EndNest(info);
    }

    internal static void SetUp(ref MessageWriter message, int index) =>
        message.Header(RTM_SETLINK, 0, new LinkHeader { Index = index, Flags = IFF_UP, Change = IFF_UP });

    internal static void SetAlias(ref MessageWriter message, int index, string alias)
    {
        message.Header(RTM_SETLINK, 0, new LinkHeader { Index = index });
        message.Attribute(IFLA_IFALIAS, System.Text.Encoding.UTF8.GetBytes(alias)); // Without a NUL: all 255 bytes are the alias.
    }

    internal static void SetMtu(ref MessageWriter message, int index, int mtu)
    {
        message.Header(RTM_SETLINK, 0, new LinkHeader { Index = index });
        message.Attribute(IFLA_MTU, (uint)mtu);
    }

    internal static void SetMac(ref MessageWriter message, int index, MacAddress mac)
    {
        message.Header(RTM_SETLINK, 0, new LinkHeader { Index = index });
        message.Attribute(IFLA_ADDRESS, mac);
    }

    /// <summary>By index, which the kernel does not give to the next link of the same name.</summary>
    internal static void Delete(ref MessageWriter message, int index) =>
        message.Header(RTM_DELLINK, 0, new LinkHeader { Index = index });

    private static Link? Parse(ushort type, MessageReader body)
    {
        if (type != RTM_NEWLINK)
        {
            return null;
        }

        var header = body.Read<LinkHeader>();
        var link = new Link(header.Index, "", "", null, 0, "", (header.Flags & IFF_UP) != 0);
        while (body.NextAttribute(out var attribute, out var value))
        {
            link = attribute switch
            {
                IFLA_IFNAME => link with { Name = MessageReader.Text(value) },
                IFLA_ADDRESS => link with { Mac = MacAddress.From(value) },
                IFLA_MTU => link with { Mtu = (int)MessageReader.UInt32(value) },
                IFLA_LINK => link with { Peer = (int)MessageReader.UInt32(value) },
                IFLA_IFALIAS => link with { Alias = MessageReader.Text(value) },
                IFLA_LINKINFO => link with { Kind = ParseKind(new MessageReader(value)) },
                _ => link,
            };
        }

        return link;
    }

    private static string ParseKind(MessageReader info)
    {
        while (info.NextAttribute(out var attribute, out var value))
        {
            if (attribute == IFLA_INFO_KIND)
            {
                return MessageReader.Text(value);
            }
        }

        return "";
    }
}
