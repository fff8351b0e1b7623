using AwsVpcCni.Core.Addressing;
using AwsVpcCni.NodeExecutor.Linux;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.NodeExecutor.Netlink;

/// <summary>A policy rule: traffic to or from some addresses, or with a mark, looks up a table.</summary>
/// <param name="From">Null: from anywhere.</param>
/// <param name="To">Null: to anywhere.</param>
/// <param name="Table">0 in a deletion: whichever.</param>
internal sealed record Rule(int Priority, Cidr? From, Cidr? To, int Table)
{
    /// <summary>A rule for one address.</summary>
    internal Rule(int priority, Ip? from, Ip? to, int table)
        : this(priority, from is { } sender ? Cidr.Single(sender) : null, to is { } receiver ? Cidr.Single(receiver) : null, table)
    {
    }

    /// <summary>The bits that a packet's mark must have; others do not matter. 0: whatever mark.</summary>
    internal uint Mark { get; init; }

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Priority}:{Named("from", From)}{Named("to", To)}{(Mark == 0 ? "" : $" fwmark 0x{Mark:x}/0x{Mark:x}")} lookup {Table}";

    /// <summary>Fails with EEXIST when there already is the same one.</summary>
    internal void Add(ref MessageWriter message) => Write(ref message, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);

    /// <summary>Deletes the first that matches; fails with ENOENT when none does.</summary>
    internal void Delete(ref MessageWriter message) => Write(ref message, RTM_DELRULE, 0);

    /// <summary>Every IPv4 rule that is for addresses or marks and looks up a table.</summary>
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
            Family = (From ?? To) is { } range ? Address.FamilyOf(range.Base) : AF_INET,
            SourceBits = Bits(From),
            DestinationBits = Bits(To),
            Table = (byte)(Table < 256 ? Table : RT_TABLE_COMPAT),
            Action = FR_ACT_TO_TBL,
        });
        if (From is { } from)
        {
            message.Attribute(FRA_SRC, from.Base);
        }

        if (To is { } to)
        {
            message.Attribute(FRA_DST, to.Base);
        }

        message.Attribute(FRA_PRIORITY, (uint)Priority);
        if (Mark != 0)
        {
            message.Attribute(FRA_FWMARK, Mark);
            message.Attribute(FRA_FWMASK, Mark);
        }

        if (Table != RT_TABLE_UNSPEC)
        {
            message.Attribute(FRA_TABLE, (uint)Table);
        }
    }

    private static byte Bits(Cidr? range) => (byte)(range?.Length ?? 0);

    private static string Named(string word, Cidr? range) => range is not { } some ? "" : some.IsSingle ? $" {word} {some.Base}" : $" {word} {some}";

    private static Rule? Parse(ushort type, MessageReader body)
    {
        if (type != RTM_NEWRULE)
        {
            return null;
        }

        var header = body.Read<RuleHeader>();
        if (header.Family != AF_INET || header.Action != FR_ACT_TO_TBL || header.SourceBits > 32 || header.DestinationBits > 32 || header.Tos != 0 || (header.Flags & FIB_RULE_INVERT) != 0)
        {
            return null;
        }

        var rule = new Rule(0, (Cidr?)null, null, header.Table);
        var mask = 0u;
        while (body.NextAttribute(out var attribute, out var value))
        {
            if (attribute is not (FRA_SRC or FRA_DST or FRA_PRIORITY or FRA_FWMARK or FRA_FWMASK or FRA_TABLE or FRA_PROTOCOL)
                && !(attribute is FRA_SUPPRESS_IFGROUP or FRA_SUPPRESS_PREFIXLEN && MessageReader.UInt32(value) == uint.MaxValue)) // None.
            {
                return null; // It asks for more: an interface, a port, a user.
            }

            rule = attribute switch
            {
                FRA_SRC => rule with { From = new Cidr(MessageReader.Address(value), header.SourceBits) },
                FRA_DST => rule with { To = new Cidr(MessageReader.Address(value), header.DestinationBits) },
                FRA_PRIORITY => rule with { Priority = (int)MessageReader.UInt32(value) },
                FRA_TABLE => rule with { Table = (int)MessageReader.UInt32(value) },
                FRA_FWMARK => rule with { Mark = MessageReader.UInt32(value) },
                _ => rule,
            };
            mask = attribute == FRA_FWMASK ? MessageReader.UInt32(value) : mask;
        }

        return rule.Mark != mask || rule is { From: null, To: null, Mark: 0 } ? null : rule; // Not the kind that we make.
    }
}
