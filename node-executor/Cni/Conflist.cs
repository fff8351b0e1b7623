using System.Text;
using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>The file by which a container runtime learns that this node has a network; the kubelet then calls the node ready.</summary>
internal static class Conflist
{
    private const UnixFileMode AllMayRead = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    // No mtu: the executor's setting holds.
    private static string Content(string version, IEnumerable<string> chained) => $$"""
        {
          "cniVersion": "{{version}}",
          "name": "aws-cni",
          "plugins": [
            {{string.Join(",\n    ", chained.Select(ChainedPlugins.ConfigOf).Prepend("""{ "name": "aws-cni", "type": "aws-vpc-cni" }"""))}}
          ]
        }

        """;

    /// <summary>Writes the file, unless it is there as it should be: runtimes load it anew at each change.</summary>
    /// <param name="version">The list's cniVersion.</param>
    /// <param name="chained">Plugins behind ours, in their order.</param>
    /// <returns>Whether another list has had to go for it.</returns>
    /// <exception cref="IOException">The directory cannot be written.</exception>
    internal static bool Write(string path, string version, IEnumerable<string> chained)
    {
        var content = Content(version, chained);
        var exists = File.Exists(path);
        if (exists && File.ReadAllText(path) == content)
        {
            return false;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        AtomicFile.Write(path, Encoding.UTF8.GetBytes(content), AllMayRead);
        return exists;
    }
}
