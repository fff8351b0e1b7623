using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>Who has which link-layer address, as one link believes.</summary>
/// <param name="Mac">Null while nobody has answered.</param>
/// <param name="IsPermanent">Never asked for, never expires.</param>
internal sealed record Neighbour(Ip Ip, MacAddress? Mac, int Link, bool IsPermanent)
{
    /// <summary>An entry that is never asked for and never expires.</summary>
    internal static void ReplacePermanent(ref MessageWriter message, Ip ip, MacAddress mac, int link)
    {
        message.Header(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, new NeighbourHeader
        {
            Family = Address.FamilyOf(ip),
            Index = link,
            State = NUD_PERMANENT,
        });
        message.Attribute(NDA_DST, ip);
        message.Attribute(NDA_LLADDR, mac);
    }

    /// <summary>Every IPv4 neighbour of every link.</summary>
    internal static List<Neighbour> All(NetlinkSocket socket, Deadline deadline)
    {
        var message = new MessageWriter(stackalloc byte[64]);
        message.Header(RTM_GETNEIGH, NLM_F_DUMP, new NeighbourHeader { Family = AF_INET });
        return socket.Dump<Neighbour>(message.Written, "list neighbours", deadline, Parse);
    }

    private static Neighbour? Parse(ushort type, MessageReader body)
    {
        if (type != RTM_NEWNEIGH)
        {
            return null;
        }

        var header = body.Read<NeighbourHeader>();
        var found = new Neighbour(default, null, header.Index, (header.State & NUD_PERMANENT) != 0);
        while (body.NextAttribute(out var attribute, out var value))
        {
            found = attribute switch
            {
                NDA_DST => found with { Ip = MessageReader.Address(value) },
                NDA_LLADDR => found with { Mac = MacAddress.From(value) },
                _ => found,
            };
        }

        return found;
    }
}
