using System.Runtime.InteropServices;
using System.Text;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;
using static AwsVpcCni.NodeExecutor.Netlink.Rtnetlink;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>One message of the kernel, or what it might be.</summary>
/// <param name="Length">That its header says; null: as long as it is.</param>
internal sealed record KernelMessage(ushort Type, ushort Flags, uint Sequence, uint Port, byte[] Body, uint? Length = null)
{
    private const int HeaderSize = 16;

    public byte[] Bytes()
    {
        var bytes = new byte[HeaderSize + ((Body.Length + 3) & ~3)];
        MemoryMarshal.Write(bytes, new NetlinkHeader { Length = Length ?? (uint)(HeaderSize + Body.Length), Type = Type, Flags = Flags, Sequence = Sequence, Port = Port });
        Body.CopyTo(bytes, HeaderSize);
        return bytes;
    }
}

/// <summary>An answer in datagrams, as the kernel would give it, and ways to break it.</summary>
internal sealed class KernelAnswer
{
    private const ushort NLMSG_NOOP = 1, NLMSG_OVERRUN = 4;
    private const ushort NLM_F_MULTI = 2;
    private static readonly ushort[] Objects = [RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWRULE, RTM_NEWNEIGH, Connection.Answer];

    public List<List<KernelMessage>> Datagrams { get; } = [[]];

    public static KernelMessage Done(uint sequence) => new(NLMSG_DONE, NLM_F_MULTI, sequence, FakeKernel.Port, [0, 0, 0, 0]);

    /// <param name="errno">0: an ack.</param>
    /// <param name="text">The kernel's own, if it gives one.</param>
    public static KernelMessage Error(uint sequence, int errno, string? text = null)
    {
        List<byte> body = [.. BitConverter.GetBytes(-errno), .. new KernelMessage(RTM_NEWLINK, 0, sequence, FakeKernel.Port, []).Bytes()];
        if (text is not null)
        {
            var bytes = Encoding.UTF8.GetBytes(text + "\0");
            body.AddRange([.. BitConverter.GetBytes((ushort)(4 + bytes.Length)), .. BitConverter.GetBytes(NLMSGERR_ATTR_MSG), .. bytes]);
        }

        return new KernelMessage(NLMSG_ERROR, (ushort)(NLM_F_CAPPED | (text is null ? 0 : NLM_F_ACK_TLVS)), sequence, FakeKernel.Port, [.. body]);
    }

    /// <summary>Objects of a listing, a few in each datagram.</summary>
    public void Add(Random random, IEnumerable<(ushort Type, byte[] Body)> items, uint sequence, bool isListing)
    {
        foreach (var (type, body) in items)
        {
            Add(random, new KernelMessage(type, isListing ? NLM_F_MULTI : (ushort)0, sequence, FakeKernel.Port, body));
        }
    }

    public void Add(Random random, KernelMessage message)
    {
        if (Datagrams is { Count: < 3 } and [.., { Count: > 0 }] && random.Chance(0.1))
        {
            Datagrams.Add([]);
        }

        Datagrams[^1].Add(message);
    }

    public IEnumerable<byte[]> Bytes() => Datagrams.Where(datagram => datagram.Count > 0).Select(datagram => (byte[])[.. datagram.SelectMany(message => message.Bytes())]);

    /// <summary>What the asking side has to pass over: answers to others and to earlier questions, and messages that say nothing.</summary>
    public void AddForeign(Random random, uint sequence)
    {
        for (var n = random.Next(1, 4); n > 0; n--)
        {
            var datagram = random.One(Datagrams);
            datagram.Insert(random.Next(datagram.Count + 1), random.Next(5) switch
            {
                0 => new KernelMessage(NLMSG_NOOP, 0, sequence, FakeKernel.Port, []),
                1 => Error(sequence - 1 - (uint)random.Next(5), random.Next(130)),
                2 => Done(sequence + 1_000 + (uint)random.Next(5)),
                3 => Done(sequence) with { Port = (uint)random.Next(1, 4000) },
                _ => new KernelMessage(RTM_DELLINK, 0, sequence - 1, FakeKernel.Port, [1, 2, 3]),
            });
        }
    }

