using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace AwsVpcCni.Tests.EndToEnd.KillPoints;

/// <summary>The part of ptrace(2) that a tracer of system calls needs. All calls for a process come from one thread.</summary>
internal static unsafe partial class Ptrace
{
    public const int SigTrap = 5, SyscallStop = SigTrap | 0x80; // PTRACE_O_TRACESYSGOOD tells them from real ones.
    public const int Entry = 1, Exit = 2;
    public const int EventStop = 128;

    private const int Syscall = 24, Seize = 0x4206, Interrupt = 0x4207, Listening = 0x4208, GetSyscallInfo = 0x420e;
    private const int TraceSysGood = 1, TraceClone = 8;
    private const int WaitAll = 0x40000000; // __WALL
    private const int Eperm = 1, Esrch = 3;

    /// <summary>Traces a thread and those that it starts from now on; it stops at its next chance.</summary>
    /// <returns>False when it has ended, or may not be traced: it is already, or this process has no right to.</returns>
    public static bool TrySeize(int thread) => TryCall(Seize, thread, 0, TraceSysGood | TraceClone) && TryCall(Interrupt, thread, 0, 0);

    /// <summary>Lets a stopped thread go on to its next entry to or exit from a system call.</summary>
    public static void GoOn(int thread, int signal = 0) => TryCall(Syscall, thread, 0, signal);

    /// <summary>Leaves a thread in a stop of its whole process (SIGSTOP).</summary>
    public static void Listen(int thread) => TryCall(Listening, thread, 0, 0);

    /// <returns>Null when the thread was killed meanwhile.</returns>
    public static SyscallInfo? InfoOf(int thread)
    {
        SyscallInfo info;
        return TryCall(GetSyscallInfo, thread, sizeof(SyscallInfo), (nint)(&info)) ? info : null;
    }

    /// <summary>The next thread that stops or ends.</summary>
    /// <returns>Null when none is left.</returns>
    public static (int Thread, int Status)? Wait()
    {
        int status;
        var thread = waitpid(-1, &status, WaitAll);
        return thread > 0 ? (thread, status) : null;
    }

    /// <summary>Of the memory of a process; fewer bytes where it ends.</summary>
    public static byte[] Read(int process, ulong address, int count)
    {
        var bytes = new byte[count];
        fixed (byte* start = bytes)
        {
            nint* local = stackalloc nint[2] { (nint)start, count };
            nint* remote = stackalloc nint[2] { (nint)address, count };
            var read = process_vm_readv(process, local, 1, remote, 1, 0);
            return read < 0 ? [] : bytes[..(int)read];
        }
    }

    public static string ReadText(int process, ulong address)
    {
        const int Page = 4096;
        var bytes = Read(process, address, (int)(Page - (address % Page))); // A path that goes on behind a page's end is cut: our folders' names are short.
        return Encoding.UTF8.GetString(bytes.AsSpan(0, bytes.AsSpan().IndexOf((byte)0) is var end and >= 0 ? end : bytes.Length));
    }

    private static bool TryCall(int request, int thread, nint address, nint data) =>
        ptrace(request, thread, address, data) >= 0 ? true
        : Marshal.GetLastPInvokeError() == Esrch || (request == Seize && Marshal.GetLastPInvokeError() == Eperm) ? false
        : throw new Win32Exception(Marshal.GetLastPInvokeError(), string.Create(CultureInfo.InvariantCulture, $"ptrace 0x{request:x} of {thread}"));

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint ptrace(nint request, int thread, nint address, nint data);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int waitpid(int process, int* status, int options);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint process_vm_readv(int process, nint* local, nuint locals, nint* remote, nuint remotes, nuint flags);

    /// <summary>struct ptrace_syscall_info, which is the same on each machine.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct SyscallInfo
    {
        public byte Op;
        public uint Arch;
        public ulong InstructionPointer, StackPointer;

        /// <summary>At an entry the number of the call, at an exit its result.</summary>
        public long NumberOrResult;
        public fixed ulong Arguments[6];
        private ulong more;
    }
}
