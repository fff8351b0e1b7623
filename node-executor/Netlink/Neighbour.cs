using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>Messages about who has which link-layer address.</summary>
internal static class Neighbour
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
}
