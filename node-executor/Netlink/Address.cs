using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>One of a link's own addresses.</summary>
/// <param name="PrefixLength">Of the subnet that it is in; all bits for a single address.</param>
internal sealed record Address(Ip Ip, int PrefixLength)
{
    /// <summary>0 for one that means the same everywhere; <see cref="RT_SCOPE_LINK"/> for one of this link only.</summary>
    internal byte Scope { get; init; }

    private bool IsSingle => PrefixLength == (Ip.IsV6 ? 128 : 32);

    internal static byte FamilyOf(Ip ip) => ip.IsV6 ? AF_INET6 : AF_INET;

    /// <inheritdoc/>
    public override string ToString() => $"{Ip}/{PrefixLength}";

    /// <summary>Adds it without a route to its subnet: no packet may take that way unasked, not even for a moment.</summary>
    internal void Replace(ref MessageWriter message, int link)
    {
        Write(ref message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, link);
        if (!IsSingle)
        {
            message.Attribute(IFA_FLAGS, IFA_F_NOPREFIXROUTE);
        }
    }

    /// <summary>Fails with EADDRNOTAVAIL when the link does not have it, with just this prefix length.</summary>
    internal void Delete(ref MessageWriter message, int link) => Write(ref message, RTM_DELADDR, 0, link);

    /// <summary>Every IPv4 address of one link.</summary>
    internal static List<Address> All(NetlinkSocket socket, Link link, Deadline deadline)
    {
        var message = new MessageWriter(stackalloc byte[64]);
        message.Header(RTM_GETADDR, NLM_F_DUMP, new InterfaceAddressHeader { Family = AF_INET, Index = (uint)link.Index });
        return socket.Dump<Address>(message.Written, $"list addresses of {link.Name}", deadline, Parse);
    }

    private void Write(ref MessageWriter message, ushort type, ushort flags, int link)
    {
        message.Header(type, flags, new InterfaceAddressHeader { Family = FamilyOf(Ip), PrefixLength = (byte)PrefixLength, Index = (uint)link });
        message.Attribute(IFA_LOCAL, Ip);
        message.Attribute(IFA_ADDRESS, Ip);
    }

    private static Address? Parse(ushort type, MessageReader body)
    {
        if (type != RTM_NEWADDR)
        {
            return null;
        }

        var header = body.Read<InterfaceAddressHeader>();
        Ip? local = null;
        while (body.NextAttribute(out var attribute, out var value))
        {
            local = attribute == IFA_LOCAL ? MessageReader.Address(value) : local;
        }

        return header.Family == AF_INET && local is { } ip ? new Address(ip, header.PrefixLength) { Scope = header.Scope } : null;
    }
}
