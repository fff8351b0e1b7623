using System.Runtime.InteropServices;
using System.Text;
using k8s.Models;

namespace AwsVpcCni.KubeletLite;

/// <summary>A pod's volumes as folders on its node, with the owners and modes that a kubelet gives them.</summary>
/// <remarks>Contents are written once: a token is not renewed, and a changed ConfigMap is not followed. A claim is a folder of its node.</remarks>
public sealed partial class VolumeFolders(NodeHost node, ApiReads api)
{
    private const int DefaultMode = 0b110_100_100;
    private const int FolderMode = 0b111_101_101;
    private const int TokenMode = 0b110_000_000;

    /// <summary>Makes them all.</summary>
    /// <returns>Where each is on this machine, by its name.</returns>
    public async Task<IReadOnlyDictionary<string, string>> MakeAsync(V1Pod pod)
    {
        var folders = new Dictionary<string, string>();
        foreach (var volume in pod.Spec.Volumes ?? [])
        {
            folders.Add(volume.Name, await MakeAsync(pod, volume));
        }

        return folders;
    }

    /// <summary>Removes what ends with the pod.</summary>
    public void Remove(V1Pod pod)
    {
        if (Directory.Exists(FolderOf(pod)))
        {
            Directory.Delete(FolderOf(pod), recursive: true);
        }
    }

    private async Task<string> MakeAsync(V1Pod pod, V1Volume volume)
    {
        if (volume.HostPath is { } host)
        {
            return OfHost(host);
        }

        var folder = volume.PersistentVolumeClaim is { } claim ? node.PathOf($"/var/lib/claims/{claim.ClaimName}") : Path.Combine(FolderOf(pod), volume.Name);
        Directory.CreateDirectory(folder);
        if (volume.EmptyDir is null && volume.PersistentVolumeClaim is null)
        {
            foreach (var (path, content, mode) in await FilesAsync(pod, volume))
            {
                var file = Path.Combine(folder, path);
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                await File.WriteAllBytesAsync(file, content);
                Give(file, mode, pod, isReadOnly: true);
            }

            Give(folder, FolderMode, pod, isReadOnly: true);
        }
        else
        {
            Give(folder, volume.EmptyDir is null ? FolderMode : 0b111_111_111, pod, isReadOnly: false); // A claim's is as a new file system's root.
        }

        return folder;
    }

    private string OfHost(V1HostPathVolumeSource source)
    {
        var path = node.PathOf(source.Path);
        switch (source.Type)
        {
            case "DirectoryOrCreate":
                Directory.CreateDirectory(path);
                break;
            case "Directory" when !Directory.Exists(path):
                throw new DirectoryNotFoundException($"hostPath {source.Path} is no directory of node {node.Name}.");
            case "Directory" or null or "":
                break;
            default:
                throw new NotSupportedException($"hostPath.type {source.Type} is not known to kubelet-lite.");
        }

        return path;
    }

    private async Task<List<(string Path, byte[] Content, int Mode)>> FilesAsync(V1Pod pod, V1Volume volume)
    {
        var ns = pod.Metadata.NamespaceProperty;
        if (volume.ConfigMap is { } map)
        {
            return Chosen(Bytes(await api.ConfigMap(ns, map.Name)), map.Items, map.DefaultMode, $"ConfigMap {map.Name}");
        }

        if (volume.Secret is { } secret)
        {
            return Chosen(await api.Secret(ns, secret.SecretName), secret.Items, secret.DefaultMode, $"secret {secret.SecretName}");
        }

        List<(string, byte[], int)> files = [];
        foreach (var source in volume.Projected?.Sources ?? throw new NotSupportedException($"volume {volume.Name} is of no kind that kubelet-lite knows."))
        {
            if (source.ServiceAccountToken is { } token)
            {
                // Kubelet's exception: a token is for the pod's user, or group, alone, whatever the mode says.
                var mode = UserOf(pod.Spec) is not null || pod.Spec.SecurityContext?.FsGroup is not null ? TokenMode : volume.Projected.DefaultMode ?? DefaultMode;
                files.Add((token.Path, Encoding.UTF8.GetBytes(await api.Token(pod, token.Audience, token.ExpirationSeconds ?? 3600)), mode));
            }

            if (source.ConfigMap is { } part)
            {
                files.AddRange(Chosen(Bytes(await api.ConfigMap(ns, part.Name)), part.Items, volume.Projected.DefaultMode, $"ConfigMap {part.Name}"));
            }

            foreach (var field in source.DownwardAPI?.Items ?? [])
            {
                files.Add((field.Path, Encoding.UTF8.GetBytes(PodFields.Of(pod, field.FieldRef.FieldPath, node, node.Address)), volume.Projected.DefaultMode ?? DefaultMode));
            }
        }

        return files;
    }

    private static Dictionary<string, byte[]> Bytes(IDictionary<string, string> texts) => texts.ToDictionary(text => text.Key, text => Encoding.UTF8.GetBytes(text.Value));

    private static List<(string, byte[], int)> Chosen(IDictionary<string, byte[]> all, IList<V1KeyToPath>? items, int? mode, string of) =>
        [.. (items ?? [.. all.Keys.Select(key => new V1KeyToPath { Key = key, Path = key })]).Select(item => (item.Path, all.TryGetValue(item.Key, out var content) ? content : throw new KeyNotFoundException($"{of} has no {item.Key}."), mode ?? DefaultMode))];

    // The user of all containers, as kubelet finds it; null: there is not one.
    private static long? UserOf(V1PodSpec spec) => spec.Containers.Concat(spec.InitContainers ?? []).Select(container => container.SecurityContext?.RunAsUser ?? spec.SecurityContext?.RunAsUser).Distinct().ToList() is [var user] ? user : null;

    // Kubelet's SetVolumeOwnership: the fsGroup may read all, and write where the volume can be written; a token is its user's.
    private static void Give(string path, int mode, V1Pod pod, bool isReadOnly)
    {
        if (mode == TokenMode && UserOf(pod.Spec) is { } user)
        {
            Chown(path, (uint)user, uint.MaxValue);
        }

        if (pod.Spec.SecurityContext?.FsGroup is { } group)
        {
            Chown(path, uint.MaxValue, (uint)group);
            mode |= isReadOnly ? 0b100_100_000 : 0b110_110_000;
            mode |= Directory.Exists(path) ? 0b10_001_001_000 : 0; // With the set-group-id bit, so that what is made in it is the group's, too.
        }

        File.SetUnixFileMode(path, (UnixFileMode)mode);
    }

    private string FolderOf(V1Pod pod) => node.PathOf($"/var/lib/kubelet/pods/{pod.Metadata.Uid}/volumes");

    private static void Chown(string path, uint user, uint group)
    {
        if (chown(path, user, group) != 0)
        {
            throw new IOException($"{path}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int chown(string path, uint user, uint group);
}
