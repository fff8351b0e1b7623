using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>A unicast route, whatever link it leads to.</summary>
/// <param name="Via">Null: the destination is on the link itself.</param>
/// <param name="Table">Such as <see cref="RT_TABLE_MAIN"/>; may be above 255.</param>
internal sealed record Route(Cidr Destination, Ip? Via, int Table)
{
    /// <summary>The link, in a route that was read from the kernel; 0 for none or several.</summary>
    internal int Link { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{Destination}{(Via is null ? "" : $" via {Via}")} table {Table}";

    /// <summary>Takes the place of a route to the same destination in the same table, or adds one.</summary>
    internal void Replace(ref MessageWriter message, int link)
    {
        Write(ref message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, link, Via is null ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
        if (Via is { } gateway)
        {
            message.Attribute(RTA_GATEWAY, gateway);
        }
    }

    /// <summary>Deletes it only if it leads to <paramref name="link"/>.</summary>
    internal void Delete(ref MessageWriter message, int link) => Write(ref message, RTM_DELROUTE, 0, link, RT_SCOPE_NOWHERE);

    /// <summary>Every IPv4 unicast route of one table.</summary>
    /// <param name="link">Only those that lead to it; 0: whatever link.</param>
    internal static List<Route> All(NetlinkSocket socket, int table, Deadline deadline, int link = 0)
    {
        var message = new MessageWriter(stackalloc byte[64]);
        message.Header(RTM_GETROUTE, NLM_F_DUMP, new RouteHeader { Family = AF_INET, Table = TableByte(table), Type = RTN_UNICAST });
        message.Attribute(RTA_TABLE, (uint)table);
        if (link != 0)
        {
            message.Attribute(RTA_OIF, (uint)link);
        }

        try
        {
            return socket.Dump<Route>(message.Written, $"list routes of table {table}", deadline, Parse);
        }
        catch (NetlinkException none) when (none.Errno == Errno.ENOENT)
        {
            return []; // The kernel makes a table with its first route.
        }
    }

    /// <summary>The route that traffic to an address takes now, as it stands in its table; null when there is none.</summary>
    internal static Route? Lookup(NetlinkSocket socket, Ip destination, Deadline deadline)
    {
        var message = new MessageWriter(stackalloc byte[64]);
        message.Header(RTM_GETROUTE, 0, new RouteHeader { Family = AF_INET, DestinationBits = 32, Flags = RTM_F_FIB_MATCH });
        message.Attribute(RTA_DST, destination);
        return socket.Get(message.Written, $"look up the route to {destination}", deadline, Parse, Errno.ENETUNREACH, Errno.EHOSTUNREACH, Errno.EACCES, Errno.EINVAL);
    }

    private static byte TableByte(int table) => (byte)(table < 256 ? table : RT_TABLE_COMPAT);

    private void Write(ref MessageWriter message, ushort type, ushort flags, int link, byte scope)
    {
        message.Header(type, flags, new RouteHeader
        {
            Family = Address.FamilyOf(Destination.Base),
            DestinationBits = (byte)Destination.Length,
            Table = TableByte(Table),
            Protocol = type == RTM_NEWROUTE ? RTPROT_BOOT : (byte)0,
            Scope = scope,
            Type = type == RTM_NEWROUTE ? RTN_UNICAST : (byte)0,
        });
        if (Destination.Length > 0)
        {
            message.Attribute(RTA_DST, Destination.Base);
        }

        message.Attribute(RTA_OIF, (uint)link);
        message.Attribute(RTA_TABLE, (uint)Table);
    }

    private static Route? Parse(ushort type, MessageReader body)
    {
        if (type != RTM_NEWROUTE)
        {
            return null;
        }

        var header = body.Read<RouteHeader>();
        if (header.Family != AF_INET || header.DestinationBits > 32)
        {
            return null;
        }

        var route = new Route(new Cidr(default, header.DestinationBits), null, header.Table);
        while (body.NextAttribute(out var attribute, out var value))
        {
            route = attribute switch
            {
                RTA_DST => route with { Destination = new Cidr(MessageReader.Address(value), header.DestinationBits) },
                RTA_OIF => route with { Link = (int)MessageReader.UInt32(value) },
                RTA_GATEWAY => route with { Via = MessageReader.Address(value) },
                RTA_TABLE => route with { Table = (int)MessageReader.UInt32(value) },
                _ => route,
            };
        }

        return route;
    }
}
