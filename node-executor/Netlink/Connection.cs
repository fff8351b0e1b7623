using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>A connection that the kernel tracks, as far as it takes to have it forgotten.</summary>
/// <param name="Key">What names it: CTA_TUPLE_ORIG, CTA_ZONE and CTA_ID as the kernel has told them, CTA_ID so that no later one of the same ends is meant.</param>
internal sealed record Connection(List<(ushort Type, byte[] Value)> Key)
{
    /// <summary>The message type of one that is listed.</summary>
    internal const ushort Answer = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;

    private const ushort List = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
    private const ushort Delete = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
    private const uint Source = 1; // CTA_FILTER_FLAG(CTA_IP_SRC) in the kernel's nf_conntrack_netlink.c.
    private const int Batch = 32;
    private const int KeyBytes = 256; // At most: two addresses of 16 bytes, two ports, a zone and an id make less than 150.

    /// <summary>Forgets what <paramref name="address"/> has begun, and what has reached it, by whatever address it was asked for.</summary>
    /// <param name="socket">Of NETLINK_NETFILTER.</param>
    /// <exception cref="NetlinkException">The kernel refuses. EINVAL: it has no such part, and tracks nothing.</exception>
    /// <remarks>Kernels before 5.8 list all connections, and the choice is made here; before 6.9 they delete one at a time, as this does everywhere.</remarks>
    internal static void ForgetAllOf(NetlinkSocket socket, Ip address, Deadline deadline)
    {
        Forget(socket, address, From(socket, address, CTA_TUPLE_ORIG, deadline), deadline);
        Forget(socket, address, From(socket, address, CTA_TUPLE_REPLY, deadline), deadline);
    }

    /// <summary>Those whose original or reply direction comes from the address.</summary>
    internal static List<Connection> From(NetlinkSocket socket, Ip address, ushort direction, Deadline deadline)
    {
        var message = new MessageWriter(stackalloc byte[128]);
        message.Header(List, NLM_F_DUMP, new NetfilterHeader { Family = Address.FamilyOf(address) });
        var (tuple, ip) = (message.Nest((ushort)(direction | NLA_F_NESTED)), message.Nest(CTA_TUPLE_IP | NLA_F_NESTED));
        message.Attribute(address.IsV6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, address);
        message.EndNest(ip);
        message.EndNest(tuple);
        var filter = message.Nest(CTA_FILTER | NLA_F_NESTED);
        message.Attribute(CTA_FILTER_ORIG_FLAGS, direction == CTA_TUPLE_ORIG ? Source : 0);
        message.Attribute(CTA_FILTER_REPLY_FLAGS, direction == CTA_TUPLE_REPLY ? Source : 0);
        message.EndNest(filter);
        return socket.Dump<Connection>(message.Written, $"list connections of {address}", deadline, (type, body) => Parse(type, body, address, direction));
    }

    private static void Forget(NetlinkSocket socket, Ip address, List<Connection> connections, Deadline deadline)
    {
        Span<byte> buffer = stackalloc byte[Batch * KeyBytes];
        foreach (var batch in connections.Chunk(Batch))
        {
            var message = new MessageWriter(buffer);
            foreach (var connection in batch)
            {
                message.Header(Delete, 0, new NetfilterHeader { Family = Address.FamilyOf(address) });
                foreach (var (type, value) in connection.Key)
                {
                    message.Attribute(type == CTA_TUPLE_ORIG ? (ushort)(type | NLA_F_NESTED) : type, value);
                }
            }

            socket.Execute(message.Written, [.. batch.Select(_ => "forget a connection")], deadline, Errno.ENOENT); // It has ended meanwhile.
        }
    }

    private static Connection? Parse(ushort type, MessageReader body, Ip address, ushort direction)
    {
        if (type != Answer)
        {
            return null;
        }

        body.Skip(System.Runtime.CompilerServices.Unsafe.SizeOf<NetfilterHeader>());
        var (key, isMeant) = (new List<(ushort, byte[])>(3), false);
        while (body.NextAttribute(out var attribute, out var value))
        {
            isMeant |= attribute == direction && SourceOf(value) == address;
            if (attribute is CTA_TUPLE_ORIG or CTA_ZONE or CTA_ID)
            {
                key.Add((attribute, value.ToArray()));
            }
        }

        return isMeant ? new Connection(key) : null;
    }

    private static Ip? SourceOf(ReadOnlySpan<byte> tuple)
    {
        for (var parts = new MessageReader(tuple); parts.NextAttribute(out var part, out var value);)
        {
            for (var ip = new MessageReader(part == CTA_TUPLE_IP ? value : []); ip.NextAttribute(out var end, out var address);)
            {
                if (end is CTA_IP_V4_SRC or CTA_IP_V6_SRC)
                {
                    return MessageReader.Address(address);
                }
            }
        }

        return null;
    }
}
