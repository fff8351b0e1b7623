using AwsVpcCni.Tests.EndToEnd.Containerd;

namespace AwsVpcCni.Tests.EndToEnd.Harness;

/// <summary>
/// The folder of one test environment: everything that it starts or makes is noted here, so that the next run can clean up
/// after one that was interrupted. Its name is the same in each run; a lock keeps two runs apart.
/// </summary>
internal sealed class WorkFolder : IAsyncDisposable
{
    private const string Base = "/run/aws-vpc-cni-test";
    private const string NamespaceList = "namespaces";

    private readonly FileStream hold;

    private WorkFolder(string path, FileStream hold) => (Root, this.hold) = (path, hold);

    public string Root { get; }

    /// <summary>Takes the folder for this run, empty.</summary>
    /// <exception cref="InvalidOperationException">Another run has it.</exception>
    public static async Task<WorkFolder> ClaimAsync(string name)
    {
        Directory.CreateDirectory(Base);
        var root = System.IO.Path.Combine(Base, name);
        FileStream hold;
        try
        {
            hold = new FileStream(root + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new InvalidOperationException($"Another run has {root}. Wait for its end, or end it.", e);
        }

        var folder = new WorkFolder(root, hold);
        await folder.CleanAsync();
        Directory.CreateDirectory(root);
        return folder;
    }

    public string Path(params string[] parts) => System.IO.Path.Combine([Root, .. parts]);

    public string NewFolder(params string[] parts) => Directory.CreateDirectory(Path(parts)).FullName;

    /// <summary>A network namespace with `lo` up, at /run/netns; gone when the folder is.</summary>
    public async Task<string> AddNamespaceAsync(string name)
    {
        NoteNamespace(name);
        await Shell.RunAsync("ip", "netns", "add", name);
        await Shell.RunAsync("ip", "-n", name, "link", "set", "lo", "up");
        return "/run/netns/" + name;
    }

    /// <summary>Before a namespace is made, so that one that is left over goes with the folder.</summary>
    public void NoteNamespace(string name)
    {
        lock (hold)
        {
            File.AppendAllLines(Path(NamespaceList), [name]);
        }
    }

    /// <summary>Ends and removes all that is noted here.</summary>
    public async ValueTask DisposeAsync()
    {
        await CleanAsync();
        File.Delete(Root + ".lock"); // While it is held: after that it may be another run's.
        await hold.DisposeAsync();
    }

    private async Task CleanAsync()
    {
        if (!Directory.Exists(Root))
        {
            return;
        }

        // The last one started ends first: the emulator, whose namespaces the others are in, at last.
        foreach (var file in Directory.EnumerateFiles(Root, "*" + Daemon.PidFileEnding).OrderByDescending(File.GetLastWriteTimeUtc))
        {
            if (ProcessId.Parse(await File.ReadAllTextAsync(file)) is { } process)
            {
                await process.EndAsync(TimeSpan.FromSeconds(5));
            }
        }

        foreach (var folder in Directory.EnumerateDirectories(Root))
        {
            await ContainerdLeftovers.RemoveAsync(folder);
        }

        if (File.Exists(Path(NamespaceList)))
        {
            foreach (var name in (await File.ReadAllLinesAsync(Path(NamespaceList))).Where(n => File.Exists("/run/netns/" + n)))
            {
                await Shell.RunAsync("ip", "netns", "delete", name);
            }
        }

        KeepLogs();
        Directory.Delete(Root, recursive: true);
    }

    /// <summary>A failed test is asked about afterwards; each run's logs stay until the next one's.</summary>
    private void KeepLogs()
    {
        var kept = Directory.CreateDirectory(System.IO.Path.Combine(Repository.Root, "artifacts", "test-logs", System.IO.Path.GetFileName(Root)));
        foreach (var log in Directory.EnumerateFiles(Root, "*.log").Concat(Directory.EnumerateFiles(Root, "*.jsonl")))
        {
            File.Copy(log, System.IO.Path.Combine(kept.FullName, System.IO.Path.GetFileName(log)), overwrite: true);
        }
    }
}
