using System.Collections.Frozen;
using System.Globalization;

namespace AwsVpcCni.Tests.EndToEnd.KillPoints;

/// <summary>System calls of x86-64 by number, and where each names what it is about.</summary>
internal static class Syscalls
{
    /// <summary>Which argument says what a call is about.</summary>
    internal enum About
    {
        /// <summary>The first one is a descriptor.</summary>
        Descriptor,

        /// <summary>The first one is the path of what is changed.</summary>
        Path,

        /// <summary>The second one is.</summary>
        PathAt,

        /// <summary>None: only the process itself can tell whether it was made, so an end there is an end after the call before it.</summary>
        Itself,
    }

    public static FrozenDictionary<long, (string Name, About About)> Known { get; } = new[]
    {
        List(About.Descriptor,
            "0 read, 1 write, 3 close, 16 ioctl, 17 pread64, 18 pwrite64, 19 readv, 20 writev, 42 connect, 43 accept, 44 sendto, 45 recvfrom, 46 sendmsg, "
            + "47 recvmsg, 48 shutdown, 50 listen, 74 fsync, 75 fdatasync, 77 ftruncate, 91 fchmod, 285 fallocate, 288 accept4, 295 preadv, 296 pwritev, 299 recvmmsg, 307 sendmmsg, 308 setns"),
        List(About.Path, "2 open, 76 truncate, 82 rename, 83 mkdir, 84 rmdir, 86 link, 87 unlink, 88 symlink, 90 chmod"),
        List(About.PathAt, "257 openat, 258 mkdirat, 263 unlinkat, 264 renameat, 268 fchmodat, 316 renameat2"),

        // Memory, threads, clocks, random numbers; looks; what belongs to a descriptor alone; waits, after which the calls above read and write.
        List(About.Itself,
            "9 mmap, 10 mprotect, 11 munmap, 12 brk, 13 rt_sigaction, 14 rt_sigprocmask, 15 rt_sigreturn, 24 sched_yield, 25 mremap, 28 madvise, 35 nanosleep, 39 getpid, 56 clone, 60 exit, "
            + "98 getrusage, 99 sysinfo, 131 sigaltstack, 157 prctl, 186 gettid, 202 futex, 203 sched_setaffinity, 204 sched_getaffinity, 218 set_tid_address, 219 restart_syscall, "
            + "228 clock_gettime, 230 clock_nanosleep, 231 exit_group, 234 tgkill, 273 set_robust_list, 302 prlimit64, 309 getcpu, 318 getrandom, 324 membarrier, 334 rseq, 435 clone3, "
            + "4 stat, 5 fstat, 6 lstat, 8 lseek, 21 access, 89 readlink, 138 fstatfs, 217 getdents64, 221 fadvise64, 262 newfstatat, 267 readlinkat, 269 faccessat, 332 statx, 439 faccessat2, "
            + "32 dup, 41 socket, 49 bind, 51 getsockname, 52 getpeername, 54 setsockopt, 55 getsockopt, 72 fcntl, 73 flock, "
            + "7 poll, 232 epoll_wait, 233 epoll_ctl, 270 pselect6, 271 ppoll, 281 epoll_pwait, 290 eventfd2, 291 epoll_create1, 441 epoll_pwait2"),
    }.SelectMany(calls => calls).ToFrozenDictionary(call => call.Number, call => (call.Name, call.About));

    private static IEnumerable<(long Number, string Name, About About)> List(About about, string calls) =>
        calls.Split(", ").Select(call => call.Split(' ')).Select(words => (long.Parse(words[0], CultureInfo.InvariantCulture), words[1], about));
}
