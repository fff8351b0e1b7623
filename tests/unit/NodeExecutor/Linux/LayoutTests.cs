using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using AwsVpcCni.NodeExecutor.Linux;
using AwsVpcCni.NodeExecutor.Netlink;
using Xunit;

namespace AwsVpcCni.Tests.Unit.NodeExecutor.Linux;

/// <summary>A C compiler with the kernel's headers, not a reviewer, proves every struct and every number.</summary>
public sealed class LayoutTests
{
    [Fact]
    public void Every_struct_has_the_kernels_size_and_offsets()
    {
        var source = new StringBuilder("#include <stddef.h>\n#include <poll.h>\n#include <sys/time.h>\n");
        Struct<NetlinkAddress>(source, "struct sockaddr_nl", "nl_family", "nl_pad", "nl_pid", "nl_groups");
        Struct<NetlinkHeader>(source, "struct nlmsghdr", "nlmsg_len", "nlmsg_type", "nlmsg_flags", "nlmsg_seq", "nlmsg_pid");
        Struct<AttributeHeader>(source, "struct nlattr", "nla_len", "nla_type");
        Struct<NetlinkError>(source, "struct nlmsgerr", "error", "msg");
        Struct<LinkHeader>(source, "struct ifinfomsg", "ifi_family", "__ifi_pad", "ifi_type", "ifi_index", "ifi_flags", "ifi_change");
        Struct<InterfaceAddressHeader>(source, "struct ifaddrmsg", "ifa_family", "ifa_prefixlen", "ifa_flags", "ifa_scope", "ifa_index");
        Struct<RouteHeader>(source, "struct rtmsg", "rtm_family", "rtm_dst_len", "rtm_src_len", "rtm_tos", "rtm_table", "rtm_protocol", "rtm_scope", "rtm_type", "rtm_flags");
        Struct<RuleHeader>(source, "struct fib_rule_hdr", "family", "dst_len", "src_len", "tos", "table", "res1", "res2", "action", "flags");
        Struct<NeighbourHeader>(source, "struct ndmsg", "ndm_family", "ndm_pad1", "ndm_pad2", "ndm_ifindex", "ndm_state", "ndm_flags", "ndm_type");
        Struct<NetfilterHeader>(source, "struct nfgenmsg", "nfgen_family", "version", "res_id");
        Struct<TimeValue>(source, "struct timeval", "tv_sec", "tv_usec");
        Struct<PollDescriptor>(source, "struct pollfd", "fd", "events", "revents");
        Compile(source.ToString());
    }

    [Fact]
    public void Every_number_is_the_headers_number()
    {
        var source = new StringBuilder("#include <sched.h>\n#include <errno.h>\n#include <poll.h>\n#include <linux/netfilter/nfnetlink_conntrack.h>\n");
        foreach (var type in (Type[])[typeof(Rtnetlink), typeof(Libc)])
        {
            foreach (var field in type.GetFields(BindingFlags.NonPublic | BindingFlags.Static).Where(field => field.IsLiteral))
            {
                Number(source, field.Name, field.GetRawConstantValue()!);
            }
        }

        foreach (var errno in Enum.GetValues<Errno>().Where(errno => errno != Errno.None))
        {
            Number(source, errno.ToString(), (int)errno);
        }

        Number(source, "IFNAMSIZ - 1", Link.MaxNameLength);
        Number(source, "IFALIASZ - 1", Link.MaxAliasLength);
        Compile(source.ToString());
    }

    [Fact]
    public void A_wrong_number_is_found() =>
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => Compile("_Static_assert(sizeof(struct rtmsg) == 13, \"\");"));

    private static void Number(StringBuilder source, string name, object value) =>
        source.Append(FormattableString.Invariant($"_Static_assert(({name}) == {value}, \"{name}\");\n"));

    /// <param name="fields">In C, in the order of ours; empty for padding that has no name there.</param>
    private static void Struct<T>(StringBuilder source, string name, params string[] fields)
        where T : unmanaged
    {
        Number(source, $"sizeof({name})", Unsafe.SizeOf<T>());
        var ours = typeof(T).GetFields(BindingFlags.Instance | BindingFlags.NonPublic);
        Assert.Equal(ours.Length, fields.Length);
        foreach (var (field, theirs) in ours.Zip(fields))
        {
            Number(source, $"offsetof({name}, {theirs})", Marshal.OffsetOf<T>(field.Name).ToInt32());
        }
    }

    private static void Compile(string asserts)
    {
        string[] headers =
            ["sys/socket.h", "linux/netlink.h", "linux/rtnetlink.h", "linux/if.h", "linux/if_link.h", "linux/if_addr.h", "linux/fib_rules.h", "linux/neighbour.h", "linux/veth.h", "linux/netfilter/nfnetlink.h"];
        var source = string.Concat(headers.Select(header => $"#include <{header}>\n")) + asserts;
        Process compiler;
        try
        {
            compiler = Process.Start(new ProcessStartInfo(Environment.GetEnvironmentVariable("AWS_VPC_CNI_TEST_CC") ?? "gcc", [ // Another one has another machine's headers (scripts/arm64.sh).
                "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-x", "c", "-"]) { RedirectStandardInput = true, RedirectStandardError = true })!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("gcc is not installed (apt-get install gcc libc6-dev): the kernel's structs stay unproved.");
            return;
        }

        using (compiler)
        {
            var errors = compiler.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            compiler.StandardInput.Write(source);
            compiler.StandardInput.Close();
            compiler.WaitForExit();
            Assert.True(compiler.ExitCode == 0, errors.Result);
        }
    }
}
