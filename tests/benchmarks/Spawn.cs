using System.ComponentModel;
using System.Diagnostics;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Text;

namespace AwsVpcCni.Benchmarks;

/// <summary>One program run as a container runtime runs a CNI plugin, and timed from before its start until after its end.</summary>
/// <remarks>By posix_spawn, which is vfork and exec: .NET's Process would add more time than is measured here, and nsenter's start
/// too, so the calling thread is in the node's namespace already.</remarks>
internal static unsafe partial class Spawn
{
    private const int SigKill = 9, EINTR = 4, CLONE_NEWNET = 0x40000000;
    private const int FileActionsSize = 256; // posix_spawn_file_actions_t has 80 bytes in glibc.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <param name="environment"><c>NAME=value</c>, and nothing else.</param>
    /// <param name="stdin">Path of a file.</param>
    /// <exception cref="InvalidOperationException">It failed: a time would mean nothing.</exception>
    public static Timed Run(string program, IReadOnlyList<string> environment, string stdin)
    {
        using var input = File.OpenHandle(stdin);
        using var output = new AnonymousPipeServerStream(PipeDirection.In, HandleInheritability.None);
        var file = Marshal.StringToCoTaskMemUTF8(program);
        var variables = environment.Select(Marshal.StringToCoTaskMemUTF8).Append(0).ToArray();
        nint[] arguments = [file, 0];
        var actions = stackalloc byte[FileActionsSize];
        Check(posix_spawn_file_actions_init(actions), "posix_spawn_file_actions_init");
        try
        {
            Check(posix_spawn_file_actions_adddup2(actions, (int)input.DangerousGetHandle(), 0), "dup2 of stdin");
            Check(posix_spawn_file_actions_adddup2(actions, (int)output.ClientSafePipeHandle.DangerousGetHandle(), 1), "dup2 of stdout");
            var (pid, status) = (0, 0);
            using var deadline = new CancellationTokenSource(Patience);
            using var kill = deadline.Token.Register(() => Kill(Volatile.Read(ref pid), SigKill));

            var from = TimeProvider.System.GetUtcNow();
            var began = Stopwatch.GetTimestamp();
            fixed (nint* argv = arguments, envp = variables)
            {
                Check(posix_spawn(out pid, (byte*)file, actions, null, argv, envp), program);
            }

            while (waitpid(pid, out status, 0) < 0)
            {
                if (Marshal.GetLastPInvokeError() != EINTR)
                {
                    throw new Win32Exception(Marshal.GetLastPInvokeError(), $"{program}: waitpid");
                }
            }

            var took = Stopwatch.GetElapsedTime(began);
            var until = TimeProvider.System.GetUtcNow();
            kill.Unregister();
            output.DisposeLocalCopyOfClientHandle();
            using var reader = new StreamReader(output, Encoding.UTF8);
            var said = reader.ReadToEnd(); // All of it fits into the pipe, or the program would still be there.
            return status == 0
                ? new Timed(took.TotalMilliseconds, from, until, said)
                : throw new InvalidOperationException($"{program} ({environment[0]}) ended with wait status {status}: {said}");
        }
        finally
        {
            _ = posix_spawn_file_actions_destroy(actions);
            Array.ForEach(variables, Marshal.FreeCoTaskMem);
            Marshal.FreeCoTaskMem(file);
        }
    }

    /// <summary>Runs work on a thread of its own that is in another network namespace; what it spawns is there too.</summary>
    public static Task InNamespaceAsync(string netns, Action work)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                Enter(netns);
                work();
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e); // To the one who awaits.
            }
        });
        thread.Start();
        return done.Task;
    }

    /// <summary>Moves the calling thread to another network namespace: only within <see cref="InNamespaceAsync"/>, whose thread is nobody else's.</summary>
    public static void Enter(string netns)
    {
        using var handle = File.OpenHandle(netns);
        Check(setns((int)handle.DangerousGetHandle(), CLONE_NEWNET) == 0 ? 0 : Marshal.GetLastPInvokeError(), $"setns to {netns}");
    }

    /// <summary>Whether the calling thread's namespace has a link of this name.</summary>
    public static bool HasLink(string name) => if_nametoindex(name) != 0;

    private static void Check(int error, string what)
    {
        if (error != 0)
        {
            throw new Win32Exception(error, $"{what}: {Marshal.GetPInvokeErrorMessage(error)}");
        }
    }

    private static void Kill(int pid, int signal)
    {
        if (pid > 0)
        {
            _ = kill(pid, signal);
        }
    }

    [LibraryImport("libc")]
    private static partial int posix_spawn(out int pid, byte* path, byte* actions, byte* attributes, nint* argv, nint* envp);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_adddup2(byte* actions, int from, int to);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int waitpid(int pid, out int status, int options);

    [LibraryImport("libc")]
    private static partial int kill(int pid, int signal);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setns(int descriptor, int kind);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial uint if_nametoindex(string name);
}

/// <summary>How long a program took.</summary>
/// <param name="From">UTC, as <paramref name="Until"/>: to be compared with other programs' logs.</param>
internal sealed record Timed(double Milliseconds, DateTimeOffset From, DateTimeOffset Until, string Stdout);
