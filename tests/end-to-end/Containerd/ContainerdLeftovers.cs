using System.Globalization;
using System.Runtime.InteropServices;
using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Tests.EndToEnd.Containerd;

/// <summary>What a containerd that was killed leaves on the machine: shims, containers, mounts, namespaces, cgroups. Found by its folder, so that no other containerd's is touched.</summary>
internal static partial class ContainerdLeftovers
{
    /// <summary>containerd's state folder, inside the node's.</summary>
    public const string State = "state";

    private const string TaskFolder = "io.containerd.runtime.v2.task/k8s.io";
    private const string CniCache = "/var/lib/cni/results"; // libcni's; containerd 1.x gives no choice.
    private const int MountDetach = 2;

    /// <param name="folder">A node's in the work folder; nothing happens when no containerd was there.</param>
    public static async Task RemoveAsync(string folder)
    {
        var containers = Containers(folder);
        var namespaces = NamespacesOf(containers);
        foreach (var shim in Shims(folder).ToList())
        {
            await shim.KillAsync();
        }

        foreach (var process in containers.Select(c => c.Process).OfType<ProcessId>())
        {
            await process.KillAsync();
        }

        foreach (var mount in Mounts().Where(m => m.StartsWith(folder + "/", StringComparison.Ordinal) || namespaces.Contains(m)).OrderByDescending(m => m.Length))
        {
            _ = umount2(mount, MountDetach);
        }

        foreach (var name in namespaces)
        {
            File.Delete(name);
        }

        foreach (var (id, _, shimSocket) in containers)
        {
            RemoveTracesOf(id);
            if (shimSocket is not null)
            {
                File.Delete(shimSocket);
            }
        }
    }

    /// <summary>Shims whose containerd listens in the folder.</summary>
    public static IEnumerable<ProcessId> Shims(string folder) => ProcessId.All().Where(p =>
        p.CommandLine() is [var program, ..] arguments
        && Path.GetFileName(program).StartsWith("containerd-shim", StringComparison.Ordinal)
        && arguments.Any(a => a.StartsWith(folder + "/", StringComparison.Ordinal)));

    /// <summary>Mount points under the folder.</summary>
    public static IEnumerable<string> MountsUnder(string folder) => Mounts().Where(m => m.StartsWith(folder + "/", StringComparison.Ordinal));

    private static List<Container> Containers(string folder)
    {
        var tasks = Path.Combine(folder, State, TaskFolder);
        return Directory.Exists(tasks) ? [.. Directory.EnumerateDirectories(tasks).Select(t => new Container(Path.GetFileName(t), InitProcess(t), ShimSocket(t)))] : [];
    }

    /// <summary>The container's first process; its cgroup proves that the number is still that one's.</summary>
    private static ProcessId? InitProcess(string task)
    {
        var file = Path.Combine(task, "init.pid");
        return File.Exists(file)
            && int.TryParse(File.ReadAllText(file), CultureInfo.InvariantCulture, out var pid)
            && File.Exists($"/proc/{pid}/cgroup")
            && File.ReadAllText($"/proc/{pid}/cgroup").Contains(Path.GetFileName(task), StringComparison.Ordinal)
                ? ProcessId.Of(pid)
                : null;
    }

    /// <summary>containerd 1.x puts it into /run/containerd/s, outside of its folders.</summary>
    private static string? ShimSocket(string task)
    {
        const string Scheme = "unix://";
        var file = Path.Combine(task, "address");
        return File.Exists(file) && File.ReadAllText(file).Trim() is var address && address.StartsWith(Scheme, StringComparison.Ordinal)
            ? address[Scheme.Length..]
            : null;
    }

    /// <summary>The files in /run/netns that hold the containers' network namespaces.</summary>
    private static HashSet<string> NamespacesOf(List<Container> containers)
    {
        var inodes = containers.Where(c => c.Process is not null).Select(c => new FileInfo($"/proc/{c.Process!.Value.Pid}/ns/net").LinkTarget).ToHashSet();
        return inodes.Count == 0
            ? []
            : [.. MountsWithRoot().Where(m => m.Point.StartsWith("/run/netns/cni-", StringComparison.Ordinal) && inodes.Contains(m.Root)).Select(m => m.Point)];
    }

    private static void RemoveTracesOf(string id)
    {
        if (Directory.Exists(CniCache))
        {
            foreach (var file in Directory.EnumerateFiles(CniCache, $"*{id}*"))
            {
                File.Delete(file);
            }
        }

        foreach (var controller in Directory.EnumerateDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup"))
        {
            var group = Path.Combine(controller, "k8s.io", id);
            if (Directory.Exists(group))
            {
                _ = rmdir(group); // Directory.Delete would try the kernel's files in it.
            }
        }
    }

    private static IEnumerable<string> Mounts() => MountsWithRoot().Select(m => m.Point);

    /// <summary>Fields 4 and 5 of /proc/self/mountinfo. The root of an nsfs mount is its name, `net:[4026531840]`.</summary>
    private static IEnumerable<(string Root, string Point)> MountsWithRoot() =>
        File.ReadAllLines("/proc/self/mountinfo").Select(l => l.Split(' ')).Select(f => (f[3], f[4]));

    private sealed record Container(string Id, ProcessId? Process, string? ShimSocket);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int umount2(string path, int flags);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rmdir(string path);
}
