using System.Text;

namespace AwsVpcCni.NodeExecutor.Lease;

/// <summary>Where a lease file lies: the node's disk, or a simulation's.</summary>
internal interface ILeaseDisk : IDisposable
{
    /// <summary>For messages.</summary>
    string Path { get; }

    /// <returns>Null when there is no file.</returns>
    string? Read();

    /// <summary>The whole content; survives a power cut when it returns.</summary>
    void Replace(ReadOnlySpan<byte> content);

    /// <summary>At the end; survives a killed process when it returns.</summary>
    void Append(ReadOnlySpan<byte> content);

    /// <summary>Puts a file that cannot be used out of the way.</summary>
    /// <returns>Where it is now.</returns>
    string SetAside();
}

/// <summary>A file of the node.</summary>
internal sealed class LeaseDisk(string path) : ILeaseDisk
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private FileStream? journal;

    public string Path => path;

    public string? Read() => File.Exists(path) ? File.ReadAllText(path, Encoding.UTF8) : null;

    public void Replace(ReadOnlySpan<byte> content)
    {
        Dispose();
        AtomicFile.Write(path, content, OwnerOnly);
    }

    public void Append(ReadOnlySpan<byte> content)
    {
        journal ??= new FileStream(path, new FileStreamOptions { Mode = FileMode.Append, Access = FileAccess.Write, BufferSize = 0 });
        journal.Write(content);
    }

    public string SetAside()
    {
        var aside = path + ".aside";
        File.Move(path, aside, overwrite: true);
        return aside;
    }

    public void Dispose()
    {
        journal?.Dispose();
        journal = null;
    }
}