    public void Break(Random random, uint sequence)
    {
        for (var n = random.Next(1, 4); n > 0; n--)
        {
            var datagram = random.One(Datagrams);
            var at = random.Next(datagram.Count + 1);
            if (at == datagram.Count)
            {
                datagram.Add(Odd(random, sequence));
                continue;
            }

            var message = datagram[at];
            switch (random.Next(11))
            {
                case 0: datagram.RemoveAt(at); break;
                case 1: datagram.Insert(at, message); break;
                case 2: datagram.Insert(at, Odd(random, sequence)); break;
                case 3: datagram[at] = message with { Body = message.Body[..random.Next(message.Body.Length + 1)] }; break;
                case 4: datagram[at] = message with { Body = Oddities.Damaged(random, message.Body) }; break;
                case 5: datagram[at] = message with { Body = WithLength(random, message.Body) }; break;
                case 6: datagram[at] = message with { Length = random.One<uint>([0, 1, 15, 16, 17, 19, 20, (uint)message.Body.Length + 15, (uint)message.Body.Length + 17, 65_536, int.MaxValue, 0x8000_0000, uint.MaxValue, uint.MaxValue - 2]) }; break;
                case 7: datagram[at] = message with { Sequence = sequence + (uint)random.Next(-3, 12), Port = random.Chance(0.8) ? message.Port : (uint)random.Next() }; break;
                case 8: datagram[at] = message with { Type = random.One<ushort>([NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN, .. Objects, 0, 0xffff]) }; break;
                case 9: datagram[at] = message with { Flags = (ushort)(message.Flags ^ (1 << random.Next(16))) }; break;
                default: datagram[at] = message with { Flags = (ushort)(message.Flags | NLM_F_DUMP_INTR) }; break;
            }
        }
    }

    private static KernelMessage Odd(Random random, uint sequence) => random.Next(6) switch
    {
        0 => Error(sequence, random.One([0, 1, 4, 11, 16, 105, 4096, int.MaxValue, int.MinValue, -1]), random.Chance(0.5) ? new string('x', random.Next(300)) : null),
        1 => Done(sequence) with { Body = Oddities.Bytes(random.One(["", "\0", "\0\0\0\0", "\xff\xff\xff\xff", "\xf0\xff\xff\xff\x09\0\x01\0abcd"])) },
        2 => new KernelMessage(NLMSG_OVERRUN, 0, sequence, FakeKernel.Port, []),
        3 => Error(sequence, 22, "why") with { Flags = (ushort)random.Next(65_536) },
        4 => new KernelMessage(random.One(Objects), NLM_F_MULTI, sequence, FakeKernel.Port, Nested(random)),
        _ => new KernelMessage(random.One(Objects), NLM_F_MULTI, sequence, FakeKernel.Port, new byte[random.Next(40)]),
    };

    /// <summary>Two bytes anywhere, where the length of an attribute may be.</summary>
    private static byte[] WithLength(Random random, byte[] body)
    {
        var changed = body.ToArray();
        if (changed.Length >= 4)
        {
            BitConverter.TryWriteBytes(changed.AsSpan(random.Next((changed.Length / 4)) * 4), random.One<ushort>([0, 1, 3, 4, 5, 8, (ushort)changed.Length, (ushort)(changed.Length + 1), 0x7fff, 0xffff]));
        }

        return changed;
    }

    /// <summary>Attributes in attributes, each as long as what is in it, or longer.</summary>
    private static byte[] Nested(Random random)
    {
        List<byte> inner = [1, 0, 0, 0];
        for (var depth = random.Next(1, 2_000); depth > 0 && inner.Count < 16_000; depth--)
        {
            inner.InsertRange(0, [.. BitConverter.GetBytes((ushort)(inner.Count + 4 + (random.Chance(0.01) ? 1 : 0))), .. BitConverter.GetBytes((ushort)(0x8000 | IFLA_LINKINFO))]);
        }

        return [.. new byte[16], .. inner];
    }
}
