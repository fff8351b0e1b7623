using AwsVpcCni.Tests.EndToEnd.Harness;

namespace AwsVpcCni.Benchmarks;

/// <summary>Where the silos' databases are: on a disk, since each row is fsynced. The clusters' own folders may be in memory.</summary>
internal static class Store
{
    /// <exception cref="InvalidOperationException">There is no disk below the repository.</exception>
    public static DirectoryInfo Empty(string folder)
    {
        var store = new DirectoryInfo(Path.Combine(Repository.Root, "artifacts", folder));
        if (store.Exists)
        {
            store.Delete(recursive: true);
        }

        store.Create();
        var disk = new DriveInfo(store.FullName).DriveFormat;
        if (disk is "tmpfs" or "ramfs")
        {
            throw new InvalidOperationException($"{store.FullName} is in memory ({disk}), where fsync costs nothing. Clone the repository onto a disk.");
        }

        Progress.Say($"The silos' store is SQLite, synchronous=FULL, on {disk}");
        return store;
    }
}
