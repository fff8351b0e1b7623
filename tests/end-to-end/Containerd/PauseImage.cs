using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace AwsVpcCni.Tests.EndToEnd.Containerd;

/// <summary>An image with nothing but busybox, as an OCI layout in a tar file: made here, since no registry is asked. It serves sandboxes and containers alike.</summary>
internal static class PauseImage
{
    public const string Name = "pause.test/pause:1";

    private const string Busybox = "/bin/busybox";
    private const UnixFileMode Executable = (UnixFileMode)0b111_101_101;
    private static readonly string[] Entrypoint = ["/bin/sleep", "2147483647"];
    private static readonly string[] Applets = ["sh", "ip", "ping", "nc", "wget", "cat", "sleep", "httpd", "ls", "head", "dd", "true"];

    /// <param name="path">Of the tar file to write.</param>
    public static void Write(string path)
    {
        if (!File.Exists(Busybox))
        {
            throw new FileNotFoundException($"{Busybox} is not there. Install the package busybox-static.");
        }

        using var file = File.Create(path);
        using var tar = new TarWriter(file);
        var layer = Layer();
        var config = Json(new
        {
            architecture = "amd64",
            os = "linux",
            config = new { Entrypoint },
            rootfs = new { type = "layers", diff_ids = new[] { Digest(layer) } },
        });
        var manifest = Json(new
        {
            schemaVersion = 2,
            mediaType = "application/vnd.oci.image.manifest.v1+json",
            config = Descriptor("application/vnd.oci.image.config.v1+json", config),
            layers = new[] { Descriptor("application/vnd.oci.image.layer.v1.tar", layer) },
        });
        var entry = Descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
        entry["annotations"] = new Dictionary<string, string> { ["io.containerd.image.name"] = Name };

        Add(tar, "oci-layout", Json(new { imageLayoutVersion = "1.0.0" }));
        Add(tar, "index.json", Json(new { schemaVersion = 2, manifests = new[] { entry } }));
        foreach (var blob in new[] { layer, config, manifest })
        {
            Add(tar, "blobs/sha256/" + Digest(blob)["sha256:".Length..], blob);
        }
    }

    private static byte[] Layer()
    {
        using var buffer = new MemoryStream();
        using (var tar = new TarWriter(buffer, leaveOpen: true))
        {
            foreach (var folder in new[] { "bin", "dev", "etc", "proc", "sys", "tmp" })
            {
                tar.WriteEntry(new UstarTarEntry(TarEntryType.Directory, folder + "/") { Mode = Executable, ModificationTime = DateTimeOffset.UnixEpoch });
            }

            Add(tar, "bin/busybox", File.ReadAllBytes(Busybox));
            foreach (var applet in Applets)
            {
                tar.WriteEntry(new UstarTarEntry(TarEntryType.SymbolicLink, "bin/" + applet) { LinkName = "busybox", ModificationTime = DateTimeOffset.UnixEpoch });
            }
        }

        return buffer.ToArray();
    }

    private static void Add(TarWriter tar, string name, byte[] content) => tar.WriteEntry(
        new UstarTarEntry(TarEntryType.RegularFile, name) { Mode = Executable, ModificationTime = DateTimeOffset.UnixEpoch, DataStream = new MemoryStream(content) });

    private static Dictionary<string, object> Descriptor(string mediaType, byte[] content) =>
        new() { ["mediaType"] = mediaType, ["digest"] = Digest(content), ["size"] = content.Length };

    private static string Digest(byte[] content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    private static byte[] Json(object value) => Encoding.UTF8.GetBytes(JsonSerializer.Serialize(value));
}
