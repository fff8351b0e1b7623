using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.KillPoints;

/// <summary>Names each system call of an executor that leads out of it, or kills it at one of them. A program of its own:
/// a tracer waits for all that its process has started.</summary>
/// <remarks>Arguments: <c>PID STATE-FOLDER [before|after N SITE]</c>. It says <c>attached</c>, then a line a call unless it kills, and ends with the executor.</remarks>
internal sealed class Tracer : IDisposable
{
    private static readonly string[] Verbs = ["NEW", "DEL", "GET", "SET"];
    private static readonly Dictionary<int, string> Things = new() { [4] = "LINK", [5] = "ADDR", [6] = "ROUTE", [7] = "NEIGH", [8] = "RULE" };
    private static readonly SearchValues<byte> PathLetters = SearchValues.Create("/abcdefghijklmnopqrstuvwxyz0123456789"u8);

    private readonly int process;
    private readonly Descriptors descriptors;
    private readonly KillAt? kill;
    private readonly Dictionary<int, Traced> threads = [];
    private readonly Dictionary<int, string> asked = []; // By netlink socket: what its next answers are about.
    private int seen;

    private Tracer(int process, string stateFolder, KillAt? kill) => (this.process, descriptors, this.kill) = (process, new Descriptors(process, stateFolder), kill);

    public static int Run(string[] words)
    {
        var process = int.Parse(words[0], CultureInfo.InvariantCulture);
        var kill = words is [_, _, var side, var nth, var site] ? new KillAt(side == "after", int.Parse(nth, CultureInfo.InvariantCulture), site) : null;
        using var tracer = new Tracer(process, words[1], kill);
        tracer.Attach();
        Console.WriteLine("attached");
        tracer.Follow();
        return 0;
    }

    public void Dispose() => descriptors.Dispose();

    private void Attach()
    {
        var task = $"/proc/{process}/task";
        if (!Ptrace.TrySeize(process))
        {
            throw new InvalidOperationException($"Process {process} cannot be traced: it has ended, another one traces it, or this has no CAP_SYS_PTRACE.");
        }

        // A thread that comes while we look is traced already by the one that starts it, or is there at the next look.
        threads[process] = new Traced();
        while (Directory.EnumerateDirectories(task).Select(thread => int.Parse(Path.GetFileName(thread), CultureInfo.InvariantCulture)).Where(thread => threads.TryAdd(thread, new Traced())).ToList() is { Count: > 0 } found)
        {
            found.ForEach(thread => Ptrace.TrySeize(thread));
        }
    }

    private void Follow()
    {
        while (Ptrace.Wait() is var (id, status))
        {
            if ((status & 0xff) != 0x7f)
            {
                threads.Remove(id); // It has ended.
                continue;
            }

            var (signal, happened) = ((status >> 8) & 0xff, status >> 16);
            if (signal == Ptrace.SyscallStop)
            {
                if (!threads.TryGetValue(id, out var thread))
                {
                    threads[id] = thread = new Traced();
                }

                if (Ptrace.InfoOf(id) is not { } info || !IsKilledAt(thread, info))
                {
                    Ptrace.GoOn(id);
                }
            }
            else if (happened == Ptrace.EventStop && signal != Ptrace.SigTrap)
            {
                Ptrace.Listen(id);
            }
            else
            {
                Ptrace.GoOn(id, happened == 0 ? signal : 0);
            }
        }
    }

    /// <returns>Whether it is killed: then the thread stays where it is.</returns>
    private bool IsKilledAt(Traced thread, Ptrace.SyscallInfo info)
    {
        if (info.Op == Ptrace.Exit)
        {
            return thread.Now is { } done && IsPoint(done, isAfter: true);
        }

        thread.Now = NameOf(thread, info);
        if (kill is null && thread.Now is not null)
        {
            Console.WriteLine(thread.Now);
        }

        return thread.Now is not null && IsPoint(thread.Now, isAfter: false);
    }

    private bool IsPoint(string site, bool isAfter)
    {
        if (kill is null || kill.IsAfter != isAfter || kill.Site != site || ++seen < kill.Nth)
        {
            return false;
        }

        // The thread is in its stop: the kernel has not begun the call and never will, or has done it and tells nobody.
        ProcessId.Of(process)?.Signal(ProcessId.SigKill);
        return true;
    }

    /// <summary>What the call is and what it is about.</summary>
    /// <returns>Null: nothing outside of the process sees it.</returns>
    private unsafe string? NameOf(Traced thread, Ptrace.SyscallInfo info)
    {
        if (!Syscalls.Known.TryGetValue(info.NumberOrResult, out var call))
        {
            return string.Create(CultureInfo.InvariantCulture, $"system call {info.NumberOrResult}");
        }

        const int Changes = 0x3 | 0x40; // O_WRONLY, O_RDWR, O_CREAT.
        var isOpen = call.Name is "open" or "openat";
        var about = call.About switch
        {
            Syscalls.About.Descriptor => descriptors.Of((int)info.Arguments[0]),
            _ when isOpen && (info.Arguments[call.Name == "open" ? 1 : 2] & Changes) == 0 => null,
            Syscalls.About.Path => descriptors.Path(Ptrace.ReadText(process, info.Arguments[0])),
            Syscalls.About.PathAt => descriptors.Path(Ptrace.ReadText(process, info.Arguments[1])),
            _ => null,
        };
        if (call.Name == "close")
        {
            asked.Remove((int)info.Arguments[0]); // The next socket of this number has sent nothing yet.
        }

        var isSocket = about is "plugin" or "silo" or "netfilter" || about?.StartsWith("netlink", StringComparison.Ordinal) is true;
        return about is null || (call.Name is "read" or "pread64" or "close" && !isSocket) || (call.Name == "close" && about is not ("plugin" or "silo")) ? null
            : $"{call.Name} {about}{Detail(thread, call.Name, about, info)}";
    }

