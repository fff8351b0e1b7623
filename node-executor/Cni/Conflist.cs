using System.Text;
using AwsVpcCni.NodeExecutor.Lease;

namespace AwsVpcCni.NodeExecutor.Cni;

/// <summary>The file by which a container runtime learns that this node has a network; the kubelet then calls the node ready.</summary>
internal static class Conflist
{
    private const UnixFileMode AllMayRead = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    // 1.0.0: containerd 1.x takes no newer one. No mtu: the executor's setting holds.
    private static string Content(string vethPrefix) => $$"""
        {
          "cniVersion": "1.0.0",
          "name": "aws-cni",
          "plugins": [
            {
              "name": "aws-cni",
              "type": "aws-vpc-cni",
              "vethPrefix": "{{vethPrefix}}"
            }
          ]
        }

        """;

    /// <summary>Writes the file, unless it is there as it should be: runtimes load it anew at each change.</summary>
    /// <exception cref="IOException">The directory cannot be written.</exception>
    internal static void Write(string path, string vethPrefix)
    {
        var content = Content(vethPrefix);
        if (File.Exists(path) && File.ReadAllText(path) == content)
        {
            return;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        AtomicFile.Write(path, Encoding.UTF8.GetBytes(content), AllMayRead);
    }
}
