using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.NodeExecutor;

/// <summary>Puts the CNI plugin where the runtime looks for it, while the runtime may be running the one that is there.</summary>
internal static class PluginInstall
{
    private const UnixFileMode AllMayRun = (UnixFileMode)0b111_101_101;

    /// <summary>The target is the old file or the new one, never a part; a run of the old one ends undisturbed. The same file again is left alone.</summary>
    /// <exception cref="ExecutorStoppedException">It cannot be read or written; the message says which.</exception>
    internal static void Run(string plugin, string target)
    {
        try
        {
            var content = File.ReadAllBytes(plugin);
            if (!File.Exists(target) || !content.AsSpan().SequenceEqual(File.ReadAllBytes(target)) || File.GetUnixFileMode(target) != AllMayRun)
            {
                AtomicFile.Write(target, content, AllMayRun);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExecutorStoppedException($"The plugin {plugin} cannot be put to {target}: {e.Message} Is the node's folder mounted there, and writable?");
        }
    }

    /// <summary>Puts each of a folder's plugins beside ours where the node has none of its name: Amazon Linux 2023's image for EKS has none at all, and without <c>loopback</c> containerd starts no pod.</summary>
    /// <remarks>One that is there may be the node image's or another program's, and newer: it stays.</remarks>
    /// <exception cref="ExecutorStoppedException">One cannot be read or written.</exception>
    internal static void RunWhereAbsent(string folder, string target)
    {
        if (!Directory.Exists(folder))
        {
            throw new ExecutorStoppedException($"There is no folder {folder} with plugins. Leave it out, or name the one that the image has.");
        }

        foreach (var plugin in Directory.GetFiles(folder).Order(StringComparer.Ordinal))
        {
            var beside = Path.Combine(Path.GetDirectoryName(target)!, Path.GetFileName(plugin));
            if (!File.Exists(beside))
            {
                Run(plugin, beside);
            }
        }
    }
}