    private unsafe string Detail(Traced thread, string call, string about, Ptrace.SyscallInfo info)
    {
        const int Most = 64 * 1024;
        var (descriptor, start, count) = ((int)info.Arguments[0], info.Arguments[1], (int)Math.Min(info.Arguments[2], Most));
        ReadOnlySpan<byte> Bytes() => Ptrace.Read(process, start, count);
        switch (about, call)
        {
            case ("netlink host" or "netlink pod", "sendto"):
                thread.Sent = NameOf(MessagesIn(Bytes()), thread.Sent, asked.GetValueOrDefault(descriptor));
                return ": " + (asked[descriptor] = thread.Sent);
            case ("netfilter", "sendto"):
                return ": " + (asked[descriptor] = NetfilterIn(Bytes()));
            case ("netlink host" or "netlink pod" or "netfilter", "recvfrom"):
                return asked.TryGetValue(descriptor, out var request) ? ": answers to " + request : "";
            case ("store lease", "write" or "pwrite64"):
                return Encoding.UTF8.GetString(Bytes()).Split('"') is [_, _, _, var line, ..] ? ": " + line : "";
            case ("silo", "sendto" or "sendmsg"):
                return PathIn(Bytes());
            default:
                return "";
        }
    }

    /// <summary>What is sent from more than one place in our code, by what came before it.</summary>
    /// <param name="before">The thread's last messages; null: these are its first.</param>
    /// <param name="beforeHere">The socket's; null: these are its first.</param>
    private static string NameOf(string messages, string? before, string? beforeHere) => messages switch
    {
        "GETLINK" when before == "NEWLINK" => "GETLINK of the new one",
        "DELLINK" when before == "GETLINK of the new one" => "DELLINK of one of the same name",
        "DELLINK" when before is not null and not "DELLINK" => "DELLINK to undo", // Others go by a thread that sends nothing else.
        "DELRULE" when beforeHere == "NEWADDR" => "DELRULE before the new one",
        _ => messages,
    };

    /// <summary>rtnetlink's messages by their types; GETLINKS: a listing.</summary>
    private static string MessagesIn(ReadOnlySpan<byte> bytes)
    {
        const int Get = 2, Dump = 0x300;
        return string.Join('+', HeadersIn(bytes).Select(header => Verbs[header.Type & 3] + Things.GetValueOrDefault(header.Type >> 2, "OTHER") + ((header.Type & 3) == Get && (header.Flags & Dump) == Dump ? "S" : "")));
    }

    /// <summary>What netfilter is asked: about tracked connections, of which one message may name many, or by libnftables.</summary>
    private static string NetfilterIn(ReadOnlySpan<byte> bytes)
    {
        const int Listing = 0x101, Deletion = 0x102; // NFNL_SUBSYS_CTNETLINK << 8, IPCTNL_MSG_CT_GET and _DELETE.
        return string.Join('+', HeadersIn(bytes).Select(header => header.Type switch { Listing => "GETCONNECTIONS", Deletion => "DELCONNECTION", _ => "NFTABLES" }).Distinct());
    }

    private static List<(int Type, int Flags)> HeadersIn(ReadOnlySpan<byte> bytes)
    {
        const int Header = 16;
        List<(int, int)> headers = [];
        for (var rest = bytes; rest.Length >= Header; rest = rest[Math.Min(rest.Length, Math.Max(Header, (BinaryPrimitives.ReadInt32LittleEndian(rest) + 3) & ~3))..])
        {
            headers.Add((BinaryPrimitives.ReadUInt16LittleEndian(rest[4..]), BinaryPrimitives.ReadUInt16LittleEndian(rest[6..])));
        }

        return headers;
    }

    /// <summary>Which call of the node API a request begins: our client writes its headers in clear text.</summary>
    private static string PathIn(ReadOnlySpan<byte> bytes)
    {
        var at = bytes.IndexOf("/node/v1/"u8);
        var end = at < 0 ? -1 : bytes[at..].IndexOfAnyExcept(PathLetters);
        return end < 0 ? "" : ": " + Encoding.ASCII.GetString(bytes.Slice(at, end));
    }

    private sealed class Traced
    {
        /// <summary>The call that it is in, or was last.</summary>
        public string? Now { get; set; }

        /// <summary>Its last messages to the kernel.</summary>
        public string? Sent { get; set; }
    }

    private sealed record KillAt(bool IsAfter, int Nth, string Site);
}
