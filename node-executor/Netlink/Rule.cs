using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>A policy rule for one address: traffic to it, or from it, looks up a table.</summary>
/// <param name="From">Null: from anywhere.</param>
/// <param name="To">Null: to anywhere.</param>
/// <param name="Table">0 in a deletion: whichever.</param>
internal sealed record Rule(int Priority, Ip? From, Ip? To, int Table)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Priority}:{(From is null ? "" : $" from {From}")}{(To is null ? "" : $" to {To}")} lookup {Table}";

    /// <summary>Fails with EEXIST when there already is the same one.</summary>
    internal void Add(ref MessageWriter message) => Write(ref message, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);

    /// <summary>Deletes the first that matches; fails with ENOENT when none does.</summary>
    internal void Delete(ref MessageWriter message) => Write(ref message, RTM_DELRULE, 0);

    /// <summary>Every IPv4 rule that is for one address and looks up a table.</summary>
    internal static List<Rule> All(NetlinkSocket socket, Deadline deadline)
    {
        var message = new MessageWriter(stackalloc byte[64]);
        message.Header(RTM_GETRULE, NLM_F_DUMP, new RuleHeader { Family = AF_INET });
        return socket.Dump<Rule>(message.Written, "list rules", deadline, Parse);
    }

    private void Write(ref MessageWriter message, ushort type, ushort flags)
    {
        message.Header(type, flags, new RuleHeader
        {
            Family = Address.FamilyOf((From ?? To)!.Value),
            SourceBits = Bits(From),
            DestinationBits = Bits(To),
            Table = (byte)(Table < 256 ? Table : RT_TABLE_COMPAT),
            Action = FR_ACT_TO_TBL,
        });
        if (From is { } from)
        {
            message.Attribute(FRA_SRC, from);
        }

        if (To is { } to)
        {
            message.Attribute(FRA_DST, to);
        }

        message.Attribute(FRA_PRIORITY, (uint)Priority);
        if (Table != RT_TABLE_UNSPEC)
        {
            message.Attribute(FRA_TABLE, (uint)Table);
        }
    }

    private static byte Bits(Ip? ip) => (byte)(ip is null ? 0 : ip.Value.IsV6 ? 128 : 32);

    private static Rule? Parse(ushort type, MessageReader body)
    {
        if (type != RTM_NEWRULE)
        {
            return null;
        }

        var header = body.Read<RuleHeader>();
        if (header.Family != AF_INET || header.Action != FR_ACT_TO_TBL ||
            header.SourceBits is not (0 or 32) || header.DestinationBits is not (0 or 32) || header.SourceBits + header.DestinationBits == 0)
        {
            return null;
        }

        var rule = new Rule(0, null, null, header.Table);
        while (body.NextAttribute(out var attribute, out var value))
        {
            rule = attribute switch
            {
                FRA_SRC => rule with { From = MessageReader.Address(value) },
                FRA_DST => rule with { To = MessageReader.Address(value) },
                FRA_PRIORITY => rule with { Priority = (int)MessageReader.UInt32(value) },
                FRA_TABLE => rule with { Table = (int)MessageReader.UInt32(value) },
                _ => rule,
            };
        }

        return rule;
    }
}
