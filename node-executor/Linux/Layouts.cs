using System.Runtime.InteropServices;

namespace AwsVpcCni.NodeExecutor.Linux;

// The kernel's structs, field by field. LayoutTests has the C compiler prove sizes and offsets.

/// <summary>struct sockaddr_nl, linux/netlink.h. Port 0 is the kernel.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NetlinkAddress
{
    internal ushort Family;
    internal ushort Padding;
    internal uint Port;
    internal uint Groups;
}

/// <summary>struct nlmsghdr, linux/netlink.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NetlinkHeader
{
    internal uint Length;
    internal ushort Type;
    internal ushort Flags;
    internal uint Sequence;
    internal uint Port;
}

/// <summary>struct nlattr, linux/netlink.h. Length counts these four bytes too, but not the padding after the value.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AttributeHeader
{
    internal ushort Length;
    internal ushort Type;
}

/// <summary>struct nlmsgerr, linux/netlink.h. Error is 0 or a negative errno.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NetlinkError
{
    internal int Error;
    internal NetlinkHeader Request;
}

/// <summary>struct nfgenmsg, linux/netfilter/nfnetlink.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NetfilterHeader
{
    internal byte Family;
    internal byte Version;
    internal ushort Resource;
}

/// <summary>struct ifinfomsg, linux/rtnetlink.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LinkHeader
{
    internal byte Family;
    internal byte Padding;
    internal ushort Type;
    internal int Index;
    internal uint Flags;
    internal uint Change;
}

/// <summary>struct ifaddrmsg, linux/if_addr.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct InterfaceAddressHeader
{
    internal byte Family;
    internal byte PrefixLength;
    internal byte Flags;
    internal byte Scope;
    internal uint Index;
}

/// <summary>struct rtmsg, linux/rtnetlink.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RouteHeader
{
    internal byte Family;
    internal byte DestinationBits;
    internal byte SourceBits;
    internal byte Tos;
    internal byte Table;
    internal byte Protocol;
    internal byte Scope;
    internal byte Type;
    internal uint Flags;
}

/// <summary>struct fib_rule_hdr, linux/fib_rules.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RuleHeader
{
    internal byte Family;
    internal byte DestinationBits;
    internal byte SourceBits;
    internal byte Tos;
    internal byte Table;
    internal byte Reserved1;
    internal byte Reserved2;
    internal byte Action;
    internal uint Flags;
}

/// <summary>struct ndmsg, linux/neighbour.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NeighbourHeader
{
    internal byte Family;
    internal byte Padding1;
    internal ushort Padding2;
    internal int Index;
    internal ushort State;
    internal byte Flags;
    internal byte Type;
}

/// <summary>struct timeval on 64-bit Linux.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TimeValue
{
    internal long Seconds;
    internal long Microseconds;
}

/// <summary>struct pollfd, poll.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollDescriptor
{
    internal int Descriptor;
    internal short Events;
    internal short Found;
}
