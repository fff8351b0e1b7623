using AwsVpcCni.CniProtocol;
using AwsVpcCni.Core.Contracts;
using Microsoft.Extensions.Logging;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>The folder in which plugins leave word of DELs that found no executor (<see cref="EndedMark"/>).</summary>
internal sealed partial class EndedMarks(string folder, TimeProvider time, ILogger log)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly Repeated failures = new(time);

    /// <summary>Beside the plugin's socket; made if it is not there. Where it cannot be, no plugin leaves anything.</summary>
    internal static EndedMarks Open(string socket, TimeProvider time, ILogger log)
    {
        var marks = new EndedMarks(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(socket))!, EndedMark.Folder), time, log);
        marks.Try(marks.Make);
        return marks;
    }

    /// <summary>Whose marks there are, at most as many as plugins leave. A file that is no mark is removed.</summary>
    internal IReadOnlyList<SandboxKey> Read()
    {
        List<SandboxKey> found = [];
        Try(() =>
        {
            if (!Directory.Exists(folder))
            {
                Make(); // Somebody has taken it away, or there was no room at the start.
            }

            foreach (var path in Directory.EnumerateFileSystemEntries(folder).Take(EndedMark.Most))
            {
                if (EndedMark.TryParse(Path.GetFileName(path)) is var (containerId, ifName))
                {
                    found.Add(new SandboxKey(containerId, ifName));
                }
                else
                {
                    Say($"{path} is no mark of a plugin, and is removed.");
                    Try(() => File.Delete(path));
                }
            }
        });
        return found;
    }

    internal bool Has(SandboxKey sandbox) => File.Exists(PathOf(sandbox));

    /// <exception cref="IOException">It is still there.</exception>
    /// <exception cref="UnauthorizedAccessException">It is still there.</exception>
    internal void Remove(SandboxKey sandbox) => File.Delete(PathOf(sandbox));

    /// <summary>For what may fail, and is tried again at the next look.</summary>
    internal void Try(Action work)
    {
        try
        {
            work();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Say(e.Message);
        }
    }

    private void Make()
    {
        Directory.CreateDirectory(folder, OwnerOnly);
        File.SetUnixFileMode(folder, OwnerOnly); // One that was there already.
    }

    private string PathOf(SandboxKey sandbox) => Path.Combine(folder, EndedMark.NameOf(sandbox.ContainerId, sandbox.IfName));

    private void Say(string why)
    {
        if (failures.Say(why) is { } line)
        {
            LogTrouble(line);
        }
    }

    [LoggerMessage(EventId = 3256, Level = LogLevel.Warning, Message = "Marks of DELs that found no executor: {Why}")]
    private partial void LogTrouble(string why);
}
