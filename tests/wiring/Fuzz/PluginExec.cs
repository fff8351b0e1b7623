using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using AwsVpcCni.Tests.Wiring.Executor;

namespace AwsVpcCni.Tests.Wiring.Fuzz;

/// <summary>One run of the shipped plugin, by posix_spawn: an environment may hold bytes that .NET's Process cannot give.</summary>
internal sealed unsafe partial class PluginExec : IDisposable
{
    private const int SigKill = 9, EINTR = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("fuzz-exec-");

    /// <summary>Of the repository that these tests were built in.</summary>
    public static string Program { get; } = FindProgram();

    /// <param name="environment"><c>NAME=value</c> in Latin-1, and nothing else.</param>
    /// <exception cref="FuzzException">A signal has ended it, or it has not ended.</exception>
    public PluginAnswer Run(IEnumerable<string> environment, byte[] stdin)
    {
        var (given, printed) = (Path.Combine(folder.FullName, "stdin"), Path.Combine(folder.FullName, "stdout"));
        File.WriteAllBytes(given, stdin);
        using (var input = File.OpenHandle(given))
        using (var output = File.OpenHandle(printed, FileMode.Create, FileAccess.Write))
        using (var nowhere = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.Write))
        {
            var began = Stopwatch.GetTimestamp();
            var status = Run(environment, (int)input.DangerousGetHandle(), (int)output.DangerousGetHandle(), (int)nowhere.DangerousGetHandle());
            var took = Stopwatch.GetElapsedTime(began);
            if ((status & 0x7f) != 0 || took > Patience)
            {
                throw new FuzzException($"the plugin ended with wait status {status} after {took}");
            }

            return new PluginAnswer(status >> 8, System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(printed)));
        }
    }

    public void Dispose() => folder.Delete(recursive: true);

    private static int Run(IEnumerable<string> environment, int stdin, int stdout, int stderr)
    {
        var file = Marshal.StringToCoTaskMemUTF8(Program);
        var variables = environment.Select(Allocate).Append(0).ToArray();
        nint[] arguments = [file, 0];
        var actions = stackalloc byte[256]; // posix_spawn_file_actions_t has 80 in glibc.
        Check(posix_spawn_file_actions_init(actions));
        try
        {
            Check(posix_spawn_file_actions_adddup2(actions, stdin, 0));
            Check(posix_spawn_file_actions_adddup2(actions, stdout, 1));
            Check(posix_spawn_file_actions_adddup2(actions, stderr, 2));
            int pid;
            fixed (nint* argv = arguments, envp = variables)
            {
                Check(posix_spawn(out pid, (byte*)file, actions, null, argv, envp));
            }

            using var deadline = new CancellationTokenSource(Patience);
            using var killing = deadline.Token.Register(() => _ = kill(pid, SigKill));
            int status;
            while (waitpid(pid, out status, 0) < 0)
            {
                Check(Marshal.GetLastPInvokeError() is var error && error == EINTR ? 0 : error);
            }

            return status;
        }
        finally
        {
            _ = posix_spawn_file_actions_destroy(actions);
            Array.ForEach(variables, Marshal.FreeCoTaskMem);
            Marshal.FreeCoTaskMem(file);
        }
    }

    private static nint Allocate(string variable)
    {
        byte[] bytes = [.. Oddities.Bytes(variable), 0];
        var start = Marshal.AllocCoTaskMem(bytes.Length);
        Marshal.Copy(bytes, 0, start, bytes.Length);
        return start;
    }

    private static string FindProgram()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "AwsVpcCni.Distributed.sln")))
        {
            root = root.Parent;
        }

        var path = Path.Combine(root?.FullName ?? "/", "artifacts", "plugin", "aws-vpc-cni");
        return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is not there. Run: make publish", path);
    }

    private static void Check(int error)
    {
        if (error != 0)
        {
            throw new Win32Exception(error);
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
}
