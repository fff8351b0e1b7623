using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>Messages about a link's own addresses.</summary>
internal static class Address
{
    internal static byte FamilyOf(Ip ip) => ip.IsV6 ? AF_INET6 : AF_INET;

    /// <summary>A single address: no route to a subnet comes with it.</summary>
    internal static void Replace(ref MessageWriter message, Ip ip, int link)
    {
        message.Header(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, new InterfaceAddressHeader
        {
            Family = FamilyOf(ip),
            PrefixLength = (byte)(ip.IsV6 ? 128 : 32),
            Index = (uint)link,
        });
        message.Attribute(IFA_LOCAL, ip);
        message.Attribute(IFA_ADDRESS, ip);
    }
}
