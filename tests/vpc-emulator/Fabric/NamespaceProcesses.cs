using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace AwsVpcCni.VpcEmulator.Fabric;

/// <summary>Ends what runs inside a namespace, as the end of an instance does.</summary>
internal static partial class NamespaceProcesses
{
    private const int SIGKILL = 9; // asm-generic/signal.h
    private const int ESRCH = 3; // asm-generic/errno-base.h
    private const int EINTR = 4;
    private const short POLLIN = 1; // asm-generic/poll.h
    private const int Rounds = 5; // A process may fork while it is being killed.
    private const int ExitMilliseconds = 5000;
    private const int Interruptions = 100; // Each child that ends sends SIGCHLD, which ends a poll, also that of the one waited for.

    /// <exception cref="InvalidOperationException">Something inside did not end.</exception>
    public static async Task KillAsync(string netns, CancellationToken cancellation)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var inside = await ListAsync(netns, cancellation);
            if (inside.Length == 0)
            {
                return;
            }

            foreach (var id in inside)
            {
                Kill(id, netns);
            }
        }

        throw new InvalidOperationException($"{netns}: new processes keep starting in this namespace. End their parent and try again.");
    }

    /// <summary>The ids of the processes inside, without this one.</summary>
    public static async Task<int[]> ListAsync(string netns, CancellationToken cancellation)
    {
        var lines = await Command.RunAsync("ip", ["netns", "pids", netns], null, cancellation);
        return [.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => int.Parse(line, CultureInfo.InvariantCulture))
            .Where(id => id != Environment.ProcessId)];
    }

    private static void Kill(int id, string netns)
    {
        // Through a descriptor: it says when the process has ended even if nobody collects it, and an id that was given
        // to a new process meanwhile is not waited for.
        var descriptor = PidFdOpen(id, 0);
        if (descriptor < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            if (error == ESRCH)
            {
                return;
            }

            throw new Win32Exception(error, $"{netns}: cannot open process {id}");
        }

        using var process = new SafeFileHandle(descriptor, ownsHandle: true);
        _ = PidFdSendSignal(process, SIGKILL, 0, 0);
        if (!HasEnded(descriptor))
        {
            throw new InvalidOperationException($"{netns}: process {id} was killed but has not ended within {ExitMilliseconds} ms.");
        }
    }

    private static bool HasEnded(int descriptor)
    {
        var wait = new PollEntry { Descriptor = descriptor, Events = POLLIN };
        var ready = Poll(ref wait, 1, ExitMilliseconds);
        for (var interrupted = 0; ready < 0 && Marshal.GetLastPInvokeError() == EINTR && interrupted < Interruptions; interrupted++)
        {
            ready = Poll(ref wait, 1, ExitMilliseconds);
        }

        return ready == 1;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    [LibraryImport("libc", EntryPoint = "pidfd_open", SetLastError = true)]
    private static partial int PidFdOpen(int id, uint flags);

    [LibraryImport("libc", EntryPoint = "pidfd_send_signal", SetLastError = true)]
    private static partial int PidFdSendSignal(SafeHandle descriptor, int signal, nint info, uint flags);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollEntry entries, nuint count, int timeoutMilliseconds);
}
